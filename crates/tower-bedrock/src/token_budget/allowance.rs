//! One limit of a ledger: its window, its pace, and what was learned of it.

use super::{
    learning::Learner,
    window::{Bucket, Drawn, MINUTE, Meter, SECOND, Sliding, Stamp, UNLIMITED, UsedShare},
};

/// A learned rate is kept evenly, with this much of a burst: what others draw in the same minute is
/// not known, so there is no minute to use up at once.
const LEARNED_BURST: u64 = 2 * SECOND;
/// A call that is large against a learned rate keeps others waiting no longer than this once it is
/// over: the rate may be far too low, and only calls that go find that out.
const LONGEST_DEBT: u64 = MINUTE;

#[derive(Debug)]
pub(super) struct Allowance {
    /// The configured share of the quota.
    quota: u64,
    meter: Meter,
    learner: Learner,
    /// Even spacing at the configured pace or the learned rate, if there is one.
    pacer: Option<Bucket>,
    pace: Option<Pace>,
    /// Which of the meters that this limit has had: what an older one counted is none of this one's.
    era: u16,
    now: u64,
}

/// The window of a limit that has nothing else now.
pub(super) struct Steady<'a> {
    window: &'a mut Sliding,
    quota: u64,
    era: Stamp,
}

impl Steady<'_> {
    #[inline]
    pub(super) const fn fits(&self, amount: u64) -> bool {
        self.window.fits(amount, self.quota)
    }

    /// Sends what was not reserved before.
    #[inline]
    pub(super) const fn draw(self, amount: u64) -> Stamp {
        self.window.draw(amount) | self.era
    }

    #[inline]
    pub(super) fn settle(self, sent: Stamp, held: u64, used: u64) {
        let sent = sent ^ self.era;
        // Else it was counted by another meter.
        if sent >> ERA == 0 {
            self.window.settle(sent, held, used, self.quota);
        }
    }
}

/// Where the era stands in a stamp.
const ERA: u32 = 48;
/// The stamp of a call that a limit did not count.
pub(super) const UNCOUNTED: Stamp = Stamp::MAX;

/// Even spacing below the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// The share of the quota to go at, in millionths.
    pub(super) share: u64,
    /// How long the pace may be saved up, in nanoseconds.
    pub(super) burst: u64,
}

impl Pace {
    fn rate(self, quota: u64) -> u64 {
        if quota == UNLIMITED {
            return UNLIMITED;
        }
        let rate = u128::from(quota) * u128::from(self.share) / 1_000_000;
        u64::try_from(rate).unwrap_or(quota).max(1)
    }
}

impl Allowance {
    pub(super) fn new(quota: u64, meter: Meter, pace: Option<Pace>, learns: bool) -> Self {
        let mut allowance = Self {
            quota,
            meter,
            learner: Learner::new(learns),
            pacer: None,
            pace,
            era: 0,
            now: 0,
        };
        allowance.set_pacer();
        allowance
    }

    /// Changes to count as `new` does: what is drawn stays drawn, what was learned is forgotten.
    pub(super) fn become_like(&mut self, mut new: Self) {
        new.advance(self.now);
        if self.meter.is_like(&new.meter) {
            self.meter.limit_changed(self.now, new.quota);
            std::mem::swap(&mut self.meter, &mut new.meter);
            new.era = self.era;
        } else {
            // A meter of another kind does not know when what was drawn was drawn: it counts from now.
            let drawn = self.meter.drawn(self.quota);
            let drawn = drawn.used.saturating_add(drawn.debt);
            let stamp = new.meter.send(drawn);
            new.meter.settle(stamp, drawn, drawn, new.quota);
            new.era = (self.era + 1) % (u16::MAX / 2);
        }
        *self = new;
    }

    pub(super) const fn quota(&self) -> u64 {
        self.quota
    }

    /// The largest amount that can ever be admitted.
    pub(super) fn capacity(&self) -> u64 {
        self.meter.capacity(self.quota)
    }

    /// The learned rate a minute; `UNLIMITED` if nothing is learned.
    pub(super) const fn learned(&self) -> u64 {
        self.learner.limit()
    }

    /// The rate that the pacer keeps, a minute.
    fn rate(&self) -> u64 {
        let pace = self.pace.map_or(UNLIMITED, |pace| pace.rate(self.quota));
        pace.min(self.learner.limit())
    }

    /// Makes or drops the pacer as there is a rate to keep or not.
    fn set_pacer(&mut self) {
        let rate = self.rate();
        if rate == UNLIMITED {
            self.pacer = None;
        } else if self.pacer.is_none() {
            let burst = self.pace.map_or(LEARNED_BURST, |pace| pace.burst);
            self.pacer = Some(Bucket::full(rate, burst).overdrawing().starting(self.now));
        }
    }

    pub(super) fn advance(&mut self, now: u64) {
        self.now = now;
        self.meter.advance(now, self.quota);
        if self.pacer.is_some() {
            self.advance_pacer();
        }
    }

    /// Until when time alone changes nothing.
    pub(super) fn steady_until(&self) -> u64 {
        if self.pacer.is_some() || self.learner.has_learned() {
            0
        } else {
            self.meter.steady_until()
        }
    }

