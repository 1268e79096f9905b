//! A call that is dropped at any point of its life leaves nothing behind: nothing under way at the
//! service, nothing held of a quota, nobody in a line, no place taken.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Waker},
    time::Duration,
};

use bedrock_sim::{
    ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, ScenarioBuilder, SimService,
};
use tower_bedrock::{CircuitPolicy, Ladder, Quota, RetryLayer, Route};
use tower_bedrock_tests::{MODEL, in_process, model};

use super::{
    call::{Call, Op},
    face::{Face, MakeFace},
    outcome::Told,
    rig::{MakeRig, Rig},
};

const FACES: [MakeFace; 2] = [Face::tower, Face::fluent];

fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id"))
}

/// A model with one place, which takes half a second to answer.
fn slow() -> ModelSpec {
    model()
        .regions(["us-east-1", "us-west-2"])
        .latency(Duration::from_millis(500))
        .tokens_per_second(40)
        .concurrency(1)
}

fn slowly() -> ScenarioBuilder {
    Scenario::builder().seed(7).model(slow())
}

/// All layers: routes, retries, a circuit, a budget of a few calls a minute.
fn everything() -> Rig {
    let quota = Quota::new()
        .with_requests_per_minute(4)
        .with_tokens_per_minute(10_000);
    Rig::retrying(RetryLayer::new())
        .broken_by(CircuitPolicy::new().with_consecutive_failures(50))
        .budgeted(&route(), quota, |layer| layer)
        .pooled(|pools| pools.with_max_in_flight(1))
        .falling_back(Ladder::regions(["us-west-2"]), |layer| layer)
}

/// Polls `call` up to so many times, time passing in between. Whether it came to its end.
async fn polled<F: Future>(mut call: Pin<&mut F>, polls: usize, step: Duration) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if call.as_mut().poll(&mut cx).is_ready() {
            return true;
        }
        tokio::time::advance(step).await;
    }
    false
}

fn assert_nothing_left(sim: &SimService, rig: &Rig, when: &str) {
    let totals = sim.ledger().totals;
    assert_eq!(
        (totals.in_flight, totals.tokens_held),
        (0, 0),
        "{when}: {totals:?}"
    );
    assert_eq!(rig.in_pools(), 0, "{when}");
    for quota in rig.quotas().snapshot() {
        let left = (quota.waiting, quota.tokens_held, quota.tokens_waiting);
        assert_eq!(left, (0, 0, 0), "{when}: {quota:?}");
    }
}

/// Drops a call after each number of polls, until it is answered before, and finds nothing left; the
/// next call is answered. Returns how often it was cut.
async fn cut_everywhere(
    scenario: fn() -> ScenarioBuilder,
    rig: MakeRig,
    op: Op,
    step: Duration,
) -> usize {
    let mut cuts = 0;
    for face in FACES {
        for polls in 0.. {
            let sim = SimService::new(scenario().build().expect("a valid scenario"));
            let rig = rig();
            let face = face(in_process(&sim), &rig);
            let call = Call::of(op);
            let when = format!("{op:?} after {polls} polls");
            let finished = {
                let call = pin!(face.make(&call));
                polled(call, polls, step).await
            };
            assert_nothing_left(&sim, &rig, &when);
            if finished {
                break;
            }
            cuts += 1;
            let next = face.make(&Call::of(op)).await;
            assert!(!matches!(next, Told::Failed(_)), "{when}: {next:?}");
            assert_nothing_left(&sim, &rig, &when);
        }
    }
    cuts
}

/// While it is answered.
#[tokio::test(start_paused = true)]
async fn a_call_may_be_dropped_while_it_is_answered() {
    for op in [
        Op::Converse,
        Op::InvokeModel,
        Op::ConverseStream,
        Op::InvokeModelWithResponseStream,
    ] {
        let cuts = cut_everywhere(slowly, everything, op, Duration::from_millis(50)).await;
        assert!(cuts > 20, "{op:?}: {cuts}");
    }
}

