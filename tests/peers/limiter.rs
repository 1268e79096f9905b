//! Quotas, and the line before them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Wake, Waker},
};

use tokio::time::{Instant, advance, sleep};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_bedrock::{
    BedrockRequest, BudgetExhausted, Cause, ExhaustedReason, PoolKey, PoolLayer, Pools, Quota,
    Quotas, Request, Route, TokenBudgetLayer,
};
use tower_bedrock_tests::{
    REGION,
    probe::{Play, Probe, Readiness},
};

use crate::{always, holding, millis, request, route, secs, started};

fn quotas(quota: Quota) -> Quotas {
    let quotas = Quotas::new();
    let set = quotas.set(&route(), quota);
    set.expect("a sound quota");
    quotas
}

fn requests(per_minute: u64) -> Quotas {
    quotas(Quota::new().with_requests_per_minute(per_minute))
}

fn tokens(per_minute: u64) -> Quotas {
    quotas(Quota::new().with_tokens_per_minute(per_minute))
}

/// Row "limiter": holds the inner permit while waiting for rate (an unrelated call waited 9.9 s).
#[tokio::test(start_paused = true)]
async fn who_waits_for_quota_holds_no_place() {
    let pools = Pools::new().with_max_in_flight(1);
    let service = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(requests(1)))
        .layer(PoolLayer::new(pools.clone()))
        .service(always(Play::whole(secs(0))));
    let answered = service.clone().oneshot(request()).await;
    answered.expect("an answer");
    let waits = started(service.clone().oneshot(request())).await;
    assert_eq!(pools.snapshot_of(&PoolKey::region(REGION)).in_flight, 0);
    let mut unrelated = request();
    unrelated.context_mut().route =
        Route::to("amazon.nova-pro-v1:0".parse().expect("a model id")).in_region(REGION);
    let start = Instant::now();
    service.oneshot(unrelated).await.expect("an answer");
    assert_eq!(start.elapsed(), secs(0));
    waits.await.expect("no panic").expect("an answer");
}

struct Counted(AtomicU32);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Row "limiter": every waiter polls on every grant (100 polls per admission). A hundred who wait are
/// woken once for their turn, and now and then to keep the timer.
#[tokio::test(start_paused = true)]
async fn a_grant_wakes_those_who_go() {
    let probe = always(Play::whole(secs(0)));
    let layer = TokenBudgetLayer::new(requests(1)).with_max_wait(secs(100_000));
    let service = layer.layer(probe.clone());
    let first = service.clone().oneshot(request()).await;
    first.expect("an answer");
    let mut calls: Vec<_> = (0..100)
        .map(|_| {
            let counted = Arc::new(Counted(AtomicU32::new(1)));
            (Some(Box::pin(service.clone().oneshot(request()))), counted)
        })
        .collect();
    let mut polls = 0;
    while calls.iter().any(|(call, _)| call.is_some()) {
        for (call, counted) in &mut calls {
            let Some(running) = call else { continue };
            if counted.0.swap(0, Ordering::Relaxed) == 0 {
                continue;
            }
            polls += 1;
            let waker = Waker::from(Arc::clone(counted));
            let mut cx = Context::from_waker(&waker);
            if running.as_mut().poll(&mut cx).is_ready() {
                *call = None;
            }
        }
        advance(millis(500)).await;
    }
    assert_eq!(probe.calls(), 101);
    assert!(polls <= 400, "{polls} polls for 100 calls");
}

/// Row "limiter": the first waiter is passed by 18 later ones. A large call that waits is not passed
/// by small ones that would fit before it.
#[tokio::test(start_paused = true)]
async fn nobody_is_passed_in_line() {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let probe = Probe::new(Readiness::AtOnce, move |call, _| {
        let tokens = call.tokens.input.expect("it is set");
        seen.lock().expect("nobody panics").push(tokens);
        Play::stream(secs(0))
    });
    let service = TokenBudgetLayer::new(tokens(1000)).layer(probe);
    let reply = service.clone().oneshot(holding(600)).await;
    let mut calls = vec![started(service.clone().oneshot(holding(900))).await];
    for _ in 0..18 {
        calls.push(started(service.clone().oneshot(holding(20))).await);
    }
    sleep(secs(1)).await;
    drop(reply);
    for call in calls {
        drop(call.await.expect("no panic").expect("an answer"));
    }
    let order = order.lock().expect("nobody panics");
    assert_eq!(order[..3], [600, 900, 20], "{order:?}");
}

/// Row "limiter": a fixed window admits twice at the edge.
#[tokio::test(start_paused = true)]
async fn no_minute_sees_more_than_its_quota() {
    let start = Instant::now();
    let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let probe = Probe::new(Readiness::AtOnce, move |_, _| {
        seen.lock().expect("nobody panics").push(start.elapsed());
        Play::whole(secs(0))
    });
    let layer = TokenBudgetLayer::new(requests(10)).with_max_wait(secs(100_000));
    let service = layer.layer(probe);
    // The first come just before a minute is over, as many as may and more.
    sleep(secs(59)).await;
    let calls = (0..60).map(|_| service.clone().oneshot(request()));
    futures_util::future::join_all(calls).await;
    let sent = sent.lock().expect("nobody panics");
    assert_eq!(sent.len(), 60);
    for (index, at) in sent.iter().enumerate() {
        let within = sent[index..]
            .iter()
            .take_while(|later| **later < *at + secs(60));
        assert!(within.count() <= 10, "from {at:?}: {sent:?}");
    }
}

