//! What a circuit is asked and told, and what it answers.

use std::time::Duration;

use super::{event::TransitionReason, snapshot::CircuitState, window::Counts};

/// What a call was admitted by: the generation, the [era](super::recent) in which that was, and which
/// of the generation's probes it is, if it is one.
///
/// In one word, since a ticket is moved several times on its way. The parts are cut short: generations
/// come again after four thousand million transitions, eras after a week, and so many probes have no
/// place at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    #[inline]
    pub(super) const fn new(generation: u64, era: u16) -> Self {
        Self(generation << 32 | (era as u64) << 16)
    }

    pub(super) const fn of_probe(self, probe: u16) -> Self {
        Self(self.0 | probe as u64)
    }

    #[inline]
    pub(super) const fn is_of(self, generation: u64) -> bool {
        (self.0 >> 32) as u32 == generation as u32
    }

    #[inline]
    pub(super) const fn era(self) -> u16 {
        (self.0 >> 16) as u16
    }

    pub(super) const fn probe(self) -> u16 {
        self.0 as u16
    }
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
