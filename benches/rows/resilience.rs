//! tower-resilience, set up as its documentation recommends, without its features `metrics` and
//! `tracing`.
//!
//! Presets where it has one that fits; limits so high that nothing is refused. No event listener.

use tower::ServiceBuilder;
use tower_resilience::{
    bulkhead::{BulkheadConfigBuilder, BulkheadLayer},
    circuitbreaker::CircuitBreakerLayer,
    fallback::FallbackLayer,
    ratelimiter::{RateLimiterConfigBuilder, RateLimiterLayer},
    retry::{RetryBudgetBuilder, RetryConfigBuilder, RetryLayer},
    timelimiter::TimeLimiterLayer,
};

use super::{Failed, Number, answer, number, ours};
use crate::row::{Group, Row};

const GROUP: Group = Group::TowerResilience;
const PER_SECOND: usize = 1_000_000_000_000;

/// The preset for an error of whatever the layers below make of one.
fn retries<R, T, E>() -> RetryConfigBuilder<R, T, E> {
    RetryLayer::exponential_backoff()
}

/// "Good" in its guide to anti-patterns; a circuit with the preset `standard`.
fn breaker() -> CircuitBreakerLayer {
    let standard = CircuitBreakerLayer::standard();
    standard.build().expect("a valid circuit")
}

/// The preset `medium`, fifty calls: the same limit as in our rows and tower's.
fn bulkhead() -> BulkheadConfigBuilder {
    BulkheadLayer::medium()
}

/// The preset `per_second`, which is a fixed window, the cheapest.
fn limiter() -> RateLimiterConfigBuilder {
    RateLimiterLayer::per_second(PER_SECOND)
}

macro_rules! row {
    ($name:literal, $($layer:expr),+) => {
        row!($name, asked number, answered answer, $($layer),+)
    };
    ($name:literal, asked $request:expr, answered $answer:path, $($layer:expr),+) => {
        Row::service($name, GROUP, $request, || {
            ServiceBuilder::new()$(.layer($layer))+.service_fn($answer)
        })
    };
}

/// Each of its layers that has a counterpart among ours, alone and composed.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = alone();
    rows.extend(composed());
    rows
}

fn alone() -> Vec<Row> {
    vec![
        row!(
            "tower-resilience Retry",
            retries::<Number, Number, Failed>().build()
        ),
        // The budget of its documentation's example.
        row!(
            "tower-resilience Retry, budget",
            retries::<Number, Number, Failed>()
                .budget(
                    RetryBudgetBuilder::new()
                        .token_bucket()
                        .tokens_per_second(10.0)
                        .max_tokens(100)
                        .build()
                        .expect("a valid budget")
                )
                .build()
        ),
        row!("tower-resilience CircuitBreaker", breaker()),
        row!(
            "tower-resilience Bulkhead",
            bulkhead().build().expect("a valid bulkhead")
        ),
        row!(
            "tower-resilience Bulkhead, backpressure",
            bulkhead().backpressure().build().expect("a valid bulkhead")
        ),
        row!(
            "tower-resilience RateLimiter",
            limiter().build().expect("a valid limiter")
        ),
        row!(
            "tower-resilience RateLimiter, backpressure",
            limiter().backpressure().build().expect("a valid limiter")
        ),
        // A backup service, as a fallback to another model or region would be.
        row!(
            "tower-resilience Fallback",
            FallbackLayer::<Number, Number, Failed>::service(answer)
        ),
        row!(
            "tower-resilience TimeLimiter",
            TimeLimiterLayer::standard().build()
        ),
    ]
}

/// In the order that its guide recommends: fallback, total timeout, retry, circuit breaker, bulkhead,
/// rate limiter.
///
/// Each layer has an error of its own around that of the layer below. They are left as they are: to
/// make one of them costs calls that succeed nothing less.
fn composed() -> Vec<Row> {
    macro_rules! five {
        ($name:literal, $request:expr, $answer:path, $bulkhead:expr, $limiter:expr) => {
            row!(
                $name,
                asked $request,
                answered $answer,
                TimeLimiterLayer::standard().build(),
                retries().build(),
                breaker(),
                $bulkhead.build().expect("a valid bulkhead"),
                $limiter.build().expect("a valid limiter")
            )
        };
    }
    vec![
        five!(
            "tower-resilience, five composed",
            number,
            answer,
            bulkhead(),
            limiter()
        ),
        five!(
            "tower-resilience, five composed, backpressure",
            number,
            answer,
            bulkhead().backpressure(),
            limiter().backpressure()
        ),
        row!(
            "tower-resilience, six composed",
            FallbackLayer::service(|_: Number| async { Ok(0) }),
            TimeLimiterLayer::standard().build(),
            retries().build(),
            breaker(),
            bulkhead().build().expect("a valid bulkhead"),
            limiter().build().expect("a valid limiter")
        ),
        // Like for like with our rows: the same request, the same service.
        five!(
            "tower-resilience, five composed, our request",
            ours::request,
            ours::answer,
            bulkhead(),
            limiter()
        ),
    ]
}
