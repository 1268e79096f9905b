//! Why a call got no place.

use std::{error::Error as StdError, fmt};

use super::key::PoolKey;
use crate::{cause::Cause, error::Error};

/// A call was refused because its pool is full. Nothing was sent, and the service was not asked: this
/// is not its own "Too many connections", which is
/// [`CapacityExceeded`](crate::Cause::CapacityExceeded).
///
/// It is the `source` of an [`Error`] with [`Cause::PoolSaturated`].
///
/// # Example
///
/// ```
/// use tower_bedrock::{Error, PoolSaturated};
///
/// fn advice(error: &Error) -> Option<String> {
///     let refusal = PoolSaturated::of(error)?;
///     Some(format!("{} of {} in flight", refusal.in_flight(), refusal.limit()))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSaturated {
    pub(super) key: PoolKey,
    pub(super) limit: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) reason: SaturatedReason,
}

/// Why a call got no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaturatedReason {
    /// All places are taken, and as many calls wait as may.
    QueueFull,
    /// It has waited for as long as the pool, or the call itself, allows.
    MaxWait,
    /// Its deadline came before its turn.
    Deadline,
}

impl PoolSaturated {
    /// The refusal behind `error`, if it is one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// The pool.
    #[must_use]
    pub const fn key(&self) -> &PoolKey {
        &self.key
    }

    /// How many calls may be in flight.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How many were in flight.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many waited.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Why the call got no place.
    #[must_use]
    pub const fn reason(&self) -> SaturatedReason {
        self.reason
    }
}

impl fmt::Display for PoolSaturated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            limit,
            in_flight,
            waiting,
            ..
        } = self;
        write!(
            f,
            "the pool {key} is full: {in_flight} of {limit} calls in flight, {waiting} waiting"
        )?;
        f.write_str(match self.reason {
            SaturatedReason::QueueFull => "; no more may wait",
            SaturatedReason::MaxWait => "; the call has waited as long as it may",
            SaturatedReason::Deadline => "; the call's deadline came before its turn",
        })
    }
}

impl StdError for PoolSaturated {}

impl From<PoolSaturated> for Error {
    fn from(refusal: PoolSaturated) -> Self {
        Self::new(Cause::PoolSaturated)
            .with_message(refusal.to_string())
            .with_source(refusal)
    }
}
