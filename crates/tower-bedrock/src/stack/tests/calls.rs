use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{CircuitState, PoolKey, Pools, TokenBudgetEvent, TokenBudgetLayer};

/// Without a ladder a call stays on its own route.
#[tokio::test(start_paused = true)]
async fn without_a_ladder_a_call_stays_on_its_route() {
    let service = Regions::default();
    service.fail(None, Some(Cause::ModelOverloaded));
    let stack = Stack::over(service.clone(), HOME).build().unwrap();
    let error = stack.send(request()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::ModelOverloaded);
    assert_eq!(service.sent_to(), ["-"; 4]);
}

/// The fallback asks the circuits: what is known to be sick is not asked again, but for probes, and
/// calls come back when it is well.
#[tokio::test(start_paused = true)]
async fn calls_go_around_an_open_circuit() {
    let service = Regions::default();
    service.fail(None, Some(Cause::ServiceUnavailable));
    let stack = Stack::over(service.clone(), HOME)
        .fallback(to_second())
        .build()
        .unwrap();
    for _ in 0..10 {
        let response = stack.send(request()).await.unwrap();
        assert_eq!(response.served().route_index, 1);
        assert_eq!(service.sent_to(), ["-", SECOND]);
    }
    let breakers = stack.breakers().unwrap();
    assert_eq!(breakers.state(&route()), CircuitState::Open);
    assert_eq!(
        breakers.state(&route().in_region(SECOND)),
        CircuitState::Closed
    );
    for _ in 0..10 {
        stack.send(request()).await.unwrap();
        assert_eq!(
            service.sent_to(),
            [SECOND],
            "straight to where it is answered"
        );
    }
    assert_eq!(
        breakers.snapshot_of(&route()).refused,
        0,
        "asked, not tried"
    );

    service.fail(None, None);
    tokio::time::advance(Duration::from_secs(10)).await;
    let response = stack.send(request()).await.unwrap();
    assert_eq!(response.served().route_index, 0);
    assert_eq!(service.sent_to(), ["-"]);
}

/// The fallback asks the quotas: a call that would have to wait goes where there is room, and is sent
/// to its own route no more often than the quota allows.
#[tokio::test(start_paused = true)]
async fn calls_go_around_a_quota_that_is_used_up() {
    let service = Regions::default();
    let refused = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&refused);
    let count = move |event: &TokenBudgetEvent<'_>| {
        if let TokenBudgetEvent::Refused { .. } = event {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    };
    let quotas = Quotas::new().with_home_region(HOME);
    let stack = Stack::over(service.clone(), HOME)
        .token_budget(TokenBudgetLayer::new(quotas).on_event(count))
        .quota(route(), Quota::new().with_requests_per_minute(3))
        .fallback(to_second())
        .build()
        .unwrap();
    let start = Instant::now();
    for _ in 0..10 {
        stack.send(request()).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let sent_to = service.sent_to();
    assert_eq!(sent_to[..3], ["-"; 3]);
    assert_eq!(sent_to[3..], [SECOND; 7]);
    assert_eq!(refused.load(Ordering::Relaxed), 0, "asked, not tried");
}

/// Where there is no other route, a call waits for its quota.
#[tokio::test(start_paused = true)]
async fn a_call_waits_where_there_is_nothing_else() {
    let stack = Stack::over(Regions::default(), HOME)
        .quota(route(), Quota::new().with_requests_per_minute(1))
        .build()
        .unwrap();
    let start = Instant::now();
    stack.send(request()).await.unwrap();
    stack.send(request()).await.unwrap();
    assert!(
        (60..62).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
}

/// A call without a deadline gets the stack's, one with a deadline keeps its own, even if it is later.
#[tokio::test(start_paused = true)]
async fn calls_get_a_deadline() {
    let service = Regions::default();
    service.take(Duration::MAX);
    let start = Instant::now();
    let deadline_of = |stack: DefaultStack<Regions>, request: Request<()>| {
        let sent = Arc::clone(&service.0);
        async move {
            let error = stack.send(request).await.unwrap_err();
            assert_eq!(error.cause(), Cause::DeadlineExceeded);
            let deadline = sent.lock().unwrap().sent.pop().unwrap().deadline.unwrap();
            (deadline - start).as_secs()
        }
    };
    let new = || Stack::over(service.clone(), HOME);
    assert_eq!(deadline_of(new().build().unwrap(), request()).await, 3600);
    let short = new().timeout(Duration::from_secs(10)).build().unwrap();
    assert_eq!(deadline_of(short.clone(), request()).await, 3610);
    let late = request().with_timeout(Duration::from_secs(100));
    assert_eq!(deadline_of(short, late).await, 3710);
    assert_eq!(service.alive(), 0);

    service.take(Duration::ZERO);
    let endless = new().without_timeout().build().unwrap();
    endless.send(request()).await.unwrap();
    assert_eq!(service.0.lock().unwrap().sent.pop().unwrap().deadline, None);
}

/// Retries, circuit and quota of the second route are its own: nothing of the first is counted there.
#[tokio::test(start_paused = true)]
async fn each_route_is_counted_by_itself() {
    let service = Regions::default();
    service.fail(None, Some(Cause::ModelOverloaded));
    let quota = Quota::new().with_tokens_per_minute(1_000_000);
    let stack = Stack::over(service.clone(), HOME)
        .quota(route(), quota.clone())
        .quota(route().in_region(SECOND), quota)
        .fallback(to_second())
        .build()
        .unwrap();
    stack.send(request()).await.unwrap();
    let (quotas, breakers) = (stack.quotas().unwrap(), stack.breakers().unwrap());
    let second = route().in_region(SECOND);
    assert_eq!(quotas.snapshot_of(&second).tokens_used, 110);
    assert_eq!(breakers.snapshot_of(&second).failures, 0);
    assert_eq!(breakers.snapshot_of(&route()).failures, 1);
    assert_eq!(
        stack.retry_budget().unwrap().available(),
        500,
        "it was no retry"
    );
}

/// The fallback asks the pools: a call that would be refused for want of a place goes elsewhere, and
/// the second region has places of its own.
#[tokio::test(start_paused = true)]
async fn calls_go_around_a_full_pool() {
    let service = Regions::default();
    service.take(Duration::from_secs(1));
    let pools = Pools::new().with_home_region(HOME);
    let stack = Stack::over(service.clone(), HOME)
        .fallback(to_second())
        .pool(pools.with_max_in_flight(3).with_max_waiting(0))
        .build()
        .unwrap();
    let calls = (0..5).map(|_| stack.send(request()));
    let served = futures_util::future::try_join_all(calls).await.unwrap();
    let routes: Vec<_> = served.iter().map(|one| one.served().route_index).collect();
    assert_eq!(routes, [0, 0, 0, 1, 1]);
    assert_eq!(service.sent_to(), ["-", "-", "-", SECOND, SECOND]);
    let pool = stack.pools().unwrap().snapshot_of(&PoolKey::region(HOME));
    assert_eq!((pool.in_flight, pool.waiting), (0, 0));
    assert_eq!(pool.refused, 0, "asked, not tried");
}
