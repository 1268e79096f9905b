//! The stacks that are compared.

use std::{num::NonZeroU32, time::Duration};

use serde::Deserialize;
use tower::{Layer, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_bedrock::{
    Backoff, Cause, CircuitBreakerLayer, CircuitBreakers, Error, Jitter, Reactions, Request,
    Response, RetryBudget, RetryLayer,
};

use crate::server::Server;

/// A stack of any make.
pub(crate) type Stack = BoxCloneSyncService<Request<()>, Response<()>, Error>;

/// A way to call a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StackKind {
    /// One attempt.
    NoRetry,
    /// Three attempts with full jitter, of a base of 50 ms, and no budget.
    ThreeAttempts,
    /// The same with a base of 1 s.
    ThreeSlowAttempts,
    /// The retry layer as it comes, allowed to make calls again that got no answer in time.
    Retry,
    /// The same over a circuit breaker as it comes, for callers who do not say how long they wait.
    RetryAndBreaker,
    /// The same for callers who wait for half a minute, if need be for the circuit.
    RetryAndWaiting,
}

impl StackKind {
    pub(crate) fn over(self, server: &Server, seed: u64) -> Stack {
        let layer = || RetryLayer::new().with_jitter(Jitter::seeded(seed));
        match self {
            Self::NoRetry => boxed(&layer().with_max_attempts(NonZeroU32::MIN), server),
            Self::ThreeAttempts => boxed(&naive(layer(), 50), server),
            Self::ThreeSlowAttempts => boxed(&naive(layer(), 1000), server),
            Self::Retry => boxed(&layer().retry_timeouts(true), server),
            Self::RetryAndWaiting => {
                let stack = Self::RetryAndBreaker.over(server, seed);
                let waits = |request: Request<()>| request.with_timeout(Duration::from_secs(30));
                BoxCloneSyncService::new(stack.map_request(waits))
            }
            Self::RetryAndBreaker => {
                let breakers = CircuitBreakers::new().with_jitter(Jitter::seeded(seed));
                let breaker = CircuitBreakerLayer::new(breakers);
                let layer = ServiceBuilder::new()
                    .layer(layer().retry_timeouts(true))
                    .layer(breaker);
                BoxCloneSyncService::new(layer.service(server.clone()))
            }
        }
    }
}

fn boxed(layer: &RetryLayer, server: &Server) -> Stack {
    BoxCloneSyncService::new(layer.layer(server.clone()))
}

fn naive(layer: RetryLayer, base_ms: u64) -> RetryLayer {
    let backoff = Backoff::new(Duration::from_millis(base_ms), Duration::from_secs(20));
    let retried = |cause: Cause| cause.reaction().retried(backoff, 2);
    layer
        .with_budget(RetryBudget::with_costs(0, 0, 0))
        .with_reactions(
            Reactions::default()
                .with(Cause::Timeout, retried(Cause::Timeout))
                .with(
                    Cause::ServiceUnavailable,
                    retried(Cause::ServiceUnavailable),
                ),
        )
}