/// Row "limiter": a readied but unused permit is lost.
#[tokio::test(start_paused = true)]
async fn readiness_that_is_not_used_costs_nothing() {
    let quotas = requests(3);
    let service = TokenBudgetLayer::new(quotas.clone()).layer(always(Play::whole(secs(0))));
    for _ in 0..100 {
        let mut only_ready = service.clone();
        let ready = ServiceExt::<Request<()>>::ready(&mut only_ready).await;
        ready.expect("it is ready");
        drop(service.clone().oneshot(request()));
        let mut unused = service.clone();
        let ready = ServiceExt::<Request<()>>::ready(&mut unused).await;
        drop(ready.expect("it is ready").call(request()));
    }
    assert_eq!(quotas.snapshot_of(&route()).requests_used, 0);
}

/// Row "limiter": no refund or settle.
#[tokio::test(start_paused = true)]
async fn what_is_not_used_comes_back() {
    let quotas = tokens(1000);
    let service = TokenBudgetLayer::new(quotas.clone()).layer(always(Play::whole(secs(0))));
    // Holds 900 and uses 110: eight more such calls go in the same minute.
    let answered = service.clone().oneshot(holding(900)).await;
    answered.expect("an answer");
    assert_eq!(quotas.snapshot_of(&route()).tokens_used, 110);
    let start = Instant::now();
    let second = service.oneshot(holding(890)).await;
    second.expect("an answer");
    assert_eq!(start.elapsed(), secs(0));
}

/// Row "limiter": `n > burst` never admits.
#[tokio::test(start_paused = true)]
async fn what_never_fits_is_refused_at_once() {
    let service = TokenBudgetLayer::new(tokens(1000)).layer(always(Play::whole(secs(0))));
    let start = Instant::now();
    let error = service.clone().oneshot(holding(1001)).await;
    let error = error.expect_err("it never fits");
    let refusal = BudgetExhausted::of(&error).expect("a refusal of ours");
    assert!(matches!(refusal.reason(), ExhaustedReason::TooLarge { .. }));
    assert_eq!(start.elapsed(), secs(0));
    let answered = service.oneshot(holding(1000)).await;
    answered.expect("it just fits");
}

/// Row "limiter": N waiters get the same wait and go together (over-admission).
#[tokio::test(start_paused = true)]
async fn who_waits_goes_one_by_one() {
    let start = Instant::now();
    let probe = always(Play::whole(secs(0)));
    let layer = TokenBudgetLayer::new(requests(1)).with_max_wait(secs(100_000));
    let service = layer.layer(probe.clone());
    let calls = (0..10).map(|_| service.clone().oneshot(request()));
    let all = started(futures_util::future::join_all(calls)).await;
    for sent in 1..10 {
        assert_eq!(probe.calls(), sent, "after {:?}", start.elapsed());
        sleep(secs(61)).await;
    }
    all.await.expect("no panic");
}

/// Row "limiter": the request slot is burned when the tokens refuse.
#[tokio::test(start_paused = true)]
async fn a_refusal_for_tokens_spends_no_request() {
    let quota = Quota::new()
        .with_requests_per_minute(2)
        .with_tokens_per_minute(1000);
    let quotas = quotas(quota);
    let layer = TokenBudgetLayer::new(quotas.clone()).with_waiting(false);
    let service = layer.layer(always(Play::stream(secs(0))));
    let _open = service.clone().oneshot(holding(900)).await;
    for _ in 0..20 {
        let refused = service.clone().oneshot(holding(500)).await;
        let error = refused.expect_err("its tokens are not there");
        assert_eq!(error.cause(), Cause::BudgetExhausted);
    }
    assert_eq!(quotas.snapshot_of(&route()).requests_used, 1);
    let small = service.oneshot(holding(100)).await;
    small.expect("the second request is still there");
}

/// Row "reserve": an estimate that was too low is charged, but a stream error is never refunded. What
/// a stream used above its hold is owed; one that breaks is charged what is known, not what was held.
#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_is_charged_what_came() {
    let quotas = tokens(1000);
    let service = TokenBudgetLayer::new(quotas.clone()).layer(always(Play::stream(secs(0))));
    let mut call = holding(50);
    call.context_mut().tokens.max_output = Some(800);
    let reply = service.clone().oneshot(call).await.expect("a stream");
    assert_eq!(quotas.snapshot_of(&route()).tokens_held, 850);
    reply.fail(Cause::Internal);
    let after = quotas.snapshot_of(&route());
    assert_eq!(after.tokens_held, 0);
    assert!(after.tokens_used < 850, "{after:?}");

    // Too low an estimate: 110 were used, 10 held.
    let before = after.tokens_used;
    let reply = service.oneshot(holding(10)).await.expect("a stream");
    reply.finish();
    assert_eq!(quotas.snapshot_of(&route()).tokens_used, before + 110);
}
