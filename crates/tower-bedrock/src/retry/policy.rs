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
    cause::{Cause, Limit, NextRoute, Reactions, RetryReaction},
    error::Error,
};

/// Above every row of the default table, so that this only ends a call that meets many causes.
const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(12).unwrap();
/// A minute's quota is back after a minute; a server that asks for more is asked again sooner, and
/// may say so again.
const MAX_SERVER_HINT: Duration = Duration::from_secs(60);
/// How far calls that aim at the same minute are spread: wide enough that they do not arrive as one
/// clump, short against the minute.
const MINUTE_SPREAD: Duration = Duration::from_secs(10);

/// As good as for ever, and far from the end of the clock, where timers overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);

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
    /// Two bytes each: every call under way holds one of these.
    retries_by_cause: [u16; Cause::ALL.len()],
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
                return Decision::GiveUp(match error.cause() {
                    Cause::DeadlineExceeded => GaveUp::Deadline,
                    _ => GaveUp::NotRetryable,
                });
            }
        };
        if call.has_next_route && reaction.next_route == NextRoute::AtOnce {
            return Decision::GiveUp(GaveUp::NextRoute);
        }

        let retry = history.retries_after(error.cause());
        let call_is_spent = match call.retry.max_attempts {
            Some(max_attempts) => call.attempt >= max_attempts.get(),
            None => history.retries.saturating_add(1) >= self.max_attempts.get(),
        };
        // The count goes no further, so no row does.
        if retry >= max_retries.min(u16::MAX.into()) || call_is_spent {
            return Decision::GiveUp(GaveUp::AttemptsSpent);
        }

        let after = match self.next_minute {
            Some(clock) if is_per_minute(reaction.limit) => self
                .floor(error)
                .unwrap_or_default()
                .max(clock.until_next(now))
                .saturating_add(uniform(MINUTE_SPREAD, rng)),
            _ => self.wait(backoff, retry, self.floor(error), rng),
        }
        .min(LONGEST_WAIT);
        let left = call
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        if left.is_some_and(|left| left <= after) {
            return Decision::GiveUp(GaveUp::Deadline);
        }
        // Another route needs time for its answer: what waits here until little is left spoils both.
        let may_move = call.has_next_route && reaction.next_route != NextRoute::Never;
        if may_move && left.is_some_and(|left| left < after.saturating_mul(2)) {
            return Decision::GiveUp(GaveUp::NextRoute);
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
        floor: Option<Duration>,
        rng: &mut dyn Rng,
    ) -> Duration {
        let Some(floor) = floor else {
            return backoff.draw(retry, rng);
        };
        let room = backoff.cap().saturating_sub(floor).max(backoff.base());
        floor.saturating_add(uniform(backoff.ceiling(retry).min(room), rng))
    }

    /// The server's hint, as far as it is followed.
    fn floor(&self, error: &Error) -> Option<Duration> {
        Some(error.retry_after()?.min(self.max_server_hint))
    }

    /// An attempt has failed. What one of our own layers refused was never sent, so it is not paid
    /// for; an attempt that a deadline cut may have been.
    pub(super) fn failed(&self, history: &mut History, error: &Error) {
        let cause = error.cause();
        if cause.is_own_refusal() && cause != Cause::DeadlineExceeded {
            self.budget.refund(history.spent.take());
        }
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

impl Default for History {
    fn default() -> Self {
        Self {
            retries: 0,
            retries_by_cause: [0; Cause::ALL.len()],
            spent: None,
        }
    }
}

impl History {
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
