//! The storms.

mod crowds;
mod places;
mod quotas;
mod streams;

use bedrock_sim::ScenarioError;

use crate::setup::Setup;

/// How much of a scenario is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// As little as still shows something.
    Quick,
}

impl Extent {
    /// `whole`, or a part of it that is `quick`.
    pub(crate) fn of<T>(self, whole: T, quick: T) -> T {
        match self {
            Self::Whole => whole,
            Self::Quick => quick,
        }
    }
}

/// A storm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    /// What it is called on the command line and in files.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What happens, in a sentence or two.
    pub(crate) about: &'static str,
    /// Whether it is the quota alone that bounds what can be answered, and the quota is known.
    pub(crate) is_bound_by_known_quota: bool,
    pub(crate) setup: fn(u64, Extent) -> Result<Setup, ScenarioError>,
}

/// All of them, in the order in which they are told.
pub(crate) const ALL: &[Storm] = &[
    quotas::RPM_BOUND,
    quotas::TPM_MIXED,
    quotas::MAX_TOKENS_UNSET,
    quotas::BURST,
    quotas::NOISY_NEIGHBOUR,
    quotas::UNKNOWN_QUOTA,
    places::OVERLOADED,
    places::REGION_OUTAGE,
    places::FLAPPING,
    places::COLD_MODEL,
    streams::SLOW_STREAMS,
    crowds::METASTABILITY,
    crowds::TEN_THOUSAND,
];
