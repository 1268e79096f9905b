//! What a circuit is asked and told, and what it answers.

use std::time::Duration;

use super::{event::TransitionReason, snapshot::CircuitState, window::Counts};

/// What a call was admitted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) generation: u64,
    /// Its place among all calls that were admitted.
    pub(super) number: u64,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is worth asking again after so long, if that is known.
    Open { retry_in: Option<Duration> },
    /// The circuit is forgotten: another one stands for its route.
    Forgotten,
}

/// What came of a call, as far as it says something of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered.
    Success { is_slow: bool },
    /// It failed, and the route is to blame.
    Failure {
        is_slow: bool,
        hint: Option<Duration>,
    },
    /// No answer came for so long that it counts as slow.
    Slow { hint: Option<Duration> },
    /// It was throttled. That is no failure, but no sign of health either.
    Throttled { hint: Option<Duration> },
    /// It says nothing of the route.
    Nothing,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: CircuitState,
    pub(super) to: CircuitState,
    pub(super) reason: TransitionReason,
    pub(super) generation: u64,
    /// How long nothing is sent, when the circuit opened for a time.
    pub(super) cooldown: Option<Duration>,
    /// What counted before.
    pub(super) counts: Counts,
}

/// What is known of a circuit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: CircuitState,
    pub(super) is_forced: bool,
    pub(super) generation: u64,
    pub(super) counts: Counts,
    pub(super) consecutive_failures: u32,
    pub(super) probes: usize,
    /// `Ok` if a call would be admitted.
    pub(super) passage: Result<(), Option<Duration>>,
    pub(super) abandoned: u64,
    pub(super) refused: u64,
}
