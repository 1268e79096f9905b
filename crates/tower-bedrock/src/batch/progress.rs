//! How far a batch has come.

/// How far a [`Batch`](crate::Batch) has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchProgress {
    /// How many requests there are in all; `None` where the input does not know.
    pub total: Option<u64>,
    /// How many were answered.
    pub succeeded: u64,
    /// How many failed.
    pub failed: u64,
    /// How many are under way.
    pub in_flight: u64,
}

impl BatchProgress {
    /// How many are over, one way or the other.
    #[must_use]
    pub const fn finished(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }
}
