//! What an application profile stands for.
//!
//! Its id does not tell, but the models behind it do: a profile was made from a model, or from a profile
//! of the system with the same destinations (BEDROCK.md §1.4, §4).

use std::{collections::BTreeSet, fmt};

use crate::{
    model_id::{ModelId, ProfilePrefix, QuotaPath},
    route::Region,
};

/// A profile as the control plane describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) is_application: bool,
    pub(super) is_active: bool,
    /// The ARNs of the models that calls go to.
    pub(super) models: Vec<String>,
}

/// A profile of the account whose calls are counted by themselves, because it is not known what they
/// draw on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnresolvedProfile {
    /// Its ARN, or its id.
    pub profile: String,
    /// Where it is.
    pub region: Region,
    /// Why.
    pub reason: UnresolvedReason,
}

/// Why it is not known what a profile stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnresolvedReason {
    /// No foundation model is behind it.
    NoModel,
    /// More than one is.
    SeveralModels(Vec<String>),
    /// Profiles of the system that are counted apart have the same destinations.
    SeveralPaths(Vec<String>),
    /// No profile of the system has the same destinations.
    UnknownDestinations,
    /// No list has it, and it could not be read by itself.
    NotRead,
}

impl fmt::Display for UnresolvedProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            profile, region, ..
        } = self;
        write!(f, "it is not known what {profile} in {region} draws on: ")?;
        match &self.reason {
            UnresolvedReason::NoModel => f.write_str("no foundation model is behind it"),
            UnresolvedReason::SeveralModels(models) => {
                write!(f, "it may be {}", models.join(" or "))
            }
            UnresolvedReason::SeveralPaths(ids) => write!(f, "it may be {}", ids.join(" or ")),
            UnresolvedReason::UnknownDestinations => {
                f.write_str("no profile of the system has its destinations")
            }
            UnresolvedReason::NotRead => f.write_str("it could not be read"),
        }
    }
}

/// A foundation model in a region; the region of a global profile's destinations is empty.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Destination<'a> {
    region: &'a str,
    model: &'a str,
}

impl<'a> Destination<'a> {
    fn of(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let region = parts.nth(3)?;
        let model = parts.nth(1)?.strip_prefix("foundation-model/")?;
        Some(Self { region, model })
    }
}

impl Profile {
    fn destinations(&self) -> BTreeSet<Destination<'_>> {
        let models = self.models.iter();
        models.filter_map(|arn| Destination::of(arn)).collect()
    }

    /// The model or the profile of the system that calls of this profile in `region` are counted as.
    pub(super) fn stands_for(
        &self,
        region: &Region,
        all: &[Self],
    ) -> Result<ModelId, UnresolvedReason> {
        let destinations = self.destinations();
        let models: BTreeSet<_> = destinations.iter().map(|to| to.model).collect();
        let mut models = models.into_iter();
        let base = match (models.next(), models.next()) {
            (None, _) => return Err(UnresolvedReason::NoModel),
            (Some(model), None) => model,
            (Some(one), Some(other)) => {
                let all = [one, other].into_iter().chain(models);
                return Err(UnresolvedReason::SeveralModels(
                    all.map(str::to_owned).collect(),
                ));
            }
        };
        let is_like = |other: &&Self| !other.is_application && other.destinations() == destinations;
        let mut found: Vec<ModelId> = all
            .iter()
            .filter(is_like)
            .filter_map(|other| other.id.parse().ok())
            .collect();
        let model = |id: String| id.parse().map_err(|_| UnresolvedReason::NoModel);
        if destinations.iter().all(|to| to.region == region.as_str()) {
            found.push(model(base.to_owned())?);
        } else if found.is_empty() && destinations.iter().any(|to| to.region.is_empty()) {
            found.push(model(format!("{}.{base}", ProfilePrefix::Global.as_str()))?);
        }
        let path = |id: &ModelId| id.quota_path();
        match found.first() {
            None => Err(UnresolvedReason::UnknownDestinations),
            Some(first) if found.iter().any(|other| path(other) != path(first)) => {
                let ids = found.iter().map(ToString::to_string);
                Err(UnresolvedReason::SeveralPaths(ids.collect()))
            }
            Some(first) if path(first) == QuotaPath::Unresolved => {
                Err(UnresolvedReason::UnknownDestinations)
            }
            Some(first) => Ok(first.clone()),
        }
    }
}
