//! tower-resilience, composed as its guide recommends for clients of external APIs.
//!
//! Where its documentation leaves a choice, the one was taken that serves it better here:
//!
//! * Its error types are mapped to one between the layers, as its guide says.
//! * The order is its guide's, but for the rate limiter, which stands outside of the time limit for an
//!   attempt: inside, the wait for quota would count as time of the attempt.
//! * The rate limiter is the token bucket of one minute that the service has, so it is told as much of
//!   the quota as it can be told. It counts requests; a quota of tokens is told as the requests
//!   of mean use that it comes to.
//! * Neither limiter nor bulkhead lets a call wait so long that its answer would come too late.
//! * The breaker counts failures in a row, which its documentation names for calls of models, because
//!   its window does not slide; throttles do not count. It reads the clock of the operating system,
//!   which stands still in virtual time, so [`Cooldown`] keeps its cooldown in front of it.
//! * Jitter has the formula of its `ExponentialRandomBackoff`, drawn from a seed.

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use rand::RngExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_resilience::{
    bulkhead::BulkheadLayer,
    circuitbreaker::{CircuitBreakerError, CircuitBreakerLayer, CircuitState},
    fallback::{FallbackError, FallbackLayer},
    ratelimiter::{RateLimiterLayer, RateLimiterServiceError},
    retry::{FnInterval, RetryBudgetBuilder, RetryLayer},
    timelimiter::{TimeLimiterError, TimeLimiterLayer},
};

use super::{CallFuture, Caller, Result};
use crate::{
    load::rng,
    sdk::{Failure, Reply, Sdk, SharedJob},
    setup::{Place, Setup},
    world::World,
};

type Boxed = BoxCloneSyncService<SharedJob, Reply, Failure>;

/// As long as our own first cooldown.
const COOLDOWN: Duration = Duration::from_secs(10);
/// As many as open our own.
const FAILURES_IN_A_ROW: usize = 10;
/// "Set reasonable max_attempts (3-5)."
const ATTEMPTS: usize = 5;
const BASE: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(30);
const JITTER: f64 = 0.5;

/// The composed layers.
pub(super) struct Layers(Boxed);

impl Layers {
    pub(super) fn new(setup: &Setup, world: &World, seed: u64) -> Result<Self> {
        let mut backup: Option<Boxed> = None;
        for place in setup.places.iter().rev() {
            let stack = route(setup, world, place, seed)?;
            backup = Some(match backup {
                None => stack,
                Some(backup) => {
                    let layer = FallbackLayer::<SharedJob, Reply, Failure>::tower_service(backup)
                        .handle(Failure::is_transient);
                    let unwrap = |error| match error {
                        FallbackError::Inner(failure) | FallbackError::FallbackFailed(failure) => {
                            failure
                        }
                    };
                    BoxCloneSyncService::new(layer.layer(stack).map_err(unwrap))
                }
            });
        }
        let all = backup.ok_or("a scenario has at least one place")?;
        Ok(Self(limited(all, setup.patience)))
    }
}

/// Retry, breaker, bulkhead, rate limiter and time limit over one place.
fn route(setup: &Setup, world: &World, place: &Place, seed: u64) -> Result<Boxed> {
    let sdk = Sdk::new(world.config(), place, setup.stream.is_some());
    let send = service_fn(move |job: SharedJob| {
        let sdk = sdk.clone();
        async move { sdk.send(&job).await }
    });
    let mut stack: Boxed = BoxCloneSyncService::new(send);
    if let Some(limit) = setup.attempt_timeout {
        stack = limited(stack, limit);
    }
    let longest_wait = setup.patience.saturating_sub(setup.longest_answer());
    if let Some(per_minute) = requests_per_minute(setup, place) {
        let limiter = RateLimiterLayer::builder()
            .limit_for_period(per_minute)
            .refresh_period(Duration::from_secs(60))
            .burst_size(0)
            .timeout_duration(longest_wait)
            .build()?;
        let unwrap = |error| match error {
            RateLimiterServiceError::Inner(failure) => failure,
            RateLimiterServiceError::RateLimited => Failure::new("RateLimited"),
        };
        stack = BoxCloneSyncService::new(limiter.layer(stack).map_err(unwrap));
    }
    let bulkhead = BulkheadLayer::builder()
        .max_concurrent_calls(setup.in_flight)
        .max_wait_duration(longest_wait)
        .build()?;
    let unwrap = |error: tower_resilience::bulkhead::BulkheadServiceError<Failure>| match error {
        tower_resilience::bulkhead::BulkheadServiceError::Inner(failure) => failure,
        tower_resilience::bulkhead::BulkheadServiceError::Bulkhead(_) => {
            Failure::new("BulkheadFull")
        }
    };
    stack = BoxCloneSyncService::new(bulkhead.layer(stack).map_err(unwrap));
    stack = broken(stack)?;

    let budget = RetryBudgetBuilder::new().aimd().build()?;
    let jitter = Mutex::new(rng(seed, "jitter of tower-resilience"));
    let retry = RetryLayer::<SharedJob, Reply, Failure>::builder()
        .max_attempts(ATTEMPTS)
        .backoff(FnInterval::new(move |attempt: usize| {
            let mut rng = jitter.lock().unwrap_or_else(PoisonError::into_inner);
            let exponent = i32::try_from(attempt).unwrap_or(i32::MAX);
            let capped = (BASE.as_secs_f64() * 2_f64.powi(exponent)).min(CAP.as_secs_f64());
            Duration::from_secs_f64(capped * rng.random_range(1.0 - JITTER..=1.0 + JITTER))
        }))
        .retry_on(Failure::is_transient)
        .budget(budget)
        .build();
    Ok(BoxCloneSyncService::new(retry.layer(stack)))
}

