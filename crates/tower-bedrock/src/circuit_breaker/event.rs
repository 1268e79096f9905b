//! What circuits tell those who listen.

use std::{fmt, time::Duration};

use super::{error::CircuitOpen, outcome::Change, snapshot::CircuitState};
use crate::{call::CallContext, route::Route};

/// Something that happened to a circuit, or to a call because of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CircuitEvent<'a> {
    /// A circuit changed its state.
    #[non_exhaustive]
    Changed {
        /// How.
        transition: &'a CircuitTransition,
    },
    /// The turn of a call has come that waited for a circuit.
    #[non_exhaustive]
    Waited {
        /// The call.
        call: &'a CallContext,
        /// For how long.
        waited: Duration,
    },
    /// A call was refused.
    #[non_exhaustive]
    Refused {
        /// The call.
        call: &'a CallContext,
        /// Why.
        refusal: &'a CircuitOpen,
    },
}

/// A change of a circuit's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitTransition {
    /// What the circuit stands for: a route with the home region in the place of none, or the part
    /// of it that circuits are [kept by](crate::CircuitKey).
    pub route: Route,
    /// Its state before.
    pub from: CircuitState,
    /// Its state after.
    pub to: CircuitState,
    /// Why.
    pub reason: TransitionReason,
    /// The generation that began with it; one more with each transition of a circuit.
    pub generation: u64,
    /// For how long nothing is sent, if the circuit opened for a time.
    pub cooldown: Option<Duration>,
    /// Calls that counted in the window before; 0 unless the circuit was closed.
    pub calls: u32,
    /// Of those, the ones that failed.
    pub failures: u32,
    /// Of those, the ones that were slow, if that is looked at.
    pub slow_calls: u32,
}

/// Why a circuit changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransitionReason {
    /// Too many of the calls failed.
    FailureRate,
    /// Too many calls failed in a row.
    ConsecutiveFailures,
    /// Too many of the calls were slow.
    SlowCallRate,
    /// The cooldown is over, and a call came.
    CooldownOver,
    /// A probe failed.
    ProbeFailed,
    /// Enough probes were answered.
    ProbesSucceeded,
    /// By hand.
    Forced,
    /// By hand, to begin anew.
    Reset,
    /// The circuit was forgotten, because too many others were used since.
    Forgotten,
}

// === impl CircuitTransition ===

impl CircuitTransition {
    pub(super) fn new(route: Route, change: Change) -> Self {
        Self {
            route,
            from: change.from,
            to: change.to,
            reason: change.reason,
            generation: change.generation,
            cooldown: change.cooldown,
            calls: change.counts.calls,
            failures: change.counts.failures,
            slow_calls: change.counts.slow,
        }
    }
}

// === impl TransitionReason ===

impl TransitionReason {
    /// The reason in snake case, as it stands in metrics and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::SlowCallRate => "slow_call_rate",
            Self::CooldownOver => "cooldown_over",
            Self::ProbeFailed => "probe_failed",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::Forced => "forced",
            Self::Reset => "reset",
            Self::Forgotten => "forgotten",
        }
    }
}

impl fmt::Display for TransitionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
