//! The rate that the service's refusals teach: additive increase, multiplicative decrease.

use super::window::{MINUTE, SECOND, UNLIMITED};

/// A refused token takes this many off the limit, times the limit's share of its reference. Enough
/// that refusals stay a few percent of what is sent.
const WEIGHT: u128 = 8;
/// One refusal takes off at most this part of the limit: a large call is one lesson, not eight.
const MOST_AT_ONCE: u64 = 8;
/// The time in which refusals together take off at most half: what is refused together was sent
/// before the first refusal was heard.
const LESSON: u64 = 5 * SECOND;
/// An empty limit grows by its reference in this time, a larger one more slowly.
const GROWTH: u64 = 3 * MINUTE;
/// The slowest growth, as a part of the fastest: without it, nothing would ever be whole again.
const LEAST_GROWTH: u64 = 4;
/// Growth gets faster with the square of the minutes since the last refusal, up to this factor: slow
/// where refusals are near, fast where there is nobody any more.
const FASTEST_GROWTH: u128 = 16;
/// The longest time that growth makes up for at once.
const LONGEST_GROWTH: u64 = MINUTE;
/// A trickle always passes, this part of the reference: else nobody would see the service recover.
const TRICKLE: u64 = 100;

/// Learns a rate, per minute, under a ceiling.
///
/// A limit falls by what is refused, the more the larger it is, and grows the faster the smaller it
/// is against its reference. So the limits of processes that compete for one quota meet. A limit
/// grows by what goes through under it: one that is not used does not grow, nor does one under which
/// everything is refused. Without a ceiling, it takes two refusals within a minute to learn a first
/// limit.
#[derive(Debug)]
pub(super) struct Learner {
    enabled: bool,
    /// `UNLIMITED` until something is learned.
    limit: u64,
    /// What the limit may be at most: the ceiling, or else where it was last refused, or has grown
    /// to since.
    reference: u64,
    lesson_at: u64,
    /// How far this lesson may take the limit down.
    lesson_floor: u64,
    refused_at: u64,
    grown_at: u64,
    /// What went through since it last grew.
    passed: u64,
    /// When a refusal came of which nothing was learned.
    doubted_at: Option<u64>,
}

impl Learner {
    pub(super) const fn new(enabled: bool) -> Self {
        Self {
            enabled,
            limit: UNLIMITED,
            reference: 0,
            lesson_at: 0,
            lesson_floor: 0,
            refused_at: 0,
            grown_at: 0,
            passed: 0,
            doubted_at: None,
        }
    }

    /// What was learned; `UNLIMITED` if nothing was.
    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    #[inline]
    pub(super) const fn has_learned(&self) -> bool {
        self.limit < UNLIMITED
    }

    /// An amount is sent; if it is refused, that is told later.
    pub(super) const fn sent(&mut self, amount: u64) {
        self.passed = self.passed.saturating_add(amount);
    }

    /// The service admitted `amount` at once. Without a ceiling, the limit is no less than that: it
    /// came from guesses alone.
    #[inline]
    pub(super) fn admitted(&mut self, amount: u64, ceiling: u64) {
        if self.has_learned() && ceiling == UNLIMITED && amount > self.limit {
            self.limit = amount;
            self.reference = self.reference.max(amount);
        }
    }

    /// Grows by what went through since the last growth. At the ceiling all is forgotten.
    pub(super) fn grow(&mut self, now: u64, ceiling: u64) {
        if !self.has_learned() {
            return;
        }
        let used = u128::from(self.passed) * u128::from(MINUTE) / u128::from(self.limit.max(1));
        let elapsed = now.saturating_sub(self.grown_at).min(LONGEST_GROWTH);
        let time = used.min(elapsed.into());
        let slowest = self.reference / LEAST_GROWTH;
        let room = u128::from(
            self.reference
                .saturating_sub(self.limit)
                .max(slowest)
                .max(1),
        );
        let quiet = u128::from(now.saturating_sub(self.refused_at)) * 16 / u128::from(MINUTE);
        let speed = (256 + quiet * quiet).min(256 * FASTEST_GROWTH);
        let growth = room * speed * time / (256 * u128::from(GROWTH));
        let growth = u64::try_from(growth).unwrap_or(u64::MAX);
        if growth > 0 {
            self.limit = self.limit.saturating_add(growth);
            self.reference = self.reference.max(self.limit);
            self.grown_at = now;
            self.passed = 0;
        }
        if self.limit >= ceiling {
            self.limit = UNLIMITED;
        }
    }

    /// The service refused `amount`, while `used` counted in the last minute, under `ceiling`.
    pub(super) fn refused(&mut self, now: u64, amount: u64, used: u64, ceiling: u64) {
        if !self.enabled {
            return;
        }
        if !self.has_learned() {
            if ceiling == UNLIMITED && self.is_single(now) {
                return;
            }
            // Without a ceiling, what was drawn when the service refused is the first guess.
            let seen = used.saturating_add(amount).max(1);
            self.limit = if ceiling < UNLIMITED { ceiling } else { seen };
            self.reference = self.limit;
            self.start_lesson(now);
        } else if now >= self.lesson_at.saturating_add(LESSON) {
            if ceiling == UNLIMITED {
                // What the limit grew to by itself is no measure of anything: here is too much.
                self.reference = self.limit;
            }
            self.start_lesson(now);
        }
        let cut = WEIGHT * u128::from(amount) * u128::from(self.limit) / u128::from(self.reference);
        let cut = u64::try_from(cut).unwrap_or(u64::MAX);
        let cut = cut.min(self.limit / MOST_AT_ONCE).max(1);
        let floor = self.lesson_floor.max(self.reference / TRICKLE).max(1);
        self.limit = self.limit.saturating_sub(cut).max(floor);
        self.refused_at = now;
        self.grown_at = now;
        self.passed = self.passed.saturating_sub(amount);
    }

    /// Whether no other refusal came within a minute. Without a ceiling, what was drawn when a single
    /// one came may be next to nothing, and is no measure: it may have been others who drew.
    fn is_single(&mut self, now: u64) -> bool {
        let last = self.doubted_at.replace(now);
        last.is_none_or(|last| now.saturating_sub(last) >= MINUTE)
    }

    const fn start_lesson(&mut self, now: u64) {
        self.lesson_at = now;
        self.lesson_floor = self.limit / 2;
    }
}
