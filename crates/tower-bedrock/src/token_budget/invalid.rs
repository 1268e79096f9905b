//! What is wrong with a quota.

use std::{error::Error as StdError, fmt, time::Duration};

use super::quota::MAX_BURNDOWN;
use crate::cause::Limit;

/// A quota that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidQuota {
    /// A limit of zero: leave the limit out if there is none, or do not call the model.
    Zero {
        /// The limit.
        limit: Limit,
    },
    /// A limit above anything the service grants.
    TooLarge {
        /// The limit.
        limit: Limit,
        /// What it was set to.
        value: u64,
    },
    /// Two limits that cannot both be meant: the second is below the first, although it counts at
    /// least as much over a longer time, or more in the same.
    Contradiction {
        /// The limit that could never be reached.
        limit: Limit,
        /// What it was set to.
        value: u64,
        /// The limit that is in its way.
        other: Limit,
        /// What that one was set to.
        other_value: u64,
    },
    /// A fraction that is not above 0 and at most 1.
    Share {
        /// What it was set to.
        value: f64,
    },
    /// A share in tokens per minute that is zero, above the quota, or of a quota that is not set.
    TokenShare {
        /// What it was set to.
        value: u64,
        /// The quota.
        quota: Option<u64>,
    },
    /// A pace that is not above 0 and at most 1.
    Pace {
        /// What it was set to.
        value: f64,
    },
    /// A burst of nothing, or of more than an hour.
    Burst {
        /// What it was set to.
        value: Duration,
    },
    /// A margin of a minute or more.
    Margin {
        /// What it was set to.
        value: Duration,
    },
    /// A burndown rate of zero or of more than 1000.
    Burndown {
        /// What it was set to.
        value: u32,
    },
}

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { limit } => write!(
                f,
                "{limit} is 0: leave it out if there is no such limit, or do not call the model"
            ),
            Self::TooLarge { limit, value } => {
                write!(f, "{limit} is {value}, which is above any quota")
            }
            Self::Contradiction {
                limit,
                value,
                other,
                other_value,
            } => write!(
                f,
                "{limit} is {value} but {other} is {other_value}, so {limit} could never be reached"
            ),
            Self::Share { value } => write!(f, "the share is {value}; it is above 0 and at most 1"),
            Self::TokenShare { value, quota: None } => write!(
                f,
                "the share is {value} tokens per minute of a quota that is not set: set it too"
            ),
            Self::TokenShare {
                value,
                quota: Some(quota),
            } => write!(
                f,
                "the share is {value} tokens per minute of {quota}; it is above 0 and at most those"
            ),
            Self::Pace { value } => write!(f, "the pace is {value}; it is above 0 and at most 1"),
            Self::Burst { value } => write!(
                f,
                "the burst is {value:?}; it is above the margin and at most an hour"
            ),
            Self::Margin { value } => {
                write!(f, "the margin is {value:?}; it is less than a minute")
            }
            Self::Burndown { value } => write!(
                f,
                "the burndown rate is {value}; it is at least 1 and at most {MAX_BURNDOWN}"
            ),
        }
    }
}

impl StdError for InvalidQuota {}
