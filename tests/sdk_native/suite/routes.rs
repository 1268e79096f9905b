use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec, ModelSpec, ScenarioBuilder};
use tower_bedrock::{Cause, CircuitPolicy, Ladder, Residency, RetryLayer, Rung, ServiceTier};
use tower_bedrock_tests::{MODEL, model};

use super::{
    call::{Call, Op},
    rig::{MakeRig, Rig},
    row::Row,
};

const OTHER: &str = "us.amazon.nova-pro-v1:0";

/// The usual model and another, each in two regions.
fn two_regions() -> ScenarioBuilder {
    let regions = ["us-east-1", "us-west-2"];
    bedrock_sim::Scenario::builder()
        .seed(7)
        .model(model().regions(regions))
        .model(ModelSpec::new(OTHER).regions(regions).output_tokens(20))
}

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

fn to_the_west() -> Rig {
    retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer)
}

/// A region that takes calls and never answers costs an attempt's time, not the call's: the next route
/// answers.
#[tokio::test(start_paused = true)]
async fn a_black_hole_costs_an_attempt() {
    for op in [Op::Converse, Op::ConverseStream] {
        let hole = FaultSpec::new(FaultKind::NoAnswer).region("us-east-1");
        let mut call = Call::of(op);
        call.attempt_timeout = Some(Duration::from_secs(20));
        let row = Row::new(two_regions().fault(hole), to_the_west);
        let outcome = row.calls([call]).outcome().await;
        assert_eq!((outcome.answered(), outcome.requests()), (1, 2), "{op:?}");
        let took = outcome.took;
        let spare = Duration::from_secs(5);
        assert!(
            (Duration::from_secs(20)..Duration::from_secs(20) + spare).contains(&took),
            "{op:?}: {took:?}"
        );
    }
}

fn sick_east() -> FaultSpec {
    FaultSpec::error(ErrorText::Overloaded).region("us-east-1")
}

/// A model that is overloaded in one region is called in another, at once; the answer tells.
#[tokio::test(start_paused = true)]
async fn an_overloaded_region_is_left_at_once() {
    for op in [Op::Converse, Op::InvokeModel] {
        let row = Row::new(two_regions().fault(sick_east()), to_the_west);
        let outcome = row.calls([Call::of(op)]).outcome().await;
        let served = &outcome.told[0].answer().expect("the west answers").served;
        assert_eq!(served.route.to_string(), format!("{MODEL}@us-west-2"));
        assert_eq!(
            (served.route_index, served.attempts, served.degraded),
            (1, 2, false)
        );
        assert_eq!(outcome.requests(), 2);
        assert_eq!(outcome.took, Duration::ZERO);
    }
}

/// Another model, or a lower tier, answers in place of one that is gone, and the answer says that it
/// is another than the one asked for.
#[tokio::test(start_paused = true)]
async fn another_model_is_told() {
    let rigs: [(MakeRig, &str); 2] = [
        (
            || {
                let rung = Rung::model(OTHER.parse().expect("an id"));
                retrying().falling_back(Ladder::new().then(rung), |layer| layer)
            },
            "us.amazon.nova-pro-v1:0@us-east-1",
        ),
        (
            || {
                let rung = Rung::model(OTHER.parse().expect("an id")).on_tier(ServiceTier::Flex);
                retrying().falling_back(Ladder::new().then(rung.at("us-west-2")), |layer| layer)
            },
            "us.amazon.nova-pro-v1:0@us-west-2/flex",
        ),
    ];
    for (rig, route) in rigs {
        let sick = FaultSpec::error(ErrorText::Overloaded).model(MODEL);
        let row = Row::new(two_regions().fault(sick), rig);
        let outcome = row.outcome().await;
        let served = &outcome.told[0].answer().expect("the other answers").served;
        assert!(served.degraded);
        assert_eq!(served.route.to_string(), route);
    }
}