    fn advance_pacer(&mut self) {
        if self.learner.has_learned() {
            self.learner.grow(self.now, self.quota);
            self.set_pacer();
        }
        let rate = self.rate();
        if let Some(pacer) = &mut self.pacer {
            pacer.advance(self.now, rate);
            if self.learner.has_learned() {
                pacer.forgive(rate, LONGEST_DEBT);
            }
        }
    }

    #[inline]
    pub(super) fn fits(&self, amount: u64) -> bool {
        self.meter.fits(amount, self.quota)
            && self.pacer.as_ref().is_none_or(|pacer| pacer.fits(amount))
    }

    #[inline]
    pub(super) fn reserve(&mut self, amount: u64) {
        self.meter.reserve(amount);
        if let Some(pacer) = &mut self.pacer {
            pacer.reserve(amount);
        }
    }

    pub(super) fn unreserve(&mut self, amount: u64) {
        self.meter.unreserve(amount, self.quota);
        if let Some(pacer) = &mut self.pacer {
            pacer.unreserve(amount);
        }
    }

    pub(super) fn can_send(&self, amount: u64) -> bool {
        self.meter.can_send(amount, self.quota)
    }

    #[inline]
    pub(super) fn send(&mut self, amount: u64) -> Stamp {
        if let Some(pacer) = &mut self.pacer {
            pacer.send(amount);
        }
        if self.learner.has_learned() {
            self.learner.sent(amount);
        }
        self.meter.send(amount) | (Stamp::from(self.era) << ERA)
    }

    /// Sends what was not reserved before.
    pub(super) fn send_at_once(&mut self, amount: u64) -> Stamp {
        self.reserve(amount);
        self.send(amount)
    }

    /// The window, of a limit for which time alone changes nothing now: it has nothing else, neither a pace
    /// nor anything that was learned.
    #[inline]
    pub(super) fn steady(&mut self) -> Option<Steady<'_>> {
        debug_assert!(self.steady_until() > self.now, "{self:?}");
        match &mut self.meter {
            Meter::Sliding(window) => Some(Steady {
                window,
                quota: self.quota,
                era: Stamp::from(self.era) << ERA,
            }),
            Meter::Bucket(_) | Meter::Fixed(_) => None,
        }
    }

    /// The same as [`fits`](Self::fits), where time alone changes nothing now.
    #[inline]
    pub(super) fn fits_steadily(&self, amount: u64) -> bool {
        match &self.meter {
            Meter::Sliding(window) => window.fits(amount, self.quota),
            Meter::Bucket(_) | Meter::Fixed(_) => self.fits(amount),
        }
    }

    /// When a stamp was given, if it was given by this meter.
    #[inline]
    fn own(&self, stamp: Stamp) -> Option<Stamp> {
        let era = Stamp::from(self.era) << ERA;
        (stamp >> ERA == era >> ERA).then_some(stamp ^ era)
    }

    #[inline]
    pub(super) fn settle(&mut self, sent: Stamp, held: u64, used: u64) {
        let Some(sent) = self.own(sent) else {
            return;
        };
        self.meter.settle(sent, held, used, self.quota);
        if let Some(pacer) = &mut self.pacer {
            pacer.settle(held, used);
        }
    }

    /// What was sent at `sent` was used as it was drawn, as a request is. A window counts it so already.
    #[inline]
    pub(super) fn settle_whole(&mut self, sent: Stamp, amount: u64) {
        if self.pacer.is_some() || !matches!(self.meter, Meter::Sliding(_)) {
            self.settle(sent, amount, amount);
        }
    }

    /// The service did what it was asked for while `amount` was held.
    #[inline]
    pub(super) fn admitted(&mut self, amount: u64) {
        self.learner.admitted(amount, self.quota);
    }

    /// The service refused `amount`, sent at `sent`, for this limit. It counts as nothing, but for
    /// the pace: that time is lost.
    pub(super) fn refused(&mut self, sent: Stamp, amount: u64) {
        if let Some(sent) = self.own(sent) {
            self.meter.settle(sent, amount, 0, self.quota);
        }
        let used = self.meter.drawn(self.quota).used;
        self.learner.refused(self.now, amount, used, self.quota);
        if self.pacer.is_none() {
            self.set_pacer();
            if let Some(pacer) = &mut self.pacer {
                pacer.send(amount);
            }
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.settle(amount, amount);
        }
    }

    pub(super) fn not_before(&self, amount: u64) -> Option<u64> {
        let then = self.meter.not_before(amount, self.quota)?;
        match &self.pacer {
            Some(pacer) => Some(then.max(pacer.not_before(amount, self.rate())?)),
            None => Some(then),
        }
    }

    /// About when `amount` fits behind `ahead`, if calls use that share of what they hold.
    pub(super) fn expected(&self, ahead: u64, amount: u64, used: UsedShare) -> u64 {
        let ahead = used.apply(ahead);
        let wanted = ahead.saturating_add(amount);
        let then = self.meter.expected(wanted, self.quota, used);
        match &self.pacer {
            Some(pacer) => then.max(pacer.expected_behind(ahead, amount, self.rate(), used)),
            None => then,
        }
    }

    pub(super) fn drawn(&self) -> Drawn {
        self.meter.drawn(self.quota)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.meter.is_idle()
    }
}
