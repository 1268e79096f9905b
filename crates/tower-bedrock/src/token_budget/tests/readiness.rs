//! When a call is admitted, and what the inner service has reserved for it meanwhile.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tokio::sync::Semaphore;
use tower::{Service, limit::GlobalConcurrencyLimitLayer, util::BoxCloneService};

use super::*;

/// A service with one permit, taken when it is ready, that answers after ten seconds; and its permits.
fn one_at_a_time() -> (
    BoxCloneService<Request<()>, Response<()>, Error>,
    Arc<Semaphore>,
) {
    let permits = Arc::new(Semaphore::new(1));
    let inner = service_fn(|request: Request<()>| async move {
        tokio::time::sleep(secs(10)).await;
        let input = request.context().tokens.input.unwrap_or(0);
        Ok::<_, Error>(answer(usage(input.into(), 0)))
    });
    let limit = GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(&permits));
    (BoxCloneService::new(limit.layer(inner)), permits)
}

fn is_ready<R>(service: &mut impl Service<R, Error = Error>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(())))
}

/// A call that fits has drawn when it is called; dropped before it is polled it gives all of that
/// back, and what the inner service has reserved for it.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_leaves_nothing() {
    let quotas = quotas(1000);
    let (inner, permits) = one_at_a_time();
    let mut service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    assert!(is_ready(&mut service));
    let call = service.call(holding(700));
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.tokens_used, snapshot.requests_used), (700, 1));
    drop(call);
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.tokens_used, snapshot.requests_used), (0, 0));
    assert_eq!(permits.available_permits(), 1);

    // Polled once, it may have been sent.
    assert!(is_ready(&mut service));
    {
        let mut call = pin!(service.call(holding(700)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(used(&quotas), 700);
}

/// The minute of a call begins when its future is polled first, however long that is after the call
/// was made, and whether the answer is there at once or not.
#[tokio::test(start_paused = true)]
async fn the_minute_of_a_call_begins_when_it_is_polled() {
    for latency in [Duration::ZERO, secs(1)] {
        let quotas = quotas(1000);
        let inner = service_fn(move |_: Request<()>| async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            Ok::<_, Error>(answer(usage(700, 0)))
        });
        let mut service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
        assert!(is_ready(&mut service));
        let call = service.call(holding(700));
        tokio::time::sleep(secs(50)).await;
        call.await.unwrap();
        tokio::time::sleep(secs(55)).await;
        assert_eq!(used(&quotas), 700, "{latency:?}");
        tokio::time::sleep(secs(6)).await;
        assert_eq!(used(&quotas), 0, "{latency:?}");
    }
}

/// A call that waits for its quota keeps nothing that the inner service has reserved: neither the
/// instance that was made ready nor the call's own.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_quota_has_no_permit() {
    let quotas = quotas(1000);
    let (inner, permits) = one_at_a_time();
    let mut service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    service.clone().oneshot(holding(1000)).await.unwrap();

    assert!(is_ready(&mut service));
    assert_eq!(permits.available_permits(), 0, "reserved by being ready");
    let waits = tokio::spawn(service.call(holding(800)));
    settle_tasks().await;
    assert_eq!(quotas.snapshot_of(&route()).waiting, 1);
    assert_eq!(permits.available_permits(), 1);
    // Others go meanwhile.
    let mut other = call(500, 0);
    other.route = Route::to("amazon.nova-lite-v1:0".parse().unwrap());
    let start = Instant::now();
    service.oneshot(Request::new((), other)).await.unwrap();
    assert_eq!(start.elapsed(), secs(10));
    waits.await.unwrap().unwrap();
}

/// A call to a busy service goes when that is ready, in the place in its line that being asked has
/// taken.
#[tokio::test(start_paused = true)]
async fn a_call_to_a_busy_service_keeps_its_place_there() {
    let quotas = quotas(1000);
    let (inner, permits) = one_at_a_time();
    let mut service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    let first = tokio::spawn(service.clone().oneshot(holding(100)));
    settle_tasks().await;
    assert!(is_ready(&mut service), "though the inner service is not");
    let second = service.call(holding(100));
    let third = tokio::spawn(service.oneshot(holding(100)));
    settle_tasks().await;
    assert_eq!(used(&quotas), 200, "the second was not polled");
    first.await.unwrap().unwrap();
    let start = Instant::now();
    second.await.unwrap();
    assert_eq!(start.elapsed(), secs(10), "before the third");
    third.await.unwrap().unwrap();
    assert_eq!(permits.available_permits(), 1);
}

/// A call that finds the inner service busy and its quota used up gives its place in the inner line back,
/// so that those go who can.
#[tokio::test(start_paused = true)]
async fn a_place_below_is_given_back_by_a_call_that_waits_for_its_quota() {
    let quotas = quotas(1000);
    let (inner, permits) = one_at_a_time();
    let mut service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    let first = tokio::spawn(service.clone().oneshot(holding(700)));
    settle_tasks().await;
    assert!(is_ready(&mut service));
    let waits = tokio::spawn(service.call(holding(800)));
    settle_tasks().await;
    assert_eq!(quotas.snapshot_of(&route()).waiting, 1);
    first.await.unwrap().unwrap();
    assert_eq!(permits.available_permits(), 1);
    waits.await.unwrap().unwrap();
}

/// A clone of a service that is ready is not: the inner service is asked for each call.
#[tokio::test(start_paused = true)]
async fn readiness_is_not_cloned() {
    let (inner, _) = one_at_a_time();
    let mut service = TokenBudgetLayer::new(quotas(1000)).layer(inner);
    assert!(is_ready(&mut service));
    let mut clone = service.clone();
    // Would panic if the clone were called without being asked.
    let second = clone.call(holding(100));
    service.call(holding(100)).await.unwrap();
    drop(service);
    second.await.unwrap();
}
