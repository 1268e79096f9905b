//! What is known of a circuit at one moment.

use std::{fmt, time::Duration};

use super::outcome::View;
use crate::route::Route;

/// The state of a circuit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through, and what comes of them is counted.
    #[default]
    Closed,
    /// Calls are refused at once, or wait.
    Open,
    /// Probes go through, a few at a time; all other calls are refused at once, or
    /// wait.
    HalfOpen,
}

/// What is known of a circuit at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitSnapshot {
    /// What the circuit stands for: a route with the home region in the place of none, or the part
    /// of it that circuits are [kept by](crate::CircuitKey).
    pub route: Route,
    /// Its state. An open circuit whose cooldown is over is open until the next call comes.
    pub state: CircuitState,
    /// Whether it was opened or closed by hand.
    pub is_forced: bool,
    /// How often its state has changed. What comes of a call counts in the generation that admitted
    /// it, and in no other.
    pub generation: u64,
    /// Calls whose outcome counts in the window; 0 unless the circuit is closed.
    pub calls: u32,
    /// Of those, the ones that failed.
    pub failures: u32,
    /// Of those, the ones that were slow, if that is looked at.
    pub slow_calls: u32,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Probes that have a place.
    pub probes: usize,
    /// When a call may get through again, if none does now and that is known.
    pub retry_in: Option<Duration>,
    /// Calls that wait for it to close.
    pub waiting: usize,
    /// Calls that nobody waited for to their end, since the circuit is known.
    pub abandoned: u64,
    /// Calls that were refused, since the circuit is known.
    pub refused: u64,
}

// === impl CircuitState ===

impl CircuitState {
    /// The state in snake case, as it stands in metrics and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl CircuitSnapshot ===

impl CircuitSnapshot {
    pub(super) fn new(route: Route, view: View, waiting: usize) -> Self {
        Self {
            route,
            state: view.state,
            is_forced: view.is_forced,
            generation: view.generation,
            calls: view.counts.calls,
            failures: view.counts.failures,
            slow_calls: view.counts.slow,
            consecutive_failures: view.consecutive_failures,
            probes: view.probes,
            retry_in: view.passage.err().flatten(),
            waiting,
            abandoned: view.abandoned,
            refused: view.refused,
        }
    }
}
