use std::time::Duration;

use bedrock_sim::{Scenario, ScenarioBuilder};
use tower_bedrock::{Cause, Quota, RetryLayer, Route};
use tower_bedrock_tests::{MODEL, model};

use super::{
    call::{Call, Op},
    rig::Rig,
    row::Row,
};

const STREAMS: [Op; 2] = [Op::ConverseStream, Op::InvokeModelWithResponseStream];
const ALL: [Op; 4] = [Op::Converse, Op::InvokeModel, STREAMS[0], STREAMS[1]];

/// A model with three places, which takes a second for each answer.
fn three_places() -> ScenarioBuilder {
    let model = model().latency(Duration::from_secs(1)).concurrency(3);
    Scenario::builder().seed(7).model(model)
}

fn three_at_once() -> Rig {
    Rig::retrying(RetryLayer::new()).pooled(|pools| pools.with_max_in_flight(3))
}

/// Thirty calls at once, for three places: no more than three are in flight, streams among them until
/// their last event, so that the service refuses none.
#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_fit() {
    for ops in [&ALL[..], &STREAMS[..]] {
        let calls = ops.iter().copied().cycle().take(30).map(Call::of);
        let row = Row::new(three_places(), three_at_once).calls(calls);
        let outcome = row.apart(Duration::ZERO).outcome().await;
        assert_eq!(outcome.requests(), 30);
        assert_eq!(outcome.ledger.totals.refused.capacity, 0);
        assert_eq!(outcome.took, Duration::from_secs(10));
    }
}

/// A full pool whose line is full refuses at once: that is ours to refuse, and the service hears
/// nothing of it.
#[tokio::test(start_paused = true)]
async fn a_full_pool_refuses_at_once() {
    let row = Row::new(three_places(), || {
        Rig::bare().pooled(|pools| pools.with_max_in_flight(3).with_max_waiting(2))
    });
    let row = row.calls(vec![Call::converse(); 8]).apart(Duration::ZERO);
    let outcome = row.outcome().await;
    assert_eq!(outcome.causes(), [Cause::PoolSaturated; 3]);
    assert_eq!((outcome.answered(), outcome.requests()), (5, 5));
}

/// Under a budget, a call that stands in line for a place counts in its minute from when it is sent:
/// the service, which counts from then, refuses none.
#[tokio::test(start_paused = true)]
async fn a_budget_counts_from_when_calls_are_sent() {
    let slow = model()
        .latency(Duration::from_secs(10))
        .concurrency(3)
        .rpm(10);
    let row = Row::new(Scenario::builder().seed(7).model(slow), || {
        let route = Route::to(MODEL.parse().expect("a model id"));
        let quota = Quota::new().with_requests_per_minute(10);
        three_at_once().budgeted(&route, quota, |layer| layer)
    });
    let row = row.calls(vec![Call::converse(); 40]).apart(Duration::ZERO);
    let outcome = row.outcome().await;
    assert_eq!((outcome.answered(), outcome.requests()), (40, 40));
    assert_eq!(outcome.ledger.totals.refused.total(), 0);
}
