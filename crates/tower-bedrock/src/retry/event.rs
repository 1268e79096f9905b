//! What a retry layer tells those who listen.

use std::{fmt, time::Duration};

use crate::{call::CallContext, error::Error};

/// Something that [`RetryLayer`](crate::RetryLayer) decided.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RetryEvent<'a> {
    /// The attempt failed and will be made again.
    #[non_exhaustive]
    Retrying {
        /// The call, as of the attempt that failed.
        call: &'a CallContext,
        /// Why it failed.
        error: &'a Error,
        /// The wait before the next attempt.
        after: Duration,
    },
    /// The call failed and the caller gets the error.
    #[non_exhaustive]
    GaveUp {
        /// The call, as of its last attempt.
        call: &'a CallContext,
        /// Why it failed.
        error: &'a Error,
        /// Why it is not made again.
        reason: GaveUp,
    },
    /// A call succeeded that had failed before.
    #[non_exhaustive]
    Recovered {
        /// The call, as of the attempt that succeeded.
        call: &'a CallContext,
        /// How many retries it took on this route.
        retries: u32,
    },
}

/// Why a failed call was not made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GaveUp {
    /// A retry does not cure the cause.
    NotRetryable,
    /// The call had as many attempts as it may have.
    AttemptsSpent,
    /// The call's deadline has passed, or the wait would end after it.
    Deadline,
    /// The [`RetryBudget`](crate::RetryBudget) is spent.
    BudgetSpent,
    /// The inner service failed to become ready for the retry.
    NotReady,
    /// Another route is at hand, and waiting for this one does not help, or would take more than half
    /// of the time that is left.
    NextRoute,
}

impl GaveUp {
    /// The reason in snake case, as it stands in metrics and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRetryable => "not_retryable",
            Self::AttemptsSpent => "attempts_spent",
            Self::Deadline => "deadline",
            Self::BudgetSpent => "budget_spent",
            Self::NotReady => "not_ready",
            Self::NextRoute => "next_route",
        }
    }
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
