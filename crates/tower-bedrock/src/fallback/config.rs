//! What is set once for all calls of a layer.

use std::{fmt, sync::Arc, time::Duration};

use rand::RngExt as _;

use super::{
    choice::{Choice, Chooser, Gates, Progress},
    error::{NoRouteAllowed, SkipReason, SkippedRoute},
    event::FallbackEvent,
    invalid::InvalidLadder,
    ladder::Ladder,
    plan::Plans,
    rules::{Routes, Rules},
    rung::{Rung, Step},
};
use crate::{
    call::CallContext,
    cause::{Cause, NextRoute, Reactions, RetryReaction},
    clock,
    error::Error,
    retry::Jitter,
    route_gate::{Passage, RouteGate},
};

pub(super) type Listener = dyn Fn(&FallbackEvent<'_>) + Send + Sync;

#[derive(Clone, Default)]
pub(super) struct Config {
    pub(super) rules: Rules,
    pub(super) ladder: Built,
    /// Ladders of their own, for the routes that they match.
    pub(super) ladders: Vec<(Rung, Built)>,
    pub(super) reactions: Reactions,
    pub(super) gates: Vec<Arc<dyn RouteGate>>,
    pub(super) patience: Duration,
    pub(super) jitter: Jitter,
    pub(super) listener: Option<Arc<Listener>>,
    pub(super) plans: Plans,
}

/// A ladder that was checked.
#[derive(Clone, Default)]
pub(super) struct Built {
    pub(super) steps: Arc<[Step]>,
    pub(super) warm_share: f64,
    pub(super) has_caps: bool,
}

impl Built {
    pub(super) fn of(ladder: Ladder) -> Result<Self, InvalidLadder> {
        let warm_share = ladder.warm_share;
        let steps = ladder.into_steps()?;
        Ok(Self {
            has_caps: steps.iter().any(|step| step.cap.is_some()),
            warm_share,
            steps: steps.into(),
        })
    }
}

impl Config {
    fn ladder(&self, call: &CallContext) -> &Built {
        let home = self.rules.home.as_ref();
        let own = self
            .ladders
            .iter()
            .find(|(primary, _)| primary.matches(&call.route, home));
        own.map_or(&self.ladder, |(_, ladder)| ladder)
    }

    pub(super) fn has_ladder(&self, call: &CallContext) -> bool {
        !self.ladder(call).steps.is_empty()
    }

    pub(super) fn chooser<'a>(&'a self, call: &'a CallContext) -> Chooser<'a> {
        let ladder = self.ladder(call);
        let asks = ladder.has_caps || !self.gates.is_empty();
        Chooser {
            routes: Routes::of(&self.rules, ladder, call).planned(&self.plans),
            gates: Gates::of(&self.gates, call),
            patience: self.patience,
            now: asks.then(clock::now),
        }
    }

    /// How a call begins while all is well, as nearly all do; `None` if it has to choose. It goes its
    /// own way, and there is another.
    #[inline]
    pub(super) fn quiet_choice(&self, call: &CallContext) -> Option<Choice> {
        let next = self.plans.known(call)?.quiet()?.next.as_ref();
        let next = next.filter(|_| !call.fallback.is_disabled);
        for gate in &self.gates {
            if !gate.is_open_everywhere(call) {
                let routes = [Some(&call.route), next];
                let now = clock::now();
                let mut asked = routes.into_iter().flatten();
                if !asked.all(|route| gate.ask(call, route, now) == Passage::Open) {
                    return None;
                }
            }
        }
        Some(Choice {
            index: 0,
            has_next: next.is_some(),
            is_hasty: next.is_some(),
        })
    }

    /// How a call begins.
    ///
    /// # Errors
    ///
    /// If its own route breaks the limits of where its data may be processed.
    pub(super) fn begin(&self, call: &CallContext) -> Result<Progress, NoRouteAllowed> {
        if let Some(limit) = self.rules.broken_limit(call) {
            let own = SkippedRoute {
                route: call.route.clone(),
                reason: SkipReason::Residency,
            };
            return Err(NoRouteAllowed::new(limit, vec![own]));
        }
        let share = self.ladder(call).warm_share;
        let mut progress = Progress::default();
        if share > 0.0 {
            progress.is_warm = self.jitter.with(|rng| rng.random_bool(share));
        }
        Ok(progress)
    }

    /// Whether another route might answer a call that failed with `error` on the route `index`.
    pub(super) fn moves_on(&self, call: &CallContext, index: usize, error: &Error) -> bool {
        let reaction = self.reactions.of(error);
        // That there is no such rung says nothing of the call, nor of the other rungs.
        let is_missing_rung = index > 0 && error.cause() == Cause::NotFound;
        let is_unwanted = matches!(reaction.retry, RetryReaction::BackoffIfAllowed { .. })
            && call.retry.retry_timeouts == Some(false);
        let moves = reaction.next_route != NextRoute::Never || is_missing_rung;
        !call.fallback.is_disabled && moves && !is_unwanted
    }

    /// Whether anybody hears what is told.
    pub(super) fn is_heard(&self) -> bool {
        #[cfg(feature = "tracing")]
        if crate::trace::event::hears_fallback() {
            return true;
        }
        self.listener.is_some()
    }

    pub(super) fn tell(&self, event: &FallbackEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::fallback(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.steps.iter().map(|step| step.rung.to_string()))
            .finish()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("rules", &self.rules)
            .field("ladder", &self.ladder)
            .field("ladders", &self.ladders)
            .field("gates", &self.gates.len())
            .field("patience", &self.patience)
            .field("listener", &self.listener.is_some())
            .finish_non_exhaustive()
    }
}
