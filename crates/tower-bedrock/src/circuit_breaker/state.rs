//! The states of a circuit.

use std::time::Duration;

use tokio::time::Instant;

use super::snapshot::CircuitState;

/// Where a circuit is.
#[derive(Debug)]
pub(super) enum State {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        probes: Vec<Probe>,
        /// How many have been sent.
        sent: u16,
        successes: u32,
    },
    ForcedOpen,
    ForcedClosed,
    /// Nobody remembers the circuit any more.
    Forgotten,
}

/// A probe that has a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) number: u16,
    /// When its place is free for another.
    pub(super) until: Instant,
}

impl State {
    /// Half-open, with nobody sent yet.
    pub(super) const fn half_open() -> Self {
        Self::HalfOpen {
            probes: Vec::new(),
            sent: 0,
            successes: 0,
        }
    }

    /// What it is called outside.
    pub(super) const fn name(&self) -> CircuitState {
        match self {
            Self::Closed | Self::ForcedClosed | Self::Forgotten => CircuitState::Closed,
            Self::Open { .. } | Self::ForcedOpen => CircuitState::Open,
            Self::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    pub(super) const fn is_forced(&self) -> bool {
        matches!(self, Self::ForcedOpen | Self::ForcedClosed)
    }

    /// How many probes have a place at `now`.
    pub(super) fn places(&self, now: Instant) -> usize {
        match self {
            Self::HalfOpen { probes, .. } => {
                let taken = probes.iter().filter(|probe| probe.until > now);
                taken.count()
            }
            _ => 0,
        }
    }

    /// Whether a call would be admitted at `now` if `most` probes may have a place; if not, when it is
    /// worth asking again.
    pub(super) fn passage(&self, now: Instant, most: u32) -> Result<(), Option<Duration>> {
        match self {
            Self::Closed | Self::ForcedClosed | Self::Forgotten => Ok(()),
            Self::Open { until } if *until <= now => Ok(()),
            Self::Open { until } => Err(Some(until.saturating_duration_since(now))),
            Self::ForcedOpen => Err(None),
            Self::HalfOpen { .. } if (self.places(now) as u64) < u64::from(most) => Ok(()),
            Self::HalfOpen { probes, .. } => {
                let taken = probes.iter().filter(|probe| probe.until > now);
                let waits = taken.map(|probe| probe.until.saturating_duration_since(now));
                Err(waits.min())
            }
        }
    }
}
