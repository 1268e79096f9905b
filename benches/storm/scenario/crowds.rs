//! Many callers, and what they leave behind.

use std::time::Duration;

use bedrock_sim::{ModelSpec, Scenario, ScenarioError};

use super::{
    Extent, Storm,
    quotas::{SHORT, model},
};
use crate::{
    load::{Arrivals, Size, rng},
    setup::{HOME, Line, MODEL, Setup},
};

pub(super) const METASTABILITY: Storm = Storm {
    id: "metastability",
    title: "The metastability trace",
    about: "80 calls a second to a service that works off 100 a second in one line, and 40 from the \
            60th second to the 90th. Attempts time out after a second, and their work is done \
            nevertheless. What is asked is what happens after that.",
    is_bound_by_known_quota: false,
    setup: metastability,
};

fn metastability(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let (from, until, end) = extent.of((60, 90, 420), (5, 10, 25));
    let capacity = extent.of(100.0, 5.0);
    let arrivals = Arrivals::Poisson {
        rate: 0.8 * capacity,
        end: Duration::from_secs(end),
    };
    let small = Size {
        input: (10, 10),
        max_tokens: Some(10),
        output: 10.0,
    };
    let jobs = arrivals.jobs(small, 0, &mut rng(seed, "calls"));
    // What takes time is the line.
    let model = ModelSpec::new(MODEL).regions([HOME]).output_tokens(10);
    let bedrock = Scenario::builder().seed(seed).model(model);
    let mut setup = Setup::new(bedrock, jobs, Duration::from_secs(30))?;
    let dip = Duration::from_secs(from)..Duration::from_secs(until);
    setup.attempt_timeout = Some(Duration::from_secs(1));
    setup.line = Some(Line {
        capacity,
        dip: (dip.clone(), 0.4),
    });
    setup.trouble = Some(dip);
    Ok(setup)
}

pub(super) const TEN_THOUSAND: Storm = Storm {
    id: "ten-thousand",
    title: "Ten thousand clients",
    about: "Ten thousand clients make a call each within ten seconds, to a model with 2 000 requests \
            and 4 million tokens a minute. The quota is known; they wait for up to five minutes.",
    is_bound_by_known_quota: true,
    setup: ten_thousand,
};

fn ten_thousand(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let calls = extent.of(10_000, 60);
    let arrivals = Arrivals::Poisson {
        rate: f64::from(calls) / 10.0,
        end: Duration::from_secs(10),
    };
    let jobs = arrivals.jobs(SHORT, 0, &mut rng(seed, "calls"));
    let (rpm, tpm) = extent.of((2_000, 4_000_000), (15, 30_000));
    let bedrock = Scenario::builder()
        .seed(seed)
        .model(model().rpm(rpm).tpm(tpm));
    Ok(Setup::new(bedrock, jobs, Duration::from_secs(300))?.with_known_quotas())
}
