//! How many calls may move to a rung.

use std::time::Duration;

use tokio::time::Instant;

use crate::sync::{Mutex, PoisonError};

/// What may go at once, of a second's worth: calls come in clumps, and a tenth of a second is short
/// against them.
const BURST: Duration = Duration::from_millis(100);

/// At most so many calls per second, evenly spaced (GCRA).
#[derive(Debug)]
pub(super) struct Cap {
    /// The time between two calls.
    interval: Duration,
    /// When the calls that were let through are through, at their pace.
    busy_until: Mutex<Option<Instant>>,
}

impl Cap {
    /// `None` if the rate is not a number above zero.
    pub(super) fn per_second(rate: f64) -> Option<Self> {
        let is_rate = rate.is_finite() && rate > 0.0;
        let interval = Duration::try_from_secs_f64(1.0 / rate).ok();
        Some(Self {
            interval: interval.filter(|_| is_rate)?,
            busy_until: Mutex::new(None),
        })
    }

    /// Whether a call could go at `now`.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let busy_until = self.busy_until.lock();
        let busy_until = *busy_until.unwrap_or_else(PoisonError::into_inner);
        self.lets(busy_until, now)
    }

    /// Lets a call go at `now`, if there is room for it.
    pub(super) fn take(&self, now: Instant) -> bool {
        let busy_until = self.busy_until.lock();
        let mut busy_until = busy_until.unwrap_or_else(PoisonError::into_inner);
        let lets = self.lets(*busy_until, now);
        if lets {
            let start = busy_until.map_or(now, |busy_until| busy_until.max(now));
            *busy_until = start.checked_add(self.interval).or(*busy_until);
        }
        lets
    }

    /// A call that was let go was not sent.
    pub(super) fn give_back(&self) {
        let busy_until = self.busy_until.lock();
        let mut busy_until = busy_until.unwrap_or_else(PoisonError::into_inner);
        *busy_until = busy_until.and_then(|busy_until| busy_until.checked_sub(self.interval));
    }

    /// A burst holds one call at least.
    fn lets(&self, busy_until: Option<Instant>, now: Instant) -> bool {
        let Some(busy_until) = busy_until else {
            return true;
        };
        let ahead = busy_until.saturating_duration_since(now);
        ahead.saturating_add(self.interval) <= BURST.max(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls that come as fast as they like go at the rate, whatever it is.
    #[test]
    fn no_more_than_the_rate_goes() {
        let start = Instant::now();
        for (rate, seconds) in [(0.5, 60_u64), (1.0, 60), (10.0, 60), (333.0, 10)] {
            let cap = Cap::per_second(rate).unwrap();
            let gone = (0..seconds * 1000)
                .filter(|&ms| cap.take(start + Duration::from_millis(ms)))
                .count() as f64;
            let most = rate * seconds as f64 + (rate * 0.1).max(1.0);
            assert!(gone <= most, "{gone} of {most} at {rate}");
            assert!(gone >= most * 0.97 - 1.0, "{gone} of {most} at {rate}");
        }
    }

    /// What did not go in a quiet hour does not go at once after it.
    #[test]
    fn a_pause_saves_nothing_up() {
        let start = Instant::now();
        let cap = Cap::per_second(10.0).unwrap();
        assert!(cap.take(start));
        let later = start + Duration::from_secs(3600);
        assert!(cap.take(later) && !cap.take(later));
    }

    /// What was not sent after all leaves its place to another.
    #[test]
    fn what_is_given_back_may_be_taken_again() {
        let now = Instant::now();
        let cap = Cap::per_second(2.0).unwrap();
        assert!(cap.take(now));
        assert!(!cap.has_room(now) && !cap.take(now));
        cap.give_back();
        assert!(cap.has_room(now) && cap.take(now));
        assert!(!cap.take(now));
    }

    /// Rates that mean nothing are refused.
    #[test]
    fn a_rate_is_a_number_above_zero() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(Cap::per_second(rate).is_none(), "{rate}");
        }
        assert!(Cap::per_second(1e12).is_some());
    }
}
