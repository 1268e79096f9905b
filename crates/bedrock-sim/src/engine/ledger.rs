//! What happened so far, in numbers.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

/// A snapshot of everything the engine has counted since it started, or since its last reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Time since the start, in milliseconds.
    pub elapsed_ms: u128,
    /// Each quota key, in the order of the scenario.
    pub quotas: Vec<QuotaLedger>,
    /// All quota keys together, and the requests that reached none of them.
    pub totals: Counts,
    /// How often each kind of fault fired.
    pub faults: BTreeMap<&'static str, u64>,
}

/// What happened at one quota key: account × source region × path × base model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuotaLedger {
    /// The account.
    pub account: String,
    /// The source region.
    pub region: String,
    /// The path: `in-region`, `geo`, `global`, `provisioned` or `unresolved`.
    pub path: &'static str,
    /// The base model, or the id where it does not tell one.
    pub model: String,
    /// Requests per minute allowed.
    pub rpm: Option<u64>,
    /// Tokens per minute allowed.
    pub tpm: Option<u64>,
    /// Tokens per day allowed.
    pub tpd: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What happened to requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that came.
    pub requests: u64,
    /// Those that were answered.
    pub admitted: u64,
    /// Those that were not, by cause.
    pub refused: Refused,
    /// Answers given to the end.
    pub completed: u64,
    /// Answers that broke, or whose client went away.
    pub failed: u64,
    /// Answers not finished yet.
    pub in_flight: u64,
    /// Tokens held for the answers not finished yet.
    pub tokens_held: u64,
    /// Tokens charged for the answers finished.
    pub tokens_settled: u64,
}

/// Requests that were refused, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refused {
    /// Over the requests per minute.
    pub requests_per_minute: u64,
    /// Over the tokens per minute.
    pub tokens_per_minute: u64,
    /// Over the tokens per day.
    pub tokens_per_day: u64,
    /// No free slot.
    pub capacity: u64,
    /// By a fault script: refused, reset or left without an answer.
    pub fault: u64,
    /// Not a request that can be answered.
    pub validation: u64,
}

/// What stood in the way of a call that could otherwise be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    RequestsPerMinute,
    TokensPerMinute,
    TokensPerDay,
    Capacity,
}

impl Refused {
    pub(super) fn count(&mut self, cause: Cause) {
        *match cause {
            Cause::RequestsPerMinute => &mut self.requests_per_minute,
            Cause::TokensPerMinute => &mut self.tokens_per_minute,
            Cause::TokensPerDay => &mut self.tokens_per_day,
            Cause::Capacity => &mut self.capacity,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.requests_per_minute
            + self.tokens_per_minute
            + self.tokens_per_day
            + self.capacity
            + self.fault
            + self.validation
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.admitted += other.admitted;
        self.refused.requests_per_minute += other.refused.requests_per_minute;
        self.refused.tokens_per_minute += other.refused.tokens_per_minute;
        self.refused.tokens_per_day += other.refused.tokens_per_day;
        self.refused.capacity += other.refused.capacity;
        self.refused.fault += other.refused.fault;
        self.refused.validation += other.refused.validation;
        self.completed += other.completed;
        self.failed += other.failed;
        self.in_flight += other.in_flight;
        self.tokens_held = self.tokens_held.saturating_add(other.tokens_held);
        self.tokens_settled = self.tokens_settled.saturating_add(other.tokens_settled);
    }
}

impl Ledger {
    pub(super) fn new(
        elapsed: Duration,
        quotas: Vec<QuotaLedger>,
        elsewhere: Counts,
        faults: BTreeMap<&'static str, u64>,
    ) -> Self {
        let mut totals = elsewhere;
        for quota in &quotas {
            totals.add(&quota.counts);
        }
        Self {
            elapsed_ms: elapsed.as_millis(),
            quotas,
            totals,
            faults,
        }
    }

    /// The quota key of a base model on a path in a region.
    #[must_use]
    pub fn quota(&self, region: &str, path: &str, model: &str) -> Option<&QuotaLedger> {
        self.quotas
            .iter()
            .find(|quota| quota.region == region && quota.path == path && quota.model == model)
    }
}
