//! What came of the calls of the last while, in exact counts.

use std::time::Duration;

use tokio::time::Instant;

use super::{later, nanos};

/// How finely the window slides: an outcome counts for the whole window, less at most one part of
/// so many.
const BUCKETS: usize = 60;

/// Counts over a sliding window of time. Costs the same however many outcomes are in it.
///
/// The window is cut into buckets at fixed times. It counts the bucket that time is in and those
/// before it, as many as there are: nothing that is older than the window, and everything that is
/// younger than it by one bucket.
#[derive(Clone, Debug)]
pub(super) struct Window {
    start: Instant,
    /// How long a bucket lasts, in nanoseconds.
    width: u64,
    /// The number of the bucket that time is in, and when it ends.
    current: u64,
    current_ends: Instant,
    buckets: [Counts; BUCKETS],
    total: Counts,
}

/// Outcomes that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Window {
    /// A window of `length`, in which nothing is counted yet.
    pub(super) fn new(start: Instant, length: Duration) -> Self {
        let mut window = Self {
            start,
            width: nanos(length).div_ceil(BUCKETS as u64).max(1),
            current: 0,
            current_ends: start,
            buckets: [Counts::default(); BUCKETS],
            total: Counts::default(),
        };
        window.enter(0);
        window
    }

    /// Time goes on to `now`. It never goes back.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) {
        if now >= self.current_ends {
            self.slide(now);
        }
    }

    fn slide(&mut self, now: Instant) {
        let number = nanos(now.saturating_duration_since(self.start)) / self.width;
        let passed = number.saturating_sub(self.current);
        if passed >= BUCKETS as u64 {
            self.clear();
        } else {
            for number in self.current + 1..=number {
                let old = std::mem::take(&mut self.buckets[slot(number)]);
                self.total.calls -= old.calls;
                self.total.failures -= old.failures;
                self.total.slow -= old.slow;
            }
        }
        self.enter(number.max(self.current));
    }

    fn enter(&mut self, number: u64) {
        self.current = number;
        let ends = Duration::from_nanos((number + 1).saturating_mul(self.width));
        self.current_ends = later(self.start, ends);
    }

    /// Counts an outcome that came in now.
    #[inline]
    pub(super) fn record(&mut self, is_failure: bool, is_slow: bool) {
        for counts in [&mut self.buckets[slot(self.current)], &mut self.total] {
            counts.calls += 1;
            counts.failures += u32::from(is_failure);
            counts.slow += u32::from(is_slow);
        }
    }

    /// Counts so many successes that came in now.
    pub(super) fn record_successes(&mut self, calls: u32) {
        self.buckets[slot(self.current)].calls += calls;
        self.total.calls += calls;
    }

    /// Until when what comes in counts as of now.
    pub(super) const fn now_ends(&self) -> Instant {
        self.current_ends
    }

    /// What counts now.
    #[inline]
    pub(super) const fn total(&self) -> Counts {
        self.total
    }

    /// Forgets all outcomes.
    pub(super) fn clear(&mut self) {
        self.buckets = [Counts::default(); BUCKETS];
        self.total = Counts::default();
    }
}

const fn slot(number: u64) -> usize {
    (number % BUCKETS as u64) as usize
}