/// A connection that breaks, a region that is gone: what is retried first moves on after the retries.
#[tokio::test(start_paused = true)]
async fn retries_come_before_the_next_route() {
    for what in [
        FaultKind::Reset,
        FaultKind::Error(ErrorText::InternalServer.into()),
    ] {
        let sick = FaultSpec::new(what).region("us-east-1");
        let outcome = Row::new(two_regions().fault(sick), to_the_west)
            .outcome()
            .await;
        let served = &outcome.told[0].answer().expect("the west answers").served;
        assert_eq!(served.route_index, 1);
        assert!(served.attempts > 2, "{served:?}");
        assert_eq!(u64::from(served.attempts), outcome.requests());
    }
}

/// When all routes fail, the error says so, and no route was asked twice without need.
#[tokio::test(start_paused = true)]
async fn all_routes_may_fail() {
    let sick = FaultSpec::error(ErrorText::Overloaded);
    let outcome = Row::new(two_regions().fault(sick), to_the_west)
        .outcome()
        .await;
    assert_eq!(outcome.causes(), [Cause::ModelOverloaded]);
    let east = outcome
        .ledger
        .quota("us-east-1", "geo", "amazon.nova-lite-v1:0");
    assert_eq!(east.map(|quota| quota.counts.requests), Some(1));
}

/// A call that stays, or whose data must, is not sent elsewhere.
#[tokio::test(start_paused = true)]
async fn a_call_may_stay() {
    let mut stays = Call::converse();
    stays.stays = true;
    let mut local = Call::converse();
    local.within = Some(Residency::InRegion);
    let row = Row::new(two_regions().fault(sick_east()), to_the_west);
    let outcome = row.calls([stays, local]).outcome().await;
    assert_eq!(outcome.answered(), 0);
    let west = outcome
        .ledger
        .quota("us-west-2", "geo", "amazon.nova-lite-v1:0");
    assert_eq!(west.map(|quota| quota.counts.requests), Some(0));
}

/// The caller's own mistakes are told at once, from where they were made.
#[tokio::test(start_paused = true)]
async fn a_mistake_is_not_sent_elsewhere() {
    let wrong = FaultSpec::error(ErrorText::DataRetention).region("us-east-1");
    let outcome = Row::new(two_regions().fault(wrong), to_the_west)
        .outcome()
        .await;
    assert_eq!(outcome.causes(), [Cause::InvalidRequest]);
    assert_eq!(outcome.requests(), 1);
}

fn breaking() -> Rig {
    let policy = CircuitPolicy::new()
        .with_consecutive_failures(3)
        .with_cooldown(Duration::from_secs(10), Duration::from_secs(10))
        .without_cooldown_jitter();
    Rig::bare().broken_by(policy)
}

/// A route that fails is not asked while its circuit is open, and asked again when that is over.
#[tokio::test(start_paused = true)]
async fn an_open_circuit_refuses_without_asking() {
    let down = FaultSpec::error(ErrorText::ServiceUnavailable).until(Duration::from_secs(10));
    let row = Row::faulty(down, breaking).calls(vec![Call::converse(); 20]);
    let outcome = row.apart(Duration::from_secs(1)).outcome().await;
    let causes = outcome.causes();
    let refused = causes
        .iter()
        .filter(|&&cause| cause == Cause::CircuitOpen)
        .count();
    assert_eq!(causes[..3], [Cause::ServiceUnavailable; 3]);
    assert!(refused >= 9, "{causes:?}");
    assert_eq!(outcome.requests() + refused as u64, 20);
    assert!(outcome.told[19].answer().is_some(), "it is well again");
}

/// With another route at hand, nobody hears of an open circuit.
#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_passed_by() {
    let down = FaultSpec::error(ErrorText::ServiceUnavailable).region("us-east-1");
    let rig: MakeRig = || breaking().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
    let row = Row::new(two_regions().fault(down), rig).calls(vec![Call::converse(); 6]);
    let outcome = row.outcome().await;
    assert_eq!(outcome.answered(), 6);
    let east = outcome
        .ledger
        .quota("us-east-1", "geo", "amazon.nova-lite-v1:0");
    assert_eq!(
        east.map(|quota| quota.counts.requests),
        Some(3),
        "until it opened"
    );
}
