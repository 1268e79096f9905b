//! What a model id tells of where a call is processed and counted.

use std::fmt;

/// The prefix of an inference profile id (BEDROCK.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProfilePrefix {
    /// `us.`
    Us,
    /// `eu.`
    Eu,
    /// `apac.`
    Apac,
    /// `jp.`
    Jp,
    /// `au.`
    Au,
    /// `ca.`
    Ca,
    /// `in.`
    In,
    /// `us-gov.`
    UsGov,
    /// `global.`
    Global,
}

impl ProfilePrefix {
    pub(super) const ALL: [Self; 9] = [
        Self::Us,
        Self::Eu,
        Self::Apac,
        Self::Jp,
        Self::Au,
        Self::Ca,
        Self::In,
        Self::UsGov,
        Self::Global,
    ];

    /// The prefix as it stands in an id, without its dot.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Apac => "apac",
            Self::Jp => "jp",
            Self::Au => "au",
            Self::Ca => "ca",
            Self::In => "in",
            Self::UsGov => "us-gov",
            Self::Global => "global",
        }
    }

    /// How widely data may be processed under this prefix.
    #[must_use]
    pub const fn residency(self) -> Residency {
        match self {
            Self::Jp | Self::Au | Self::Ca | Self::In => Residency::Country,
            Self::Us | Self::Eu | Self::Apac | Self::UsGov => Residency::Geo,
            Self::Global => Residency::Global,
        }
    }
}

/// How widely a call's data may be processed, from narrow to wide (BEDROCK.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Residency {
    /// In the called region.
    InRegion,
    /// In the regions of one country.
    Country,
    /// In the regions of one geography.
    Geo,
    /// In any commercial region.
    Global,
}

/// The path a call takes to its capacity; each has quotas of its own (BEDROCK.md §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaPath {
    /// On demand, in the called region.
    InRegion,
    /// On demand, through a geographic profile. All geographic prefixes share one quota.
    Geo,
    /// On demand, through the global profile.
    Global,
    /// Capacity of the account's own (provisioned, custom, imported, SageMaker), outside the
    /// on-demand quotas.
    Provisioned,
    /// The id does not tell (application profiles, routers, prompts, bare names): counted by the id
    /// itself until it is resolved.
    Unresolved,
}

impl QuotaPath {
    /// The path in lower case, as it stands in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InRegion => "in-region",
            Self::Geo => "geo",
            Self::Global => "global",
            Self::Provisioned => "provisioned",
            Self::Unresolved => "unresolved",
        }
    }
}

impl fmt::Display for QuotaPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
