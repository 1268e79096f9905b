//! The calls of the last seconds that are not over yet.
//!
//! A refusal comes back in milliseconds, an answer in seconds. Of many calls that are sent at once,
//! those that fail are the first to be over, however few they are. So quick failures are held against
//! what is still under way, too.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    lanes::{Answers, Lanes},
    later,
};
use crate::sync::Arc;

/// How long an era lasts, or longer if nothing happens. Calls of this era and of the last are recent:
/// when one fails that is older, those that were sent with it have had their time.
pub(super) const RECENT: Duration = Duration::from_secs(10);

/// Tells the eras of calls as they are admitted, and counts the recent ones that are under way.
#[derive(Clone, Debug)]
pub(super) struct RecentCalls {
    lanes: Arc<Lanes>,
    era: u16,
    /// Calls of this era that were admitted beside the lanes, and calls that are over.
    admitted: u64,
    over: u64,
    /// Calls of the last era.
    admitted_before: u64,
    over_before: u64,
    era_ends: Instant,
}

impl RecentCalls {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            lanes: Arc::default(),
            era: 0,
            admitted: 0,
            over: 0,
            admitted_before: 0,
            over_before: 0,
            era_ends: later(now, RECENT),
        }
    }

    /// Where calls that pass are counted.
    pub(super) const fn lanes(&self) -> &Arc<Lanes> {
        &self.lanes
    }

    pub(super) const fn era(&self) -> u16 {
        self.era
    }

    pub(super) const fn era_ends(&self) -> Instant {
        self.era_ends
    }

    /// A call is admitted beside the lanes: its era.
    pub(super) const fn admit(&mut self) -> u16 {
        self.admitted += 1;
        self.era
    }

    /// A call of `era` is over. Tells whether it was recent.
    #[inline]
    pub(super) const fn end(&mut self, era: u16) -> bool {
        match self.era.wrapping_sub(era) {
            0 => self.over += 1,
            1 => self.over_before += 1,
            _ => return false,
        }
        true
    }

    /// Calls were answered in the lanes.
    pub(super) const fn take_over(&mut self, answers: Answers) {
        self.over += answers.this_era;
        self.over_before += answers.last_era;
    }

    /// How many recent calls are under way.
    pub(super) fn under_way(&self) -> u64 {
        let admitted = self.lanes.admitted() + self.admitted + self.admitted_before;
        admitted.saturating_sub(self.over + self.over_before)
    }

    /// Time goes on to `now`. It never goes back.
    #[inline]
    pub(super) fn advance(&mut self, now: Instant) {
        if now >= self.era_ends {
            self.begin_era(now);
        }
    }

    fn begin_era(&mut self, now: Instant) {
        let is_long_ago = now >= later(self.era_ends, RECENT);
        // As if one had been begun, and nothing had happened in it.
        self.era = self.era.wrapping_add(if is_long_ago { 2 } else { 1 });
        let admitted = self.lanes.begin(self.era) + self.admitted;
        (self.admitted_before, self.over_before) = if is_long_ago {
            (0, 0)
        } else {
            (admitted, self.over)
        };
        (self.admitted, self.over) = (0, 0);
        self.era_ends = later(now, RECENT);
    }
}