/// The requests per minute that a place's quota comes to, if it is known.
fn requests_per_minute(setup: &Setup, place: &Place) -> Option<usize> {
    let known = setup.quotas.iter().find(|known| known.place == *place)?;
    let by_tokens = known.tpm.map(|tpm| tpm as f64 / setup.mean_worth());
    let by_requests = known.rpm.map(|rpm| rpm as f64);
    let limit = [by_tokens, by_requests]
        .into_iter()
        .flatten()
        .reduce(f64::min)?;
    Some((limit as usize).max(1))
}

fn limited(stack: Boxed, limit: Duration) -> Boxed {
    let limiter = TimeLimiterLayer::builder().timeout_duration(limit).build();
    let unwrap = |error| match error {
        TimeLimiterError::Inner(failure) => failure,
        TimeLimiterError::Timeout => Failure::new("Timeout"),
    };
    BoxCloneSyncService::new(limiter.layer(stack).map_err(unwrap))
}

const CIRCUIT_OPEN: &str = "CircuitOpen";

/// The circuit breaker, and its cooldown in virtual time.
fn broken(stack: Boxed) -> Result<Boxed> {
    let until = Arc::new(Mutex::new(None));
    let opened = Arc::clone(&until);
    let breaker = CircuitBreakerLayer::builder()
        .consecutive_failures(FAILURES_IN_A_ROW)
        .permitted_calls_in_half_open(3)
        .wait_duration_in_open(Duration::ZERO)
        .failure_classifier(
            |result: &std::result::Result<Reply, Failure>| match result {
                Ok(_) => false,
                Err(failure) => {
                    failure.code == "Timeout"
                        || failure.code == "Connect"
                        || (failure.is_transient()
                            && failure.status.is_some()
                            && !failure.is_throttle())
                }
            },
        )
        .on_state_transition(move |_, to| {
            if to == CircuitState::Open {
                let mut until = opened.lock().unwrap_or_else(PoisonError::into_inner);
                *until = Some(Instant::now() + COOLDOWN);
            }
        })
        .build()?;
    let unwrap = |error| match error {
        CircuitBreakerError::Inner(failure) => failure,
        CircuitBreakerError::OpenCircuit => Failure::new(CIRCUIT_OPEN),
    };
    let inner = breaker.layer(stack).map_err(unwrap);
    Ok(BoxCloneSyncService::new(Cooldown { inner, until }))
}

/// Keeps calls from a breaker until its cooldown has passed on tokio's clock; the breaker's own is
/// zero.
#[derive(Clone)]
struct Cooldown<S> {
    inner: S,
    until: Arc<Mutex<Option<Instant>>>,
}

impl<S: Service<SharedJob, Error = Failure>> Service<SharedJob> for Cooldown<S> {
    type Response = S::Response;
    type Error = Failure;
    type Future = Either<S::Future, Ready<std::result::Result<S::Response, Failure>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, job: SharedJob) -> Self::Future {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) {
            return Either::Right(ready(Err(Failure::new(CIRCUIT_OPEN))));
        }
        Either::Left(self.inner.call(job))
    }
}

impl Caller for Layers {
    fn call(&self, job: &SharedJob) -> CallFuture {
        let sent = self.0.clone().oneshot(Arc::clone(job));
        Box::pin(async move { sent.await?.read().await })
    }
}
