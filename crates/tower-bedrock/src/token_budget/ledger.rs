//! What is drawn of the quotas of one key: no clock, no lock, no queue.

use super::{
    allowance::{Allowance, UNCOUNTED},
    window::{Stamp, UNLIMITED, UsedShare},
};
use crate::cause::Limit;

/// How much older calls weigh in what calls use of their holds: about the last 32 count.
const MEMORY: u64 = 32;

/// The quotas of one key: requests per minute, tokens per minute, tokens per day.
///
/// A call is admitted when it fits all of them. It then goes through: reserve, send, settle. What
/// is reserved counts until it is sent; what is sent counts until it is settled or a window has
/// passed, whichever comes first; what it was settled by counts until a window has passed since it
/// was sent.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) requests: Allowance,
    pub(super) tokens: Allowance,
    pub(super) day: Option<Allowance>,
    /// The service has said that the day's tokens are used up: nothing is admitted before.
    closed_until: u64,
    /// The latest time heard of. A clock that steps back stands still here.
    now: u64,
    /// Until then, time alone changes nothing.
    steady_until: u64,
    held_lately: u64,
    used_lately: u64,
    totals: Totals,
}

/// What was held for calls, and what they were settled by, since the ledger is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) held: u64,
    pub(super) settled: u64,
}

/// When a call was sent, as each meter counts time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    at: u64,
    requests: Stamp,
    tokens: Stamp,
    day: Stamp,
}

impl Sent {
    /// How long ago that is at the ledger's time `now`.
    #[inline]
    pub(super) const fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.at)
    }
}

impl Ledger {
    pub(super) const fn new(requests: Allowance, tokens: Allowance) -> Self {
        Self {
            requests,
            tokens,
            day: None,
            closed_until: 0,
            now: 0,
            steady_until: 0,
            held_lately: 0,
            used_lately: 0,
            totals: Totals {
                held: 0,
                settled: 0,
            },
        }
    }

    /// The same with a limit of tokens per day.
    pub(super) fn with_day(mut self, day: Option<Allowance>) -> Self {
        self.day = day;
        self
    }

    /// Changes to count as `new` does, without losing what is drawn.
    pub(super) fn become_like(&mut self, new: Self) {
        self.requests.become_like(new.requests);
        self.tokens.become_like(new.tokens);
        match (&mut self.day, new.day) {
            (Some(day), Some(new)) => day.become_like(new),
            (day, new) => *day = new,
        }
        self.closed_until = 0;
        self.catch_up();
    }

