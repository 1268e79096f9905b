//! The rows of the table of overheads.
//!
//! All services answer at once, so that nothing but overhead is measured. Ours are asked with a
//! [`Request`](tower_bedrock::Request), as they must be; what a call costs without them is a row of
//! its own. The others are asked with a number, the least that a request can be, so that those that
//! clone requests are not charged for ours. One row has them carry ours.

pub mod libraries;
pub mod ours;
pub mod resilience;
#[cfg(feature = "sdk")]
pub mod sdk;
pub mod towers;

use std::{
    future::{Ready, ready},
    pin::Pin,
};

use tower::service_fn;

use crate::row::{Group, Row};

/// The least request.
pub(crate) type Number = u64;

/// An error of a service of the others.
#[derive(Clone, Debug)]
pub struct Failed;

pub(crate) const fn number() -> Number {
    1
}

pub(crate) fn answer(number: Number) -> Ready<Result<Number, Failed>> {
    ready(Ok(number))
}

/// All rows, in the order of the table.
#[must_use]
pub fn all() -> Vec<Row> {
    let mut rows = floor();
    rows.extend(ours::rows());
    rows.extend(towers::rows());
    rows.extend(resilience::rows());
    rows.extend(libraries::rows());
    rows
}

fn floor() -> Vec<Row> {
    vec![
        Row::service("no layer", Group::Floor, number, || service_fn(answer)),
        Row::service("no layer, boxed future", Group::Floor, number, || {
            service_fn(|number: Number| {
                let boxed: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(answer(number));
                boxed
            })
        }),
    ]
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

/// Rows that do the same job: ours, theirs, and what our share of theirs is meant to be at most, on
/// one thread and on two.
pub const COMPARED: &[Compared] = &[
    compared("Retry", "tower Retry, TpsBudget, our request", 1.0, None),
    compared("Retry", "tower-resilience Retry, budget", 1.0, None),
    compared("CircuitBreaker", "recloser call", 1.0, None),
    compared("CircuitBreaker", "failsafe call", 1.0, None),
    compared(
        "CircuitBreaker",
        "tower-resilience CircuitBreaker",
        1.0,
        None,
    ),
    compared("Pool", "tower ConcurrencyLimit, our request", 1.0, None),
    compared("Pool", "tower-resilience Bulkhead, backpressure", 1.0, None),
    compared("TokenBudget", "governor check_key", 1.0, None),
    compared(
        "TokenBudget",
        "tower-resilience RateLimiter, backpressure",
        1.0,
        None,
    ),
    compared("Fallback", "tower-resilience Fallback", 1.0, None),
    compared(STACK, "tower-resilience, five composed", 0.4, Some(0.2)),
    compared(
        STACK,
        "tower-resilience, five composed, backpressure",
        0.4,
        Some(0.2),
    ),
    compared(STACK, "tower-resilience, six composed", 0.4, Some(0.2)),
    compared(
        STACK,
        "tower-resilience, five composed, our request",
        0.4,
        Some(0.2),
    ),
];

/// The recommended stack's row.
const STACK: &str = "stack: all six";

/// Two rows that do the same job.
pub struct Compared {
    /// The row of ours.
    pub ours: &'static str,
    /// The other one.
    pub theirs: &'static str,
    /// The goal on one thread.
    pub goal: f64,
    /// The goal on two threads.
    pub goal_of_two: Option<f64>,
}

const fn compared(
    ours: &'static str,
    theirs: &'static str,
    goal: f64,
    goal_of_two: Option<f64>,
) -> Compared {
    Compared {
        ours,
        theirs,
        goal,
        goal_of_two,
    }
}
