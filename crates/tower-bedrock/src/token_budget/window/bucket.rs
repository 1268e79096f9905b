//! A token bucket: refills evenly, and allows a burst after a rest.

use super::{Drawn, MINUTE, Stamp, UsedShare};

/// A token bucket that refills a minute's quota in a minute.
///
/// Its level is counted in parts of a token so small that a quota of `n` a minute refills `n` of
/// them in each nanosecond: no fraction is ever lost.
#[derive(Debug)]
pub(in crate::token_budget) struct Bucket {
    /// How long an empty bucket takes to fill, in nanoseconds: sets its capacity.
    burst_nanos: u64,
    /// Negative while there is debt.
    level: i128,
    capacity: i128,
    /// Reserved and not sent, in tokens.
    reserved: u64,
    /// Sent and not settled, in tokens.
    open: u64,
    updated: u64,
    /// Whether an amount above the capacity is admitted by a full bucket.
    overdraws: bool,
    /// Whether what it holds may be more than what the service sets aside.
    estimates: bool,
}

/// Parts to a token.
const PARTS: i128 = MINUTE as i128;

const fn parts(tokens: u64) -> i128 {
    tokens as i128 * PARTS
}

/// Less than one would never let anything go.
const fn capacity(limit: u64, burst_nanos: u64) -> i128 {
    let capacity = limit as i128 * burst_nanos as i128;
    if capacity < PARTS { PARTS } else { capacity }
}

impl Bucket {
    /// A full bucket that holds what `limit` a minute gives in `burst_nanos`, and at least one.
    pub(in crate::token_budget) const fn full(limit: u64, burst_nanos: u64) -> Self {
        let capacity = capacity(limit, burst_nanos);
        Self {
            burst_nanos,
            level: capacity,
            capacity,
            reserved: 0,
            open: 0,
            updated: 0,
            overdraws: false,
            estimates: false,
        }
    }

    /// The same bucket, that goes into debt for an amount above its capacity: even spacing, as a
    /// GCRA with this burst.
    pub(in crate::token_budget) const fn overdrawing(mut self) -> Self {
        self.overdraws = true;
        self
    }

    /// The same bucket, which is never ahead of the service's while holds are at most half again what
    /// the service sets aside.
    ///
    /// A hold that is too large leaves room here for what flows in when the service's bucket is full
    /// and loses it; once the call has settled, this one would have more. So it is filled no further
    /// than to where the service's must be full: what may be over in open holds, a third of them, below
    /// its capacity.
    pub(in crate::token_budget) const fn of_estimates(mut self) -> Self {
        self.estimates = true;
        self
    }

    /// The same bucket, full at `now`.
    pub(in crate::token_budget) const fn starting(mut self, now: u64) -> Self {
        self.updated = now;
        self
    }

    pub(in crate::token_budget) fn advance(&mut self, now: u64, limit: u64) {
        let capacity = capacity(limit, self.burst_nanos);
        let elapsed = now.saturating_sub(self.updated);
        if elapsed > 0 || capacity != self.capacity {
            let refill = i128::from(limit).saturating_mul(i128::from(elapsed));
            self.capacity = capacity;
            self.level = self.level.saturating_add(refill).min(self.full_at());
            self.updated = self.updated.max(now);
        }
    }

    pub(super) const fn is_like(&self, other: &Self) -> bool {
        self.burst_nanos == other.burst_nanos
    }

    /// The most that it holds, in whole tokens.
    pub(super) fn capacity(&self) -> u64 {
        u64::try_from(self.capacity / PARTS).unwrap_or(u64::MAX)
    }

    /// The level up to which it is filled.
    const fn full_at(&self) -> i128 {
        let over = if self.estimates {
            parts(self.open) / 3
        } else {
            0
        };
        self.capacity - over
    }

    const fn free(&self) -> i128 {
        self.level - parts(self.reserved)
    }

    /// What has to be in the bucket for `amount` to be admitted.
    fn price(&self, amount: u64) -> i128 {
        if self.overdraws {
            parts(amount).min(self.capacity)
        } else {
            parts(amount)
        }
    }

    pub(in crate::token_budget) fn fits(&self, amount: u64) -> bool {
        self.price(amount) <= self.free()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.level == self.capacity && self.reserved == 0
    }

    pub(in crate::token_budget) const fn reserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_add(amount);
    }

    pub(in crate::token_budget) const fn unreserve(&mut self, amount: u64) {
        self.reserved = self.reserved.saturating_sub(amount);
    }

    pub(super) fn can_send(&self, amount: u64) -> bool {
        self.price(amount) <= self.level
    }

    pub(in crate::token_budget) const fn send(&mut self, amount: u64) -> Stamp {
        self.unreserve(amount);
        self.open = self.open.saturating_add(amount);
        self.level -= parts(amount);
        0
    }

    pub(in crate::token_budget) fn settle(&mut self, held: u64, used: u64) {
        self.open = self.open.saturating_sub(held);
        self.level = (self.level + parts(held) - parts(used)).min(self.full_at());
    }

    /// Forgives what is owed beyond what flows in within `longest`, but not what is still open.
    pub(in crate::token_budget) fn forgive(&mut self, limit: u64, longest: u64) {
        let most = i128::from(limit) * i128::from(longest);
        self.level = self.level.max(-most - parts(self.open));
    }

    pub(in crate::token_budget) fn not_before(&self, amount: u64, limit: u64) -> Option<u64> {
        let price = self.price(amount);
        if price > self.capacity - parts(self.reserved) {
            return None;
        }
        Some(self.regained_at(price - self.free(), limit))
    }

    pub(super) fn expected(&self, amount: u64, limit: u64, used: UsedShare) -> u64 {
        self.expected_behind(0, amount, limit, used)
    }

    /// About when `amount` fits, once `ahead` has gone.
    pub(in crate::token_budget) fn expected_behind(
        &self,
        ahead: u64,
        amount: u64,
        limit: u64,
        used: UsedShare,
    ) -> u64 {
        let refund = self.open.saturating_sub(used.apply(self.open));
        let reserved = used.apply(self.reserved);
        let level = (self.level + parts(refund)).min(self.capacity) - parts(reserved);
        self.regained_at(parts(ahead) + self.price(amount) - level, limit)
    }

    /// When `lacking` has flowed in.
    fn regained_at(&self, lacking: i128, limit: u64) -> u64 {
        if lacking <= 0 {
            return self.updated;
        }
        let rate = i128::from(limit.max(1));
        let wait = u64::try_from((lacking + rate - 1) / rate).unwrap_or(u64::MAX);
        self.updated.saturating_add(wait)
    }

    pub(super) fn drawn(&self, limit: u64) -> Drawn {
        let tokens = |parts: i128| u64::try_from(parts.max(0) / PARTS).unwrap_or(u64::MAX);
        let missing = (self.capacity - self.level + PARTS - 1).min(self.capacity);
        Drawn {
            used: tokens(missing).saturating_add(self.reserved),
            held: self.open.saturating_add(self.reserved).min(limit),
            debt: tokens(-self.level),
        }
    }
}