/// Between attempts, and while another route is taken.
#[tokio::test(start_paused = true)]
async fn a_call_may_be_dropped_while_it_is_retried() {
    fn troubled() -> ScenarioBuilder {
        slowly()
            .fault(FaultSpec::error(ErrorText::InternalServer).count(1))
            .fault(FaultSpec::new(FaultKind::Reset).count(1))
            .fault(FaultSpec::error(ErrorText::Overloaded).count(1))
            .fault(
                FaultSpec::new(FaultKind::StreamException {
                    after_events: 0,
                    error: ErrorText::InternalServer.into(),
                })
                .count(1),
            )
    }
    for op in [Op::Converse, Op::ConverseStream] {
        let cuts = cut_everywhere(troubled, everything, op, Duration::from_millis(50)).await;
        assert!(cuts > 30, "{op:?}: {cuts}");
    }
}

/// While it stands in line, with others before and behind it, who get their turns all the same.
#[tokio::test(start_paused = true)]
async fn a_call_may_be_dropped_in_line() {
    fn one_a_minute() -> Rig {
        let quota = Quota::new().with_requests_per_minute(1);
        Rig::retrying(RetryLayer::new()).budgeted(&route(), quota, |layer| layer)
    }
    for face in FACES {
        for polls in [0, 1, 2, 5, 30, 60, 61, 90, 120, 121, 122] {
            let scenario = Scenario::builder().seed(7).model(model());
            let sim = SimService::new(scenario.build().expect("a valid scenario"));
            let rig = one_a_minute();
            let face = face(in_process(&sim), &rig);
            face.make(&Call::converse()).await;
            let others = |face: &Face| {
                let face = face.clone();
                tokio::spawn(async move { face.make(&Call::converse()).await })
            };
            let before = others(&face);
            tokio::task::yield_now().await;
            let call = Call::converse();
            let mut dropped = Box::pin(face.make(&call));
            polled(dropped.as_mut(), 1, Duration::ZERO).await;
            let behind = others(&face);
            polled(dropped.as_mut(), polls, Duration::from_secs(1)).await;
            drop(dropped);
            let behind = behind.await.expect("no panic");
            assert!(behind.answer().is_some(), "{polls}: {behind:?}");
            let first = before.await.expect("no panic");
            assert!(first.answer().is_some(), "{polls}: {first:?}");
            assert_nothing_left(&sim, &rig, &format!("after {polls} polls"));
            // Of each minute's one request, none is lost to the call that went away.
            assert!(sim.ledger().totals.requests <= 4);
        }
    }
}

/// A hundred calls at once, a third of which go away at random: the rest are answered, and nothing is
/// left of the others.
#[tokio::test(start_paused = true)]
async fn many_calls_may_be_dropped_at_once() {
    for face in FACES {
        let scenario = Scenario::builder()
            .seed(7)
            .model(model().latency(Duration::from_millis(700)))
            .fault(FaultSpec::error(ErrorText::InternalServer).every(7));
        let sim = SimService::new(scenario.build().expect("a valid scenario"));
        let quota = Quota::new().with_requests_per_minute(60);
        let rig = Rig::retrying(RetryLayer::new()).budgeted(&route(), quota, |layer| layer);
        let face = face(in_process(&sim), &rig);
        let mut calls = tokio::task::JoinSet::new();
        let mut gone = Vec::new();
        for number in 0..100_u64 {
            let face = face.clone();
            let op = [Op::Converse, Op::ConverseStream][usize::from(number % 2 == 0)];
            let task = calls.spawn(async move {
                let told = face.make(&Call::of(op)).await;
                matches!(told, Told::Answered(_))
                    || matches!(told, Told::Streamed(streamed) if streamed.broken.is_none())
            });
            if number % 3 == 0 {
                gone.push((number * 37 % 4_000, task));
            }
        }
        gone.sort_by_key(|(when, _)| *when);
        let mut now = 0;
        for (when, task) in gone {
            tokio::time::sleep(Duration::from_millis(when - now)).await;
            now = when;
            task.abort();
        }
        let mut answered = 0;
        while let Some(done) = calls.join_next().await {
            answered += usize::from(matches!(done, Ok(true)));
        }
        assert!(answered >= 66, "{answered}");
        assert_nothing_left(&sim, &rig, "afterwards");
    }
}
