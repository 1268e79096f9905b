//! Places, and the line before them.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt};
use tower_bedrock::{AdaptiveLimit, Cause, PoolKey, PoolLayer, PoolSnapshot, Pools};
use tower_bedrock_tests::{
    REGION,
    probe::{Play, Probe, Readiness},
};

use crate::{always, request, secs, started};

fn snapshot(pools: &Pools) -> PoolSnapshot {
    pools.snapshot_of(&PoolKey::region(REGION))
}

/// Row "pool": the permit is released when the response head arrives: 50 streams open with a limit
/// of 1.
#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_place_to_its_end() {
    let probe = always(Play::stream(secs(0)));
    let pools = Pools::new().with_max_in_flight(1);
    let service = PoolLayer::new(pools.clone()).layer(probe.clone());
    let first = service.clone().oneshot(request()).await.expect("a stream");
    let others: Vec<_> = (0..49)
        .map(|_| service.clone().oneshot(request()))
        .collect();
    let others = started(futures_util::future::select_all(
        others.into_iter().map(Box::pin),
    ))
    .await;
    sleep(secs(10)).await;
    assert_eq!((probe.open_replies(), probe.calls()), (1, 1));
    drop(first);
    let (second, ..) = others.await.expect("no panic");
    second.expect("a stream");
    assert_eq!(probe.calls(), 2);
}

/// Row "pool": `reject_when_full` waits a timer tick (about 1.1 ms) instead of refusing at once.
#[tokio::test(start_paused = true)]
async fn a_full_pool_refuses_in_no_time() {
    let pools = Pools::new().with_max_in_flight(1).with_max_waiting(0);
    let service = PoolLayer::new(pools).layer(always(Play::whole(secs(60))));
    let _first = started(service.clone().oneshot(request())).await;
    let start = Instant::now();
    let refused = service.oneshot(request()).now_or_never();
    let error = refused.expect("at the first poll").expect_err("full");
    assert_eq!(error.cause(), Cause::PoolSaturated);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Row "pool": unbounded wait by default, the queue never refuses. By default a thousand wait, each
/// for a minute.
#[tokio::test(start_paused = true)]
async fn a_line_is_bounded_by_default() {
    let pools = Pools::new();
    let service = PoolLayer::new(pools.clone()).layer(always(Play::whole(secs(3600))));
    let calls = (0..2000).map(|_| service.clone().oneshot(request()));
    let start = Instant::now();
    let all = started(futures_util::future::join_all(calls)).await;
    let full = snapshot(&pools);
    assert_eq!(
        (full.in_flight, full.waiting, full.refused),
        (50, 1000, 950)
    );
    sleep(secs(61)).await;
    let later = snapshot(&pools);
    assert_eq!((later.in_flight, later.waiting), (50, 0));
    let results = all.await.expect("no panic");
    assert_eq!(start.elapsed(), secs(3600));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 50);
}

fn adaptive() -> Pools {
    let limit = AdaptiveLimit::between(1, 1000).expect("a sound limit");
    Pools::new().with_adaptive_limit(limit.with_initial(20))
}

/// Row "adaptive": the limit grows while nobody comes near it.
#[tokio::test(start_paused = true)]
async fn a_limit_does_not_grow_unused() {
    let pools = adaptive();
    let service = PoolLayer::new(pools.clone()).layer(always(Play::whole(secs(1))));
    for _ in 0..2000 {
        let answered = service.clone().oneshot(request()).await;
        answered.expect("an answer");
    }
    assert_eq!(snapshot(&pools).limit, 20);
}

/// Row "adaptive": collapses on healthy long calls (latency threshold).
#[tokio::test(start_paused = true)]
async fn a_limit_bears_long_answers() {
    let pools = adaptive();
    let slow = Probe::new(Readiness::AtOnce, |_, number| {
        Play::whole(secs(if number < 200 { 1 } else { 120 }))
    });
    let service = PoolLayer::new(pools.clone()).layer(slow);
    let calls = (0..1000).map(|_| service.clone().oneshot(request()));
    futures_util::future::join_all(calls).await;
    assert!(snapshot(&pools).limit >= 20, "{:?}", snapshot(&pools));
}
