//! The decision itself: no clock, no runtime, no socket.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use rand::Rng;
use tokio::time::Instant;

use super::{
    backoff::{Backoff, uniform},
    budget::{RetryBudget, Withdrawal},
    event::GaveUp,
    minute::MinuteClock,
};
use crate::{
    call::CallContext,
    cause::{Cause, Limit, Reactions, RetryReaction},
    error::Error,
};

/// Above every row of the default table, so that this only ends a call that meets many causes.
const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(12).unwrap();
/// A minute's quota is back after a minute; a server that asks for more is asked again sooner, and
/// may say so again.
const MAX_SERVER_HINT: Duration = Duration::from_secs(60);
/// How far calls that aim at the same minute are spread: wide enough that they do not arrive as one
/// clump, short against the minute.
const MAX_MINUTE_SPREAD: Duration = Duration::from_secs(10);

/// What may be retried, how often, and when.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) reactions: Arc<Reactions>,
    pub(super) budget: RetryBudget,
    pub(super) max_attempts: NonZeroU32,
    pub(super) max_server_hint: Duration,
    pub(super) retry_timeouts: bool,
    pub(super) next_minute: Option<MinuteClock>,
}

/// What happened to one call so far, on one route.
#[derive(Debug)]
pub(super) struct History {
    retries: u32,
    retries_by_cause: [u8; Cause::ALL.len()],
    spent: Option<u32>,
}

#[derive(Debug)]
pub(super) enum Decision {
    Retry {
        after: Duration,
        withdrawal: Withdrawal,
    },
    GiveUp(GaveUp),
}

impl Policy {
    /// Decides what follows on `error`. A retry is paid for here and counted when it is sent.
    pub(super) fn decide(
        &self,
        history: &History,
        call: &CallContext,
        error: &Error,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Decision {
        let reaction = self.reactions.of(error);
        let may_repeat = call.retry.retry_timeouts.unwrap_or(self.retry_timeouts);
        let (backoff, max_retries) = match reaction.retry {
            RetryReaction::Backoff {
                backoff,
                max_retries,
            } => (backoff, max_retries),
            RetryReaction::BackoffIfAllowed {
                backoff,
                max_retries,
            } if may_repeat => (backoff, max_retries),
            RetryReaction::BackoffIfAllowed { .. } | RetryReaction::Never => {
                return Decision::GiveUp(GaveUp::NotRetryable);
            }
        };

        let retry = history.retries_after(error.cause());
        let call_is_spent = match call.retry.max_attempts {
            Some(max_attempts) => call.attempt >= max_attempts.get(),
            None => history.retries.saturating_add(1) >= self.max_attempts.get(),
        };
        if retry >= max_retries || call_is_spent {
            return Decision::GiveUp(GaveUp::AttemptsSpent);
        }

        let after = match self.next_minute {
            Some(clock) if is_per_minute(reaction.limit) => {
                let spread = backoff.ceiling(retry).min(MAX_MINUTE_SPREAD);
                clock.until_next(now) + uniform(spread, rng)
            }
            _ => self.wait(backoff, retry, error.retry_after(), rng),
        };
        let left = call
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        if left.is_some_and(|left| left <= after) {
            return Decision::GiveUp(GaveUp::Deadline);
        }
        match self.budget.withdraw(error.cause()) {
            Some(withdrawal) => Decision::Retry { after, withdrawal },
            None => Decision::GiveUp(GaveUp::BudgetSpent),
        }
    }

    /// A wait with full jitter; a server's hint is its floor.
    ///
    /// The jitter comes on top of the hint, since clients that were refused together were told the
    /// same hint. Both together stay under the backoff's cap where the hint leaves room for it.
    fn wait(
        &self,
        backoff: Backoff,
        retry: u32,
        hint: Option<Duration>,
        rng: &mut dyn Rng,
    ) -> Duration {
        let Some(hint) = hint else {
            return backoff.draw(retry, rng);
        };
        let floor = hint.min(self.max_server_hint);
        let room = backoff.cap().saturating_sub(floor).max(backoff.base());
        floor + uniform(backoff.ceiling(retry).min(room), rng)
    }

    /// A call has succeeded.
    pub(super) fn succeeded(&self, history: &History) {
        self.budget.reward(history.spent);
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            reactions: Arc::default(),
            budget: RetryBudget::new(),
            max_attempts: MAX_ATTEMPTS,
            max_server_hint: MAX_SERVER_HINT,
            retry_timeouts: false,
            next_minute: None,
        }
    }
}

impl History {
    pub(super) const fn new() -> Self {
        Self {
            retries: 0,
            retries_by_cause: [0; Cause::ALL.len()],
            spent: None,
        }
    }

    pub(super) const fn retries(&self) -> u32 {
        self.retries
    }

    fn retries_after(&self, cause: Cause) -> u32 {
        self.retries_by_cause[cause as usize].into()
    }

    /// A retry after `cause` is sent.
    pub(super) fn sent(&mut self, cause: Cause, withdrawal: Withdrawal) {
        self.retries = self.retries.saturating_add(1);
        let by_cause = &mut self.retries_by_cause[cause as usize];
        *by_cause = by_cause.saturating_add(1);
        self.spent = Some(withdrawal.spend());
    }
}

const fn is_per_minute(limit: Option<Limit>) -> bool {
    matches!(
        limit,
        Some(Limit::RequestsPerMinute | Limit::TokensPerMinute)
    )
}
