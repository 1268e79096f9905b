//! How much of a quota is left: three ways to count.
//!
//! Time is in nanoseconds since the start and never goes back; amounts are in whole tokens or
//! requests. All arithmetic is exact.

use std::collections::VecDeque;

use crate::{DailyReset, QuotaOptions, Window};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

#[derive(Debug)]
pub(super) enum Meter {
    Bucket(Bucket),
    Rolling(Rolling),
    Fixed(Fixed),
}

impl Meter {
    /// A quota per minute.
    pub(super) fn per_minute(limit: u64, options: &QuotaOptions) -> Self {
        match options.window {
            Window::TokenBucket { burst_seconds } => {
                Self::Bucket(Bucket::full(limit, burst_seconds))
            }
            Window::SlidingWindow => Self::Rolling(Rolling::new(limit, MINUTE, 1)),
            Window::FixedMinute => Self::Fixed(Fixed::new(limit, MINUTE, 0)),
        }
    }

    /// A quota per day. A rolling day is kept by the minute, which bounds its memory.
    pub(super) fn per_day(limit: u64, options: &QuotaOptions) -> Self {
        match options.tpd_reset {
            DailyReset::Rolling => Self::Rolling(Rolling::new(limit, DAY, MINUTE)),
            DailyReset::Midnight => {
                let start = u64::try_from(options.starts_at.as_nanos()).unwrap_or(0);
                Self::Fixed(Fixed::new(limit, DAY, start))
            }
        }
    }

    /// Whether that much is left.
    pub(super) fn fits(&mut self, now: u64, amount: u64) -> bool {
        match self {
            Self::Bucket(bucket) => bucket.fits(now, amount),
            Self::Rolling(log) => u128::from(amount) <= log.left(now),
            Self::Fixed(window) => u128::from(amount) <= window.left(now),
        }
    }

    /// Takes that much, whether it fits or not.
    pub(super) fn draw(&mut self, now: u64, amount: u64) {
        match self {
            Self::Bucket(bucket) => bucket.add(now, -i128::from(amount)),
            Self::Rolling(log) => log.draw(now, amount),
            Self::Fixed(window) => window.draw(now, amount),
        }
    }

    /// Takes what is left, but no more than that much.
    pub(super) fn drain(&mut self, now: u64, amount: u64) {
        match self {
            Self::Bucket(bucket) => bucket.drain(now, amount),
            Self::Rolling(log) => {
                let amount = u128::from(amount).min(log.left(now));
                log.draw(now, u64::try_from(amount).unwrap_or(u64::MAX));
            }
            Self::Fixed(window) => {
                let amount = u128::from(amount).min(window.left(now));
                window.draw(now, u64::try_from(amount).unwrap_or(u64::MAX));
            }
        }
    }

    /// Replaces `held`, drawn at `drawn_at`, by `used`. What is over comes back, unless it has come
    /// back with time already; what is lacking is drawn now.
    pub(super) fn settle(&mut self, now: u64, drawn_at: u64, held: u64, used: u64) {
        if let Self::Bucket(bucket) = self {
            return bucket.add(now, i128::from(held) - i128::from(used));
        }
        match used.checked_sub(held) {
            Some(excess) => self.draw(now, excess),
            None => match self {
                Self::Bucket(_) => {}
                Self::Rolling(log) => log.give_back(now, drawn_at, held - used),
                Self::Fixed(window) => window.give_back(now, drawn_at, held - used),
            },
        }
    }
}

/// A token bucket. Its level is counted in parts of a token so small that a quota of `n` per minute
/// refills `n` of them in each nanosecond.
#[derive(Debug)]
pub(super) struct Bucket {
    per_nanosecond: i128,
    capacity: i128,
    /// Negative while there is debt.
    level: i128,
    updated: u64,
}

impl Bucket {
    const PARTS: i128 = MINUTE as i128;

    fn full(per_minute: u64, burst_seconds: u64) -> Self {
        let per_nanosecond = i128::from(per_minute);
        let burst = i128::from(burst_seconds) * i128::from(SECOND);
        let capacity = per_nanosecond.saturating_mul(burst);
        Self {
            per_nanosecond,
            capacity,
            level: capacity,
            updated: 0,
        }
    }

