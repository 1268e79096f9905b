//! The calls of the last seconds that are not over yet.
//!
//! A refusal comes back in milliseconds, an answer in seconds. Of many calls that are sent at once,
//! those that fail are the first to be over, however few they are. So quick failures are held against
//! what is still under way, too.

use std::time::Duration;

use tokio::time::Instant;

use super::later;
use crate::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Calls are recent for so long, twice at most: when one fails that is older, those that were sent
/// with it have had their time.
pub(super) const RECENT: Duration = Duration::from_secs(10);

/// Numbers calls as they are admitted, and counts the recent ones that are under way.
#[derive(Clone, Debug)]
pub(super) struct RecentCalls {
    next: Arc<AtomicU64>,
    /// The number that came next at the last mark, and how many calls from it on are over.
    marked: u64,
    over: u64,
    /// The same of the mark before, up to the last one.
    marked_before: u64,
    over_before: u64,
    next_mark: Instant,
}

impl RecentCalls {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next: Arc::default(),
            marked: 0,
            over: 0,
            marked_before: 0,
            over_before: 0,
            next_mark: later(now, RECENT),
        }
    }

    /// Where the numbers come from.
    pub(super) const fn numbers(&self) -> &Arc<AtomicU64> {
        &self.next
    }

    /// The number of a call that is admitted.
    pub(super) fn admit(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The call of `number` is over. Tells whether it was recent.
    #[inline]
    pub(super) const fn end(&mut self, number: u64) -> bool {
        if number >= self.marked {
            self.over += 1;
        } else if number >= self.marked_before {
            self.over_before += 1;
        } else {
            return false;
        }
        true
    }

    /// How many recent calls are under way.
    pub(super) fn under_way(&self) -> u64 {
        let admitted = self.next.load(Ordering::Relaxed) - self.marked_before;
        admitted.saturating_sub(self.over + self.over_before)
    }

    /// Time goes on to `now`. It never goes back.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) {
        if now >= self.next_mark {
            self.mark(now);
        }
    }

    fn mark(&mut self, now: Instant) {
        let next = self.next.load(Ordering::Relaxed);
        let is_long_ago = now >= later(self.next_mark, RECENT);
        (self.marked_before, self.over_before) = if is_long_ago {
            (next, 0)
        } else {
            (self.marked, self.over)
        };
        (self.marked, self.over) = (next, 0);
        self.next_mark = later(now, RECENT);
    }
}
