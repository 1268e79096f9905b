//! `ListInferenceProfiles` and `GetInferenceProfile`.

use serde::Serialize;
use tower_bedrock::{ModelId, ModelIdKind, ProfilePrefix};

use super::{
    begin, page,
    wire::{ControlError, ProfilesAsked},
};
use crate::{ControlPlane, InferenceProfileSpec, Scenario};

/// When everything was made, as far as anybody can tell.
const CREATED: &str = "2026-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    inference_profile_summaries: Vec<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    inference_profile_name: String,
    inference_profile_id: String,
    inference_profile_arn: String,
    models: Vec<Model>,
    status: &'static str,
    r#type: &'static str,
    created_at: &'static str,
    updated_at: &'static str,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    model_arn: String,
}

pub(super) fn list(
    plane: &ControlPlane,
    scenario: &Scenario,
    region: &str,
    asked: &ProfilesAsked,
) -> Result<String, ControlError> {
    let list = format!("profiles@{region}/{}", asked.kind.as_deref().unwrap_or("-"));
    let from = begin(asked.next_token.as_deref(), &list)
        .ok_or_else(|| ControlError::validation("The nextToken is not one of this list."))?;
    if !(1..=1000).contains(&asked.max_results) {
        return Err(ControlError::validation(
            "maxResults is between 1 and 1000.",
        ));
    }
    let is_asked = |profile: &Profile| {
        let kind = asked.kind.as_deref();
        kind.is_none_or(|kind| kind == profile.r#type)
    };
    let mut profiles = all(plane, scenario, region);
    profiles.retain(is_asked);
    let size = plane.page_size.min(asked.max_results);
    let (inference_profile_summaries, next_token) = page(profiles, from, size, &list);
    ControlError::or_body(&Answer {
        inference_profile_summaries,
        next_token,
    })
}

pub(super) fn get(
    plane: &ControlPlane,
    scenario: &Scenario,
    region: &str,
    id: &str,
) -> Result<String, ControlError> {
    let mut profiles = all(plane, scenario, region).into_iter();
    let found = profiles
        .find(|profile| profile.inference_profile_id == id || profile.inference_profile_arn == id);
    ControlError::or_body(&found.ok_or_else(ControlError::no_such_profile)?)
}

/// The profiles of the scenario's models, and those that it lists.
fn all(plane: &ControlPlane, scenario: &Scenario, region: &str) -> Vec<Profile> {
    let of_models = scenario.models().iter().filter_map(|spec| {
        let model = ModelId::new(spec.id.as_str()).ok()?;
        let is_profile = model.kind() == ModelIdKind::InferenceProfile && model.region().is_none();
        let is_here = scenario.regions_of(spec).any(|one| one == region);
        let models = destinations(&model, region);
        (is_profile && is_here).then(|| profile(scenario, region, &spec.id, false, models))
    });
    let mut profiles: Vec<_> = of_models.collect();
    for spec in &plane.profiles {
        let is_here = regions_of(spec, scenario).any(|one| one == region);
        if is_here {
            let models = models(spec, &profiles, region);
            profiles.push(profile(
                scenario,
                region,
                &spec.id,
                spec.application,
                models,
            ));
        }
    }
    profiles
}

/// The regions that a profile is in.
pub(super) fn regions_of<'a>(
    spec: &'a InferenceProfileSpec,
    scenario: &'a Scenario,
) -> impl Iterator<Item = &'a str> {
    let home = spec.regions.is_none().then_some(scenario.region());
    let listed = spec.regions.iter().flatten().map(String::as_str);
    home.into_iter().chain(listed)
}

fn profile(
    scenario: &Scenario,
    region: &str,
    id: &str,
    is_application: bool,
    models: Vec<Model>,
) -> Profile {
    let account = scenario.account();
    let resource = match is_application {
        true => "application-inference-profile",
        false => "inference-profile",
    };
    Profile {
        inference_profile_name: id.to_owned(),
        inference_profile_id: id.to_owned(),
        inference_profile_arn: format!("arn:aws:bedrock:{region}:{account}:{resource}/{id}"),
        models,
        status: "ACTIVE",
        r#type: match is_application {
            true => "APPLICATION",
            false => "SYSTEM_DEFINED",
        },
        created_at: CREATED,
        updated_at: CREATED,
    }
}

/// The models behind a profile: those of what it was made of, and its own.
fn models(spec: &InferenceProfileSpec, known: &[Profile], region: &str) -> Vec<Model> {
    let made_of = spec.of.as_deref().map_or_else(Vec::new, |of| {
        let known = known.iter().find(|known| known.inference_profile_id == of);
        match (known, ModelId::new(of)) {
            (Some(known), _) => known.models.clone(),
            (None, Ok(model)) => destinations(&model, region),
            (None, Err(_)) => Vec::new(),
        }
    });
    let own = spec.models.iter().map(|arn| Model {
        model_arn: arn.clone(),
    });
    made_of.into_iter().chain(own).collect()
}

/// Where calls of a model go (BEDROCK.md §4). A global profile names the region it is called in, and
/// everywhere.
fn destinations(model: &ModelId, region: &str) -> Vec<Model> {
    let Some(base) = model.base_model() else {
        return Vec::new();
    };
    let regions: &[&str] = match model.prefix() {
        None => &[region],
        Some(ProfilePrefix::Global) => &[region, ""],
        Some(ProfilePrefix::Us) => &["us-east-1", "us-east-2", "us-west-2"],
        Some(ProfilePrefix::Eu) => &["eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3"],
        Some(ProfilePrefix::Apac) => &["ap-northeast-1", "ap-south-1", "ap-southeast-1"],
        Some(ProfilePrefix::Jp) => &["ap-northeast-1", "ap-northeast-3"],
        Some(ProfilePrefix::Au) => &["ap-southeast-2", "ap-southeast-4"],
        Some(ProfilePrefix::Ca) => &["ca-central-1", "ca-west-1"],
        Some(ProfilePrefix::In) => &["ap-south-1", "ap-south-2"],
        Some(_) => &["us-gov-east-1", "us-gov-west-1"],
    };
    let regions = regions.iter();
    regions
        .map(|region| Model {
            model_arn: format!("arn:aws:bedrock:{region}::foundation-model/{base}"),
        })
        .collect()
}