    fn refill(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.updated);
        if elapsed > 0 {
            let refill = self.per_nanosecond.saturating_mul(i128::from(elapsed));
            self.level = self.level.saturating_add(refill).min(self.capacity);
            self.updated = now;
        }
    }

    fn fits(&mut self, now: u64, amount: u64) -> bool {
        self.refill(now);
        i128::from(amount) * Self::PARTS <= self.level
    }

    fn add(&mut self, now: u64, tokens: i128) {
        self.refill(now);
        self.level = self
            .level
            .saturating_add(tokens.saturating_mul(Self::PARTS))
            .min(self.capacity);
    }

    fn drain(&mut self, now: u64, amount: u64) {
        self.refill(now);
        let amount = i128::from(amount) * Self::PARTS;
        self.level -= amount.min(self.level.max(0));
    }
}

/// What was drawn in the last `span`, exactly if `step` is a nanosecond, else by steps. Of a step,
/// everything counts until the last of it is a `span` ago, so that there is never more than the
/// limit in any `span`.
#[derive(Debug)]
pub(super) struct Rolling {
    limit: u128,
    span: u64,
    step: u64,
    /// Start of the step and what was drawn in it, oldest first.
    drawn: VecDeque<(u64, u64)>,
    sum: u128,
}

impl Rolling {
    fn new(limit: u64, span: u64, step: u64) -> Self {
        Self {
            limit: limit.into(),
            span,
            step,
            drawn: VecDeque::new(),
            sum: 0,
        }
    }

    fn left(&mut self, now: u64) -> u128 {
        while let Some(&(start, amount)) = self.drawn.front() {
            if now.saturating_sub(start) < self.span + (self.step - 1) {
                break;
            }
            self.drawn.pop_front();
            self.sum -= u128::from(amount);
        }
        self.limit.saturating_sub(self.sum)
    }

    fn draw(&mut self, now: u64, amount: u64) {
        if amount == 0 {
            return;
        }
        self.sum += u128::from(amount);
        let start = now - now % self.step;
        match self.drawn.back_mut() {
            Some((last, sum)) if *last == start && sum.checked_add(amount).is_some() => {
                *sum += amount;
            }
            _ => self.drawn.push_back((start, amount)),
        }
    }

    fn give_back(&mut self, now: u64, drawn_at: u64, amount: u64) {
        self.left(now);
        let start = drawn_at - drawn_at % self.step;
        if let Ok(found) = self.drawn.binary_search_by_key(&start, |&(start, _)| start)
            && let Some((_, drawn)) = self.drawn.get_mut(found)
        {
            let amount = amount.min(*drawn);
            *drawn -= amount;
            self.sum -= u128::from(amount);
        }
    }
}

/// What was drawn since the last full minute or day.
#[derive(Debug)]
pub(super) struct Fixed {
    limit: u128,
    length: u64,
    /// How far into a window the engine started.
    offset: u64,
    number: u64,
    drawn: u128,
}

impl Fixed {
    fn new(limit: u64, length: u64, offset: u64) -> Self {
        Self {
            limit: limit.into(),
            length,
            offset,
            number: 0,
            drawn: 0,
        }
    }

    fn number_at(&self, time: u64) -> u64 {
        time.saturating_add(self.offset) / self.length
    }

    fn left(&mut self, now: u64) -> u128 {
        let number = self.number_at(now);
        if number != self.number {
            self.number = number;
            self.drawn = 0;
        }
        self.limit.saturating_sub(self.drawn)
    }

    fn draw(&mut self, now: u64, amount: u64) {
        self.left(now);
        self.drawn += u128::from(amount);
    }

    fn give_back(&mut self, now: u64, drawn_at: u64, amount: u64) {
        self.left(now);
        if self.number_at(drawn_at) == self.number {
            self.drawn = self.drawn.saturating_sub(u128::from(amount));
        }
    }
}
