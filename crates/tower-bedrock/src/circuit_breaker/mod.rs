//! [`CircuitBreakerLayer`]: leaves a sick model or region alone, and notices when it is well again.
//!
//! A model that is down or overloaded does not get better by being asked more often, and a caller
//! that waits for it could go somewhere else. So there is a circuit for each
//! [`Route`](crate::Route):
//!
//! * **closed**, calls go through and what comes of them is counted, over a sliding window of time;
//! * **open**, after too many failures, nothing is sent for a cooldown: calls are refused at once, or
//!   wait, if they have a deadline and nowhere else to go;
//! * **half-open**, after the cooldown, a single call goes through as a probe. If it is answered the
//!   circuit closes, if it fails the circuit opens again, for longer.
//!
//! [`CircuitBreakers`] holds the circuits: to be looked at, listened to, and opened or closed by
//! hand. [`CircuitPolicy`] says when they open and for how long.

mod breaker;
mod breakers;
mod bus;
mod bypass;
mod circuit;
mod circuits;
mod cooldown;
mod entrance;
mod error;
mod event;
pub mod future;
mod invalid;
mod key;
mod lanes;
mod layer;
mod line;
mod outcome;
mod permit;
mod policy;
mod ramp;
mod recent;
mod send_clock;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod window;

use std::time::Duration;

use tokio::time::Instant;

pub use self::{
    breakers::CircuitBreakers,
    error::CircuitOpen,
    event::{CircuitEvent, CircuitTransition, TransitionReason},
    invalid::InvalidCircuitPolicy,
    key::CircuitKey,
    layer::{CircuitBreaker, CircuitBreakerLayer},
    policy::CircuitPolicy,
    snapshot::{CircuitSnapshot, CircuitState},
};

/// `time` after `now`; `now` if the clock does not go so far, which no valid policy brings about.
fn later(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}

/// In nanoseconds, as many as there can be.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
