//! What could not be read, and why.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::route::Region;

/// What discovery has to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IamAction {
    /// The quotas that are in force for the account.
    ListServiceQuotas,
    /// The quotas of accounts that AWS has not changed.
    ListAwsDefaultServiceQuotas,
    /// The inference profiles of the system and of the account.
    ListInferenceProfiles,
    /// A profile that a route names and no list has.
    GetInferenceProfile,
}

/// An action that the caller may not do in a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MissingPermission {
    /// The action to allow.
    pub action: IamAction,
    /// The region.
    pub region: Region,
}

/// Something that was not read, or not to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadFailure {
    /// What was not read.
    pub action: IamAction,
    /// Where.
    pub region: Region,
    /// Why.
    pub reason: ReadFailureReason,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Why something was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFailureReason {
    /// The caller may not.
    NotAllowed,
    /// The API refused the last of so many attempts for being asked too often.
    Throttled {
        /// How many attempts a request had at most, with the first.
        attempts: u32,
    },
    /// The time limit passed.
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The list has more pages than any has.
    Endless {
        /// How many were read.
        pages: usize,
    },
    /// Anything else.
    Failed {
        /// The code of the service's answer, if there was one.
        code: Option<String>,
    },
}

// === impl IamAction ===

impl IamAction {
    /// The action as it stands in a policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListServiceQuotas => "servicequotas:ListServiceQuotas",
            Self::ListAwsDefaultServiceQuotas => "servicequotas:ListAWSDefaultServiceQuotas",
            Self::ListInferenceProfiles => "bedrock:ListInferenceProfiles",
            Self::GetInferenceProfile => "bedrock:GetInferenceProfile",
        }
    }
}

impl fmt::Display for IamAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl MissingPermission ===

impl fmt::Display for MissingPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, region } = self;
        write!(f, "allow {action} in {region}")
    }
}

// === impl ReadFailure ===

impl ReadFailure {
    pub(super) const fn new(action: IamAction, region: Region, reason: ReadFailureReason) -> Self {
        Self {
            action,
            region,
            reason,
            source: None,
        }
    }

    pub(super) fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What has to be allowed, if that is why.
    #[must_use]
    pub fn missing_permission(&self) -> Option<MissingPermission> {
        (self.reason == ReadFailureReason::NotAllowed).then(|| MissingPermission {
            action: self.action,
            region: self.region.clone(),
        })
    }
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, region, .. } = self;
        match &self.reason {
            ReadFailureReason::NotAllowed => {
                write!(f, "{action} is not allowed in {region}: allow it")
            }
            ReadFailureReason::Throttled { attempts } => write!(
                f,
                "{action} was throttled in {region}, {attempts} times at most: that API has low limits \
                 of its own, whatever Bedrock's quotas are; read less often, or allow more attempts"
            ),
            ReadFailureReason::TimedOut { limit } => {
                write!(f, "{action} in {region} was not over within {limit:?}")
            }
            ReadFailureReason::Endless { pages } => {
                write!(f, "{action} in {region} does not end after {pages} pages")
            }
            ReadFailureReason::Failed { code: Some(code) } => {
                write!(f, "{action} failed in {region}: {code}")
            }
            ReadFailureReason::Failed { code: None } => {
                write!(f, "{action} failed in {region} without an answer")
            }
        }
    }
}

impl StdError for ReadFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
