//! Models and regions that are not well.

use std::time::Duration;

use bedrock_sim::{DownAnswer, ErrorText, FaultKind, FaultSpec, Scenario, ScenarioError};

use super::{
    Extent, Storm,
    quotas::{SHORT, model, per_minute},
};
use crate::{
    load::rng,
    setup::{HOME, MODEL, OTHER_MODEL, Place, SECOND, Setup},
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const OVERLOADED: Storm = Storm {
    id: "overloaded-fallback",
    title: "Overloaded model, healthy fallback",
    about: "The model refuses nine of ten calls as overloaded for three minutes of seven. Another \
            model is well, and may answer.",
    is_bound_by_known_quota: false,
    setup: overloaded,
};

fn overloaded(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let (from, until, end) = extent.of((60, 240, 420), (5, 25, 50));
    let jobs = per_minute(extent.of(600, 60), secs(end)).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let fault = FaultSpec::error(ErrorText::Overloaded)
        .model(MODEL)
        .probability(0.9)
        .from(secs(from))
        .until(secs(until));
    let mut other = model();
    other.id = OTHER_MODEL.to_owned();
    let bedrock = Scenario::builder()
        .seed(seed)
        .model(model())
        .model(other)
        .fault(fault);
    let mut setup = Setup::new(bedrock, jobs, secs(60))?;
    setup.places.push(Place::new(OTHER_MODEL, HOME));
    setup.trouble = Some(secs(from)..secs(until));
    Ok(setup)
}

pub(super) const REGION_OUTAGE: Storm = Storm {
    id: "region-outage",
    title: "Region outage",
    about: "The home region is down for three minutes of seven, a second region is well, and may \
            answer.",
    is_bound_by_known_quota: false,
    setup: region_outage,
};

fn region_outage(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let (from, until, end) = extent.of((60, 240, 420), (5, 25, 50));
    let jobs = per_minute(extent.of(600, 60), secs(end)).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let bedrock = Scenario::builder()
        .seed(seed)
        .model(model().regions([HOME, SECOND]))
        .fault(down().from(secs(from)).until(secs(until)));
    let mut setup = Setup::new(bedrock, jobs, secs(60))?;
    setup.places.push(Place::new(MODEL, SECOND));
    setup.trouble = Some(secs(from)..secs(until));
    Ok(setup)
}

fn down() -> FaultSpec {
    let answer = DownAnswer::ServiceUnavailable;
    FaultSpec::new(FaultKind::Down { answer }).region(HOME)
}

pub(super) const FLAPPING: Storm = Storm {
    id: "flapping-region",
    title: "Flapping region",
    about: "The only region is down for 20 s of each minute, for eight minutes. Callers wait for up \
            to a minute.",
    is_bound_by_known_quota: false,
    setup: flapping,
};

fn flapping(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let minutes = extent.of(8, 1);
    let jobs =
        per_minute(extent.of(600, 60), secs(60 * minutes)).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let mut bedrock = Scenario::builder().seed(seed).model(model());
    for minute in 0..minutes {
        let from = 60 * minute + 20;
        bedrock = bedrock.fault(down().from(secs(from)).until(secs(from + 20)));
    }
    let mut setup = Setup::new(bedrock, jobs, secs(60))?;
    setup.trouble = Some(secs(20)..secs(60 * (minutes - 1) + 40));
    Ok(setup)
}

pub(super) const COLD_MODEL: Storm = Storm {
    id: "cold-model",
    title: "Cold imported model",
    about: "An imported model is not loaded for the first 90 seconds of five minutes. Callers wait \
            for up to five minutes.",
    is_bound_by_known_quota: false,
    setup: cold_model,
};

const IMPORTED: &str = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl";

fn cold_model(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let (until, end) = extent.of((90, 300), (15, 40));
    let jobs = per_minute(extent.of(120, 60), secs(end)).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let mut imported = model();
    imported.id = IMPORTED.to_owned();
    let cold = FaultSpec::error(ErrorText::ModelNotReady).until(secs(until));
    let bedrock = Scenario::builder().seed(seed).model(imported).fault(cold);
    let mut setup = Setup::new(bedrock, jobs, secs(300))?;
    setup.places = vec![Place::new(IMPORTED, HOME)];
    setup.trouble = Some(secs(0)..secs(until));
    setup.is_imported = true;
    Ok(setup)
}
