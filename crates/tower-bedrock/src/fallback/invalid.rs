//! Why a ladder cannot be used.

use std::fmt;

use super::ladder::MAX_RUNGS;
use crate::{model_id::ModelId, route::Region};

/// A ladder that cannot be meant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidLadder {
    /// The ladder has more rungs than a call keeps count of.
    #[non_exhaustive]
    TooLong {
        /// How many it has.
        rungs: usize,
    },
    /// A rung leaves everything open: it is the call's own route.
    #[non_exhaustive]
    Open {
        /// Which rung, from 1.
        rung: usize,
    },
    /// A rung repeats one before it.
    #[non_exhaustive]
    Repeated {
        /// Which rung, from 1.
        rung: usize,
        /// The one it repeats, from 1.
        first: usize,
    },
    /// The ARN of a rung names another region than the rung.
    #[non_exhaustive]
    ArnRegion {
        /// Which rung, from 1.
        rung: usize,
        /// The region that the ARN names.
        region: Region,
    },
    /// The most calls per second of a rung is not a number above zero.
    #[non_exhaustive]
    MaxPerSecond {
        /// Which rung, from 1.
        rung: usize,
    },
    /// The warm share is not a number from 0 to 1.
    WarmShare,
    /// The id does not tell its base model, so it has no other profiles.
    #[non_exhaustive]
    NoBaseModel {
        /// The id.
        model: ModelId,
    },
}

impl fmt::Display for InvalidLadder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { rungs } => {
                write!(f, "the ladder has {rungs} rungs; it may have {MAX_RUNGS}")
            }
            Self::Open { rung } => write!(
                f,
                "rung {rung} names no model, region or tier: it is the call's own route"
            ),
            Self::Repeated { rung, first } => {
                write!(f, "rung {rung} is the same route as rung {first}")
            }
            Self::ArnRegion { rung, region } => {
                write!(f, "rung {rung} has the ARN of something in {region}")
            }
            Self::MaxPerSecond { rung } => write!(
                f,
                "the most calls per second of rung {rung} must be a number above zero"
            ),
            Self::WarmShare => f.write_str("the warm share must be a number from 0 to 1"),
            Self::NoBaseModel { model } => {
                write!(f, "{model} does not tell its base model")
            }
        }
    }
}

impl std::error::Error for InvalidLadder {}
