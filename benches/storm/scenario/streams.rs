//! Streams that begin late or never end.

use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec, Scenario, ScenarioError};

use super::{
    Extent, Storm,
    quotas::{SHORT, model, per_minute},
};
use crate::{
    load::rng,
    setup::{Setup, StreamPatience},
};

pub(super) const SLOW_STREAMS: Storm = Storm {
    id: "slow-streams",
    title: "Slow first tokens and stalls",
    about: "Of the streams a tenth begins two minutes late, a tenth is refused in its first frame, a \
            twentieth stalls before its content and a hundredth amid it. Callers wait for up to a \
            minute.",
    is_bound_by_known_quota: false,
    setup: slow_streams,
};

fn slow_streams(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let end = Duration::from_secs(extent.of(300, 40));
    let jobs = per_minute(extent.of(600, 60), end).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let late = FaultKind::SlowFirstToken {
        delay: Duration::from_secs(120),
    };
    let refused = FaultKind::StreamException {
        after_events: 0,
        error: ErrorText::TooManyConnections.into(),
    };
    let stall = |after_events| FaultKind::StreamStall {
        after_events,
        lasts: None,
    };
    let bedrock = Scenario::builder()
        .seed(seed)
        .model(model())
        .fault(FaultSpec::new(late).probability(0.10))
        .fault(FaultSpec::new(refused).probability(0.10))
        .fault(FaultSpec::new(stall(1)).probability(0.05))
        .fault(FaultSpec::new(stall(20)).probability(0.01));
    let mut setup = Setup::new(bedrock, jobs, Duration::from_secs(60))?;
    setup.stream = Some(StreamPatience {
        first_event: Duration::from_secs(10),
        between_events: Duration::from_secs(10),
    });
    Ok(setup)
}
