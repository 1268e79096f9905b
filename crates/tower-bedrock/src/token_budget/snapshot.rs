//! What is drawn of a quota at one moment.

use std::time::Duration;

use super::{gate::Gate, state::State, window::UNLIMITED};
use crate::{cause::Limit, route::QuotaKey};

/// What is drawn of one key's quotas at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuotaSnapshot {
    /// The key.
    pub key: QuotaKey,
    /// Requests per minute that this application may use.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute that this application may use.
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day that this application may use.
    pub tokens_per_day: Option<u64>,
    /// What refusals taught of the requests per minute, if less than that.
    pub learned_requests_per_minute: Option<u64>,
    /// What refusals taught of the tokens per minute, if less than that.
    pub learned_tokens_per_minute: Option<u64>,
    /// Requests that count in the minute.
    pub requests_used: u64,
    /// Tokens that count in the minute: held and settled.
    pub tokens_used: u64,
    /// Of those, what is held for calls that are under way.
    pub tokens_held: u64,
    /// Tokens that were used above the quota, and come back before anything else is admitted.
    pub tokens_owed: u64,
    /// Tokens that were held for all calls so far.
    pub total_tokens_held: u64,
    /// Tokens that the calls that are over were settled by: what of their holds they really used.
    pub total_tokens_settled: u64,
    /// Tokens that count in the day; 0 if it has no limit.
    pub day_tokens_used: u64,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// What they would hold.
    pub tokens_waiting: u64,
    /// For how long nothing is sent because the day's tokens are used up.
    pub closed_for: Option<Duration>,
}

impl QuotaSnapshot {
    pub(super) fn of(gate: &Gate, state: &State) -> Self {
        let ledger = &state.ledger;
        let limit = |limit| Some(limit).filter(|&limit| limit < UNLIMITED);
        let tokens = ledger.tokens.drawn();
        let day = ledger.day.as_ref();
        let until = ledger.closed_until();
        Self {
            key: gate.key().clone(),
            requests_per_minute: limit(ledger.requests.quota()),
            tokens_per_minute: limit(ledger.tokens.quota()),
            tokens_per_day: day.and_then(|day| limit(day.quota())),
            learned_requests_per_minute: limit(ledger.requests.learned()),
            learned_tokens_per_minute: limit(ledger.tokens.learned()),
            requests_used: ledger.requests.drawn().used,
            tokens_used: tokens.used,
            tokens_held: tokens.held,
            tokens_owed: tokens.debt,
            total_tokens_held: ledger.totals().held,
            total_tokens_settled: ledger.totals().settled,
            day_tokens_used: day.map_or(0, |day| day.drawn().used),
            waiting: state.queue.len(),
            tokens_waiting: state.queue.waiting().tokens,
            closed_for: until.map(|until| Duration::from_nanos(until - ledger.now())),
        }
    }

    /// Tokens of calls that are over and still count.
    #[must_use]
    pub const fn tokens_settled(&self) -> u64 {
        self.tokens_used.saturating_sub(self.tokens_held)
    }

    /// What this application may use of `limit`, by its quota.
    #[must_use]
    pub const fn limit(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::RequestsPerMinute => self.requests_per_minute,
            Limit::TokensPerMinute => self.tokens_per_minute,
            Limit::TokensPerDay => self.tokens_per_day,
        }
    }
}
