//! How much of a quota is drawn: the ways to count a minute or a day.
//!
//! Time is in nanoseconds since the ledger's start, amounts are whole tokens or requests, and all
//! arithmetic is exact. A meter that is asked about a time before the last one it heard of answers
//! for that last one: a clock that steps back makes quotas come back later, never earlier.

mod bucket;
mod fixed;
mod sliding;
#[cfg(test)]
mod tests;

pub(super) use self::{bucket::Bucket, fixed::Fixed, sliding::Sliding};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const DAY: u64 = 24 * 60 * MINUTE;

/// A quota that is not there.
pub(super) const UNLIMITED: u64 = u64::MAX;

/// What is drawn of a quota, counted one way or the other.
///
/// An amount is first *reserved*, which counts without ageing, then *sent*, which is when the
/// service sees it and time begins to give it back, then *settled* by what was really used.
#[derive(Debug)]
pub(super) enum Meter {
    Sliding(Sliding),
    Bucket(Bucket),
    Fixed(Fixed),
}

/// When an amount was sent, as its meter counts time.
pub(super) type Stamp = u64;

impl Meter {
    /// Brings the meter to `now` under `limit`.
    pub(super) fn advance(&mut self, now: u64, limit: u64) {
        match self {
            Self::Sliding(window) => window.advance(now, limit),
            Self::Bucket(bucket) => bucket.advance(now, limit),
            Self::Fixed(window) => window.advance(now),
        }
    }

    /// Until when time alone changes nothing.
    pub(super) const fn steady_until(&self) -> u64 {
        match self {
            Self::Sliding(window) => window.steady_until(),
            Self::Bucket(_) | Self::Fixed(_) => 0,
        }
    }

    /// Takes another limit.
    pub(super) fn limit_changed(&mut self, now: u64, limit: u64) {
        match self {
            Self::Sliding(window) => window.pay(limit),
            Self::Bucket(bucket) => bucket.advance(now, limit),
            Self::Fixed(_) => {}
        }
    }

    /// Whether the other counts the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sliding(one), Self::Sliding(other)) => one.is_like(other),
            (Self::Bucket(one), Self::Bucket(other)) => one.is_like(other),
            (Self::Fixed(_), Self::Fixed(_)) => true,
            _ => false,
        }
    }

    /// The largest amount that can ever be reserved.
    pub(super) fn capacity(&self, limit: u64) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.capacity(),
            Self::Sliding(_) | Self::Fixed(_) => limit,
        }
    }

    /// Whether `amount` can be reserved now.
    #[inline]
    pub(super) fn fits(&self, amount: u64, limit: u64) -> bool {
        match self {
            Self::Sliding(window) => window.fits(amount, limit),
            Self::Bucket(bucket) => bucket.fits(amount),
            Self::Fixed(window) => window.fits(amount, limit),
        }
    }

    /// Whether nothing at all is drawn.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Sliding(window) => window.is_idle(),
            Self::Bucket(bucket) => bucket.is_idle(),
            Self::Fixed(window) => window.is_idle(),
        }
    }

    #[inline]
    pub(super) fn reserve(&mut self, amount: u64) {
        match self {
            Self::Sliding(window) => window.reserve(amount),
            Self::Bucket(bucket) => bucket.reserve(amount),
            Self::Fixed(window) => window.reserve(amount),
        }
    }

    /// Gives back what was reserved and not sent.
    pub(super) fn unreserve(&mut self, amount: u64, limit: u64) {
        match self {
            Self::Sliding(window) => window.unreserve(amount, limit),
            Self::Bucket(bucket) => bucket.unreserve(amount),
            Self::Fixed(window) => window.unreserve(amount),
        }
    }

    /// Whether what was reserved can still be sent: not if debt has come up, or the limit has fallen.
    pub(super) fn can_send(&self, amount: u64, limit: u64) -> bool {
        match self {
            Self::Sliding(window) => window.can_send(amount, limit),
            Self::Bucket(bucket) => bucket.can_send(amount),
            Self::Fixed(window) => window.can_send(amount, limit),
        }
    }

    /// Sends what was reserved.
    #[inline]
    pub(super) fn send(&mut self, amount: u64) -> Stamp {
        match self {
            Self::Sliding(window) => window.send(amount),
            Self::Bucket(bucket) => bucket.send(amount),
            Self::Fixed(window) => window.send(amount),
        }
    }

    /// Replaces the `held` that was sent by `used`. What is over comes back, unless it has come back
    /// with time already; what is lacking is drawn now.
    #[inline]
    pub(super) fn settle(&mut self, sent: Stamp, held: u64, used: u64, limit: u64) {
        match self {
            Self::Sliding(window) => window.settle(sent, held, used, limit),
            Self::Bucket(bucket) => bucket.settle(held, used),
            Self::Fixed(window) => window.settle(sent, held, used),
        }
    }

    /// When `amount` fits if nothing is sent or settled until then; `None` if time alone does not
    /// help. Exact, unless debt exceeds the quota: then it is a moment to ask again.
    pub(super) fn not_before(&self, amount: u64, limit: u64) -> Option<u64> {
        match self {
            Self::Sliding(window) => window.not_before(amount, limit),
            Self::Bucket(bucket) => bucket.not_before(amount, limit),
            Self::Fixed(window) => window.not_before(amount, limit),
        }
    }

    /// About when `amount` fits, if of what is held and unsettled only `used` is.
    pub(super) fn expected(&self, amount: u64, limit: u64, used: UsedShare) -> u64 {
        match self {
            Self::Sliding(window) => window.expected(amount, limit, used),
            Self::Bucket(bucket) => bucket.expected(amount, limit, used),
            Self::Fixed(window) => window.expected(amount, limit, used),
        }
    }

    /// What counts now: sent or reserved.
    pub(super) fn drawn(&self, limit: u64) -> Drawn {
        match self {
            Self::Sliding(window) => window.drawn(),
            Self::Bucket(bucket) => bucket.drawn(limit),
            Self::Fixed(window) => window.drawn(),
        }
    }
}

/// What is drawn of a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    /// All that counts against the quota, without debt.
    pub(super) used: u64,
    /// Of that, what is held for calls that have not settled.
    pub(super) held: u64,
    /// What was used above the quota, and must come back before anything else is admitted.
    pub(super) debt: u64,
}

/// Which part of their holds calls use in the end, in 1024ths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedShare(u32);

impl UsedShare {
    /// All of it.
    pub(super) const WHOLE: Self = Self(1024);

    /// `used` of `held`.
    pub(super) fn of(used: u64, held: u64) -> Self {
        if held == 0 {
            return Self::WHOLE;
        }
        let share = u128::from(used) * 1024 / u128::from(held);
        Self(u32::try_from(share).unwrap_or(u32::MAX).min(16 * 1024))
    }

    /// What `held` comes to.
    pub(super) fn apply(self, held: u64) -> u64 {
        let used = u128::from(held) * u128::from(self.0) / 1024;
        u64::try_from(used).unwrap_or(u64::MAX)
    }
}
