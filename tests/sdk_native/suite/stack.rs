//! The recommended stack as its builder makes it, on both faces.

use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec, Scenario, ScenarioBuilder};
use tower_bedrock::{Cause, Ladder, Quota, Route};
use tower_bedrock_tests::{MODEL, model};

use super::{
    call::{Call, Op},
    outcome::Told,
    rig::Rig,
    row::Row,
};

fn stacked() -> Rig {
    let home = Route::to(MODEL.parse().expect("a model id"));
    let west = home.clone().in_region("us-west-2");
    let quota = Quota::new().with_requests_per_minute(60);
    Rig::stacked([home, west], &quota, Ladder::regions(["us-west-2"]))
}

fn two_regions() -> ScenarioBuilder {
    let regions = ["us-east-1", "us-west-2"];
    Scenario::builder()
        .seed(7)
        .model(model().regions(regions).rpm(60))
}

fn is_answered(told: &Told) -> bool {
    match told {
        Told::Answered(_) => true,
        Told::Streamed(streamed) => streamed.broken.is_none(),
        Told::Failed(_) => false,
    }
}

/// Two hundred calls at once of all kinds against two regions of sixty a minute: all are answered,
/// none is refused by the service, and both faces send each to the same place at the same time.
#[tokio::test(start_paused = true)]
async fn a_burst_is_answered_without_a_refusal() {
    let ops = [
        Op::Converse,
        Op::InvokeModel,
        Op::ConverseStream,
        Op::InvokeModelWithResponseStream,
    ];
    let calls = ops.into_iter().cycle().take(200).map(Call::of);
    let row = Row::new(two_regions(), stacked).calls(calls);
    let outcome = row.apart(Duration::ZERO).outcome().await;
    assert!(outcome.told.iter().all(is_answered));
    assert_eq!(
        (outcome.requests(), outcome.ledger.totals.refused.total()),
        (200, 0)
    );
}

/// A region that goes down in the middle of the traffic is left, and returned to.
#[tokio::test(start_paused = true)]
async fn a_region_that_goes_down_is_left_and_returned_to() {
    let down = FaultSpec::error(ErrorText::ServiceUnavailable)
        .region("us-east-1")
        .from(Duration::from_secs(10))
        .until(Duration::from_secs(40));
    let calls = [Op::Converse, Op::ConverseStream]
        .into_iter()
        .cycle()
        .take(60);
    let row = Row::new(two_regions().fault(down), stacked)
        .calls(calls.map(Call::of))
        .apart(Duration::from_secs(2));
    let outcome = row.outcome().await;
    assert!(
        outcome.told.iter().all(is_answered),
        "{:?}",
        outcome.causes()
    );
    let admitted = |region| {
        let quota = outcome.ledger.quota(region, "geo", "amazon.nova-lite-v1:0");
        quota.map_or(0, |quota| quota.counts.admitted)
    };
    assert!(admitted("us-west-2") >= 10, "{}", admitted("us-west-2"));
    assert!(admitted("us-east-1") >= 30, "{}", admitted("us-east-1"));
}

/// Every kind of trouble at random, a tenth of the calls each: both faces come through it alike, to
/// the request.
#[tokio::test(start_paused = true)]
async fn random_trouble_is_the_same_on_both() {
    let mut scenario = two_regions();
    for what in [
        FaultKind::Error(ErrorText::Overloaded.into()),
        FaultKind::Error(ErrorText::InternalServer.into()),
        FaultKind::Error(ErrorText::ModelTimeout.into()),
        FaultKind::Error(ErrorText::TokensPerMinute.into()),
        FaultKind::Reset,
        FaultKind::StreamCut { after_events: 3 },
        FaultKind::StreamException {
            after_events: 0,
            error: ErrorText::Overloaded.into(),
        },
        FaultKind::NoMessageStop,
    ] {
        scenario = scenario.fault(FaultSpec::new(what).probability(0.1));
    }
    let ops = [Op::Converse, Op::ConverseStream, Op::InvokeModel]
        .into_iter()
        .cycle();
    let row = Row::new(scenario, stacked)
        .calls(ops.take(150).map(Call::of))
        .apart(Duration::from_millis(700));
    let outcome = row.outcome().await;
    let answered = outcome.told.iter().filter(|told| is_answered(told)).count();
    assert!(answered > 100, "{answered}");
    assert!(outcome.requests() > 150);
}

/// A call without a deadline gets the stack's: an hour, and no more.
#[tokio::test(start_paused = true)]
async fn a_call_has_an_hour() {
    let silent = two_regions().fault(FaultSpec::new(FaultKind::NoAnswer));
    let outcome = Row::new(silent, stacked).outcome().await;
    assert_eq!(outcome.causes(), [Cause::DeadlineExceeded]);
    assert_eq!(outcome.took, Duration::from_secs(3_600));
}
