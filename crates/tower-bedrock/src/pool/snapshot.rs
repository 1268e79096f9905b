//! What is known of a pool at one moment.

use super::key::PoolKey;

/// What is known of a pool at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSnapshot {
    /// The pool.
    pub key: PoolKey,
    /// How many calls may be in flight. Fewer than are in flight, if it was lowered meanwhile.
    pub limit: usize,
    /// How many calls have a place, until their replies are finished.
    pub in_flight: usize,
    /// How many calls wait for a place.
    pub waiting: usize,
    /// The most that were ever in flight.
    pub most_in_flight: usize,
    /// The most that ever waited.
    pub most_waiting: usize,
    /// How many calls got a place so far.
    pub admitted: u64,
    /// How many calls were refused so far.
    pub refused: u64,
}

impl PoolSnapshot {
    /// The share of places that are taken, 1 or more when there is none left.
    #[must_use]
    pub fn saturation(&self) -> f64 {
        self.in_flight as f64 / self.limit.max(1) as f64
    }
}
