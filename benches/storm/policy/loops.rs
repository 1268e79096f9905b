//! The retry loops that articles recommend, around an SDK whose own retries are off.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use tokio::time::sleep;

use super::{CallFuture, Caller};
use crate::{
    load::rng,
    sdk::{Sdk, SharedJob},
    setup::Setup,
    world::World,
};

/// A loop that sleeps between its attempts. It tries again what is throttled, what failed on the
/// server's side, and what got no answer.
#[derive(Clone)]
pub(super) struct Loop {
    sdk: Sdk,
    /// Including the first.
    attempts: i32,
    base: Duration,
    cap: Duration,
    jitter: Jitter,
}

#[derive(Clone)]
enum Jitter {
    None,
    /// Up to this part more.
    Added(f64, SharedRng),
    Full(SharedRng),
}

type SharedRng = Arc<Mutex<StdRng>>;

fn shared_rng(seed: u64) -> SharedRng {
    Arc::new(Mutex::new(rng(seed, "jitter of a loop")))
}

impl Loop {
    fn new(setup: &Setup, world: &World, attempts: i32) -> Self {
        Self {
            sdk: Sdk::new(world.config(), &setup.places[0], setup.stream.is_some()),
            attempts,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            jitter: Jitter::None,
        }
    }

    /// One attempt.
    pub(super) fn once(setup: &Setup, world: &World) -> Self {
        Self::new(setup, world, 1)
    }

    /// What an agent framework of AWS's does by default (BEDROCK.md §7.2).
    pub(super) fn exponential(setup: &Setup, world: &World) -> Self {
        Self {
            base: Duration::from_secs(4),
            cap: Duration::from_secs(64),
            ..Self::new(setup, world, 6)
        }
    }

    /// Five retries from one second on, which is what articles about throttling at Bedrock give most
    /// often, with a tenth of jitter on top.
    pub(super) fn ten_percent(setup: &Setup, world: &World, seed: u64) -> Self {
        Self {
            jitter: Jitter::Added(0.1, shared_rng(seed)),
            ..Self::new(setup, world, 6)
        }
    }

    /// The same with full jitter, which the better ones give.
    pub(super) fn full_jitter(setup: &Setup, world: &World, seed: u64) -> Self {
        Self {
            jitter: Jitter::Full(shared_rng(seed)),
            ..Self::new(setup, world, 6)
        }
    }

    fn pause(&self, retry: i32) -> Duration {
        let whole = self.base.mul_f64(2_f64.powi(retry)).min(self.cap);
        let draw = |rng: &SharedRng| -> f64 {
            let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
            rng.random()
        };
        match &self.jitter {
            Jitter::None => whole,
            Jitter::Added(part, rng) => whole.mul_f64(1.0 + part * draw(rng)),
            Jitter::Full(rng) => whole.mul_f64(draw(rng)),
        }
    }
}

impl Caller for Loop {
    fn call(&self, job: &SharedJob) -> CallFuture {
        let (this, job) = (self.clone(), Arc::clone(job));
        Box::pin(async move {
            let mut retry = 0;
            let reply = loop {
                match this.sdk.send(&job).await {
                    Ok(reply) => break reply,
                    Err(failure) if retry + 1 < this.attempts && failure.is_transient() => {
                        sleep(this.pause(retry)).await;
                        retry += 1;
                    }
                    Err(failure) => return Err(failure),
                }
            };
            reply.read().await
        })
    }
}
