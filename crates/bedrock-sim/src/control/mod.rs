//! Service Quotas, and the inference profiles of Bedrock's control plane.
//!
//! They have no clock and no IO of their own: a request comes in, an answer goes out.

mod profiles;
mod quotas;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{ControlPlane, Scenario};
pub(crate) use wire::{Asked, ControlError, Protocol};

/// An operation of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    ListServiceQuotas,
    ListAwsDefaultServiceQuotas,
    ListInferenceProfiles,
    GetInferenceProfile,
}

/// A request that the control plane had, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlPlaneRequest {
    /// The IAM action.
    pub action: &'static str,
    /// Where.
    pub region: String,
    /// Of a list, which of its items the page began with, and which list; of a profile, its id.
    pub what: String,
    /// How many were answered.
    pub answered: u64,
    /// How many were throttled.
    pub throttled: u64,
    /// How many were denied.
    pub denied: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    answered: u64,
    throttled: u64,
    denied: u64,
}

/// The control plane of a simulated Bedrock.
#[derive(Debug)]
pub(crate) struct Control {
    plane: ControlPlane,
    throttled: BTreeMap<(Action, String), u64>,
    requests: BTreeMap<(Action, String, String), Counts>,
}

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ListServiceQuotas => "servicequotas:ListServiceQuotas",
            Self::ListAwsDefaultServiceQuotas => "servicequotas:ListAWSDefaultServiceQuotas",
            Self::ListInferenceProfiles => "bedrock:ListInferenceProfiles",
            Self::GetInferenceProfile => "bedrock:GetInferenceProfile",
        }
    }
}

impl Control {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            plane: scenario.control_plane().clone(),
            throttled: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    pub(crate) const fn plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    pub(crate) fn requests(&self) -> Vec<ControlPlaneRequest> {
        let requests = self.requests.iter();
        requests
            .map(|((action, region, what), counts)| ControlPlaneRequest {
                action: action.as_str(),
                region: region.clone(),
                what: what.clone(),
                answered: counts.answered,
                throttled: counts.throttled,
                denied: counts.denied,
            })
            .collect()
    }

    /// Answers a request in `region` with the body of its answer.
    pub(crate) fn answer(
        &mut self,
        scenario: &Scenario,
        region: &str,
        asked: &Asked,
    ) -> Result<String, ControlError> {
        let action = asked.action();
        let what = asked.what();
        let key = (action, region.to_owned(), what);
        let plane = &self.plane;
        if plane.denied.iter().any(|denied| denied == action.as_str()) {
            self.requests.entry(key).or_default().denied += 1;
            return Err(ControlError::denied(scenario.account(), action));
        }
        let throttled = self.throttled.entry((action, region.to_owned()));
        let throttled = throttled.or_default();
        if *throttled < plane.throttle_first {
            *throttled += 1;
            self.requests.entry(key).or_default().throttled += 1;
            return Err(ControlError::throttled(action));
        }
        let answer = match asked {
            Asked::Quotas(asked) => quotas::list(plane, scenario, region, asked),
            Asked::Profiles(asked) => profiles::list(plane, scenario, region, asked),
            Asked::Profile { id } => profiles::get(plane, scenario, region, id),
        }?;
        self.requests.entry(key).or_default().answered += 1;
        Ok(answer)
    }
}

/// A page of a list, and what asks for the next one.
fn page<T>(items: Vec<T>, from: usize, rows: usize, list: &str) -> (Vec<T>, Option<String>) {
    let total = items.len();
    let to = from.saturating_add(rows.max(1)).min(total);
    let next = (to < total).then(|| URL_SAFE_NO_PAD.encode(format!("{list}#{to}")));
    let page = items.into_iter().take(to).skip(from).collect();
    (page, next)
}

/// Where the page begins that a token asks for; `None` if it is not one of this list.
fn begin(token: Option<&str>, list: &str) -> Option<usize> {
    let Some(token) = token else { return Some(0) };
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (of, from) = token.rsplit_once('#')?;
    (of == list).then(|| from.parse().ok()).flatten()
}
