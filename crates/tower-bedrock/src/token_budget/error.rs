//! Why a call was not admitted.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::{
    cause::{Cause, Limit},
    error::Error,
};

/// A call was refused because it does not fit its quota in time. Nothing was sent, and nothing of
/// the quota was used.
///
/// It is the `source` of an [`Error`] with [`Cause::BudgetExhausted`].
///
/// # Example
///
/// ```
/// use tower_bedrock::{BudgetExhausted, Error};
///
/// fn seconds_to_wait(error: &Error) -> Option<u64> {
///     let refusal = BudgetExhausted::of(error)?;
///     refusal.wait().map(|wait| wait.as_secs())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetExhausted {
    wait: Option<Duration>,
    limit: Limit,
    reason: ExhaustedReason,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExhaustedReason {
    /// Its turn would come too late to be answered before its deadline, going by how long answers
    /// take, or after the longest wait that the layer allows.
    Deadline,
    /// It would have to wait, and the layer does not wait.
    WouldWait,
    /// As many calls wait already as may.
    #[non_exhaustive]
    QueueFull {
        /// How many wait.
        waiting: usize,
    },
    /// It is larger than the whole quota, so that it would never fit.
    #[non_exhaustive]
    TooLarge {
        /// The tokens it holds: its input and the most it may generate.
        needed: u64,
        /// The quota, or this application's share of it.
        quota: u64,
    },
    /// The service has said that the day's tokens are used up.
    DayUsedUp,
}

impl BudgetExhausted {
    pub(crate) const fn new(limit: Limit, reason: ExhaustedReason, wait: Option<Duration>) -> Self {
        Self {
            wait,
            limit,
            reason,
        }
    }

    /// The refusal behind `error`, if it is one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// The wait that the call would have taken, as far as it can be told: exact if it is next and
    /// nothing settles early, else by what calls lately used of their holds. `None` if no wait
    /// helps.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// The limit that stood in the way.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Why the call was not admitted.
    #[must_use]
    pub const fn reason(&self) -> ExhaustedReason {
        self.reason
    }
}

impl fmt::Display for BudgetExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        match self.reason {
            ExhaustedReason::TooLarge { needed, quota } => {
                return write!(
                    f,
                    "the call needs {needed} tokens and {limit} allow {quota} in all: set a lower \
                     maxTokens, shorten the input, or have the quota raised"
                );
            }
            ExhaustedReason::Deadline => write!(f, "{limit} leave no room before the deadline")?,
            ExhaustedReason::WouldWait => write!(f, "{limit} leave no room now")?,
            ExhaustedReason::QueueFull { waiting } => {
                write!(f, "{waiting} calls wait for {limit} already")?;
            }
            ExhaustedReason::DayUsedUp => write!(f, "{limit} are used up")?,
        }
        match self.wait {
            Some(wait) => write!(f, "; room is expected in {:.1} s", wait.as_secs_f64()),
            None => Ok(()),
        }
    }
}

impl StdError for BudgetExhausted {}

impl From<BudgetExhausted> for Error {
    fn from(refusal: BudgetExhausted) -> Self {
        Self::new(Cause::BudgetExhausted)
            .with_message(refusal.to_string())
            .with_source(refusal)
    }
}