    #[inline]
    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    #[inline]
    pub(super) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        if self.now >= self.steady_until {
            self.catch_up();
        }
    }

    /// Tells everybody the time.
    #[cold]
    fn catch_up(&mut self) {
        let mut steady_until = u64::MAX;
        let minute = [&mut self.requests, &mut self.tokens];
        for allowance in minute.into_iter().chain(&mut self.day) {
            allowance.advance(self.now);
            steady_until = steady_until.min(allowance.steady_until());
        }
        self.steady_until = steady_until;
    }

    /// The quota that a call of `tokens` exceeds as a whole, so that no wait helps.
    pub(super) fn exceeds(&self, tokens: u64) -> Option<(Limit, u64)> {
        let minute = self.tokens.capacity();
        let day = self.day.as_ref().map_or(UNLIMITED, Allowance::capacity);
        if tokens > minute {
            Some((Limit::TokensPerMinute, minute))
        } else if tokens > day {
            Some((Limit::TokensPerDay, day))
        } else {
            None
        }
    }

    /// Whether a call of `tokens` can be reserved now.
    #[inline]
    pub(super) fn fits(&self, tokens: u64) -> bool {
        if self.now < self.steady_until && self.day.is_none() {
            return self.now >= self.closed_until
                && self.tokens.fits_steadily(tokens)
                && self.requests.fits_steadily(1);
        }
        self.now >= self.closed_until
            && self.tokens.fits(tokens)
            && self.requests.fits(1)
            && self.day.as_ref().is_none_or(|day| day.fits(tokens))
    }

    #[inline]
    pub(super) fn reserve(&mut self, tokens: u64) {
        self.requests.reserve(1);
        self.tokens.reserve(tokens);
        if let Some(day) = &mut self.day {
            day.reserve(tokens);
        }
    }

    /// Gives back what was reserved and not sent.
    pub(super) fn unreserve(&mut self, tokens: u64) {
        self.requests.unreserve(1);
        self.tokens.unreserve(tokens);
        if let Some(day) = &mut self.day {
            day.unreserve(tokens);
        }
    }

    /// Whether what was reserved may still be sent.
    pub(super) fn can_send(&self, tokens: u64) -> bool {
        self.requests.can_send(1)
            && self.tokens.can_send(tokens)
            && self.day.as_ref().is_none_or(|day| day.can_send(tokens))
    }

    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// A call is admitted that holds `tokens`, for the first time.
    #[inline]
    pub(super) const fn admitted(&mut self, tokens: u64) {
        self.totals.held = self.totals.held.saturating_add(tokens);
    }

    #[inline]
    const fn settled(&mut self, tokens: u64) {
        self.totals.settled = self.totals.settled.saturating_add(tokens);
    }

    /// Sends what was reserved.
    #[inline]
    pub(super) fn send(&mut self, tokens: u64) -> Sent {
        Sent {
            at: self.now,
            requests: self.requests.send(1),
            tokens: self.tokens.send(tokens),
            day: self.day.as_mut().map_or(UNCOUNTED, |day| day.send(tokens)),
        }
    }

    /// Sends `tokens` that were not reserved before, if `wanted` would fit.
    #[inline]
    pub(super) fn send_if_fits(&mut self, tokens: u64, wanted: u64) -> Option<Sent> {
        if self.now < self.steady_until
            && self.day.is_none()
            && let Some(requests) = self.requests.steady()
            && let Some(minute) = self.tokens.steady()
        {
            // Nothing but two windows, as nearly always.
            if self.now < self.closed_until || !minute.fits(wanted) || !requests.fits(1) {
                return None;
            }
            return Some(Sent {
                at: self.now,
                requests: requests.draw(1),
                tokens: minute.draw(tokens),
                day: UNCOUNTED,
            });
        }
        self.fits(wanted).then(|| self.send_at_once(tokens))
    }

    /// Sends what was not reserved before.
    pub(super) fn send_at_once(&mut self, tokens: u64) -> Sent {
        Sent {
            at: self.now,
            requests: self.requests.send_at_once(1),
            tokens: self.tokens.send_at_once(tokens),
            day: match &mut self.day {
                Some(day) => day.send_at_once(tokens),
                None => UNCOUNTED,
            },
        }
    }

    /// The call was not sent after all: back to a reservation.
    pub(super) fn recall(&mut self, sent: Sent, tokens: u64) {
        self.give_back(sent, tokens);
        self.reserve(tokens);
    }

    /// The call used `used`.
    #[inline]
    pub(super) fn settle(&mut self, sent: Sent, held: u64, used: u64) {
        let age = |sum: u64, new: u64| (sum - sum / MEMORY).saturating_add(new);
        self.held_lately = age(self.held_lately, held);
        self.used_lately = age(self.used_lately, used);
        self.settle_estimate(sent, held, used);
    }

    /// The call used about `used`. That it was admitted is no estimate, and all that is learned.
    #[inline]
    pub(super) fn settle_estimate(&mut self, sent: Sent, held: u64, used: u64) {
        self.settled(used);
        if self.now < self.steady_until
            && self.day.is_none()
            && let Some(minute) = self.tokens.steady()
        {
            // A window has counted the request.
            return minute.settle(sent.tokens, held, used);
        }
        self.requests.settle_whole(sent.requests, 1);
        self.tokens.settle(sent.tokens, held, used);
        self.tokens.admitted(held);
        if let Some(day) = &mut self.day {
            day.settle(sent.day, held, used);
        }
    }

    /// Nobody will tell what the call used: its hold stays until it has aged out.
    pub(super) fn lapse(&mut self, sent: Sent, held: u64) {
        self.settled(held);
        self.requests.settle_whole(sent.requests, 1);
        self.tokens.settle(sent.tokens, held, held);
        if let Some(day) = &mut self.day {
            day.settle(sent.day, held, held);
        }
    }

    /// The service did nothing for the call: not even the request counts.
    pub(super) fn give_back(&mut self, sent: Sent, held: u64) {
        self.requests.settle(sent.requests, 1, 0);
        self.tokens.settle(sent.tokens, held, 0);
        if let Some(day) = &mut self.day {
            day.settle(sent.day, held, 0);
        }
    }

    /// The service refused the call for `limit`: it counts as nothing, and the limit is learned.
    /// Returns what is known of it now, if anything was learned.
    pub(super) fn refused(&mut self, sent: Sent, held: u64, limit: Limit) -> Option<u64> {
        // What is learned goes with time.
        if self.steady_until > 0 {
            self.catch_up();
            self.steady_until = 0;
        }
        match limit {
            Limit::RequestsPerMinute => self.requests.refused(sent.requests, 1),
            _ => self.requests.settle(sent.requests, 1, 0),
        }
        match limit {
            Limit::TokensPerMinute => self.tokens.refused(sent.tokens, held),
            _ => self.tokens.settle(sent.tokens, held, 0),
        }
        if let Some(day) = &mut self.day {
            day.settle(sent.day, held, 0);
        }
        let learned = match limit {
            Limit::RequestsPerMinute => self.requests.learned(),
            Limit::TokensPerMinute => self.tokens.learned(),
            Limit::TokensPerDay => UNLIMITED,
        };
        Some(learned).filter(|&learned| learned < UNLIMITED)
    }

    /// Admits nothing before `until`.
    pub(super) fn close(&mut self, until: u64) {
        self.closed_until = self.closed_until.max(until);
    }

    /// Until when the ledger is closed, if it is.
    pub(super) fn closed_until(&self) -> Option<u64> {
        Some(self.closed_until).filter(|&until| until > self.now)
    }

    /// When a call of `tokens` fits if nothing is sent or settled until then, and which limit it
    /// waits for; `None` if time alone does not help.
    pub(super) fn not_before(&self, tokens: u64) -> Option<(u64, Limit)> {
        let requests = self.requests.not_before(1);
        let minute = self.tokens.not_before(tokens);
        let day = self.day.as_ref().map(|day| day.not_before(tokens));
        let day = day.unwrap_or(Some(0));
        let day = day?.max(self.closed_until);
        Some(latest(requests?, minute?, day))
    }

    /// About when a call of `tokens` fits behind a queue, if calls use of their holds what they
    /// used lately; and which limit it waits for.
    pub(super) fn expected(&self, ahead: Ahead, tokens: u64) -> (u64, Limit) {
        let used = UsedShare::of(self.used_lately, self.held_lately);
        let requests = self.requests.expected(ahead.requests, 1, UsedShare::WHOLE);
        let minute = self.tokens.expected(ahead.tokens, tokens, used);
        let day = self.day.as_ref();
        let day = day.map_or(0, |day| day.expected(ahead.tokens, tokens, used));
        latest(requests, minute, day.max(self.closed_until))
    }

    /// Whether the service has said of it what a new one would not know.
    pub(super) fn is_limited(&self) -> bool {
        let learned = self.requests.learned().min(self.tokens.learned());
        learned < UNLIMITED || self.closed_until().is_some()
    }

    /// Whether nothing is drawn, reserved or owed.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_idle()
            && self.tokens.is_idle()
            && self.day.as_ref().is_none_or(Allowance::is_idle)
    }
}

/// What waits ahead of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

fn latest(requests: u64, minute: u64, day: u64) -> (u64, Limit) {
    if day >= minute && day >= requests && day > 0 {
        (day, Limit::TokensPerDay)
    } else if requests > minute {
        (requests, Limit::RequestsPerMinute)
    } else {
        (minute, Limit::TokensPerMinute)
    }
}
