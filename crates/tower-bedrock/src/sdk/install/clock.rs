//! How far the service's clock is from ours.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

/// The service's clock as its answers tell it: what signatures are dated by.
///
/// An answer's `Date` was written at some time between sending and receiving, so it bounds the
/// difference of the clocks and does not measure it: an answer that took a minute says little. The
/// estimate moves only as far as an answer proves it wrong.
#[derive(Debug, Default)]
pub(super) struct ServiceClock {
    /// Milliseconds that the service is ahead.
    ahead: AtomicI64,
}

/// `Date` has no fractions of a second.
const RESOLUTION: Duration = Duration::from_secs(1);

impl ServiceClock {
    /// The time at the service when it is `now` here.
    pub(super) fn at(&self, now: SystemTime) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        let there = if ahead >= 0 {
            now.checked_add(by)
        } else {
            now.checked_sub(by)
        };
        there.unwrap_or(now)
    }

    /// Whether the service's clock is known to be further from ours than `by`.
    pub(super) fn is_off_by(&self, by: Duration) -> bool {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed).unsigned_abs()) > by
    }

    /// Learns from an answer that was dated `date`, to a request that was out from `sent` to
    /// `received`. Returns how far the estimate was off.
    pub(super) fn learn(
        &self,
        date: SystemTime,
        sent: SystemTime,
        received: SystemTime,
    ) -> Duration {
        let least = millis_between(received, date);
        let most = millis_between(sent, date + RESOLUTION).max(least);
        let before = self.ahead.load(Ordering::Relaxed);
        let after = before.clamp(least, most);
        self.ahead.store(after, Ordering::Relaxed);
        Duration::from_millis(after.abs_diff(before))
    }
}

/// How many milliseconds it is from `from` to `to`.
fn millis_between(from: SystemTime, to: SystemTime) -> i64 {
    let millis = |gap: Duration| i64::try_from(gap.as_millis()).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(gap) => millis(gap),
        Err(behind) => -millis(behind.duration()),
    }
}
