//! Full jitter.

use std::time::Duration;

use rand::Rng;

/// Exponential backoff with full jitter: a wait is drawn evenly from nothing to
/// `min(cap, base · 2^retry)`.
///
/// The whole range is drawn from, at the cap too: clients that failed together do not come back
/// together. Jitter spreads load; what bounds it is the [`RetryBudget`](crate::RetryBudget).
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use rand::{SeedableRng, rngs::StdRng};
/// use tower_bedrock::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(20));
/// assert_eq!(backoff.ceiling(0), Duration::from_secs(1));
/// assert_eq!(backoff.ceiling(3), Duration::from_secs(8));
/// assert_eq!(backoff.ceiling(30), Duration::from_secs(20));
/// assert!(backoff.draw(3, &mut StdRng::seed_from_u64(7)) <= Duration::from_secs(8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// Waits of up to `base` before the first retry, doubling, never above `cap`.
    ///
    /// A `base` above `cap` counts as `cap`; a zero `base` makes every wait zero.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The longest wait before the first retry.
    #[must_use]
    pub const fn base(&self) -> Duration {
        self.base
    }

    /// The longest wait before any retry.
    #[must_use]
    pub const fn cap(&self) -> Duration {
        self.cap
    }

    /// The longest wait before retry number `retry`, counted from 0.
    #[must_use]
    pub fn ceiling(&self, retry: u32) -> Duration {
        let factor = 1_u128.checked_shl(retry).unwrap_or(u128::MAX);
        let nanos = self.base.as_nanos().saturating_mul(factor);
        Duration::from_nanos_u128(nanos.min(self.cap.as_nanos()))
    }

    /// A wait before retry number `retry`, counted from 0.
    #[must_use]
    pub fn draw<R: Rng + ?Sized>(&self, retry: u32, rng: &mut R) -> Duration {
        uniform(self.ceiling(retry), rng)
    }
}

/// A duration drawn evenly from nothing to `ceiling`, both included, to the nanosecond.
pub(crate) fn uniform<R: Rng + ?Sized>(ceiling: Duration, rng: &mut R) -> Duration {
    use rand::RngExt;
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.random_range(0..=nanos))
}
