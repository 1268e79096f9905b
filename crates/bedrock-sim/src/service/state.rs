//! What all clones of a service share.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::ids::Ids;
use crate::{
    control::Control,
    engine::{Engine, Ledger, ModelHandle},
    scenario::Scenario,
    wire::cache::PromptCache,
};

/// As good as never, where a time of the scenario is beyond what a clock can tell: 30 years.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A time after an instant.
pub(super) fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or_else(|| from + FAR)
}

/// The state behind its lock, which is held for one decision at a time and never across an await.
pub(super) struct Shared(Mutex<State>);

pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) cache: PromptCache<ModelHandle>,
    pub(super) ids: Ids,
    pub(super) control: Control,
    /// The engine's zero.
    epoch: Instant,
}

impl Shared {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self(Mutex::new(State {
            ids: Ids::new(scenario.seed()),
            control: Control::new(&scenario),
            engine: Engine::new(scenario),
            cache: PromptCache::default(),
            epoch: Instant::now(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves at most one call miscounted, which no later one has to suffer for.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The region of a request that names none.
    pub(super) fn home_region(&self) -> String {
        self.lock().engine.scenario().region().to_owned()
    }

    pub(super) fn ledger(&self) -> Ledger {
        let state = self.lock();
        state.engine.ledger(state.now())
    }
}

impl State {
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(super) fn reset(&mut self) {
        self.ids = Ids::new(self.engine.scenario().seed());
        self.control = Control::new(self.engine.scenario());
        self.engine.reset();
        self.cache.clear();
        self.epoch = Instant::now();
    }
}
