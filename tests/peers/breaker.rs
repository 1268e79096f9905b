//! The circuit breaker.

use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Cause, CircuitBreaker, CircuitBreakerLayer, CircuitBreakers, CircuitPolicy, CircuitState,
    PoolLayer, Pools, Request,
};
use tower_bedrock_tests::probe::{Play, Probe, Readiness};

use crate::{always, millis, request, route, secs, started};

fn circuits(policy: CircuitPolicy) -> CircuitBreakers {
    CircuitBreakers::new()
        .with_policy(policy.without_cooldown_jitter())
        .expect("a sound policy")
}

fn policy() -> CircuitPolicy {
    CircuitPolicy::new()
        .with_consecutive_failures(3)
        .with_cooldown(secs(5), secs(5))
}

/// Does with a call what its tenant says.
fn told() -> Probe {
    Probe::new(Readiness::AtOnce, |call, _| match call.tenant.as_deref() {
        Some("fails") => Play::failure(millis(1), Cause::ServiceUnavailable),
        Some("hangs") => Play::whole(secs(100_000)),
        Some("slow") => Play::whole(secs(20)),
        Some("breaks") => Play::stream(millis(1)),
        _ => Play::whole(millis(1)),
    })
}

fn call(what: &'static str) -> Request<()> {
    request().with_tenant(what)
}

async fn opened(service: &CircuitBreaker<Probe>) {
    let breakers = service.breakers().clone();
    while breakers.state(&route()) != CircuitState::Open {
        let failed = service.clone().oneshot(call("fails")).await;
        failed.expect_err("it fails on purpose");
    }
}

/// Row "breaker": the count window does not slide: after 10 000 successes it takes 10 000 failures.
#[tokio::test(start_paused = true)]
async fn a_long_healthy_past_does_not_keep_it_closed() {
    let policy = CircuitPolicy::new().without_consecutive_failures();
    let service = CircuitBreakerLayer::new(circuits(policy)).layer(told());
    for _ in 0..10_000 {
        let answered = service.clone().oneshot(call("answers")).await;
        answered.expect("an answer");
    }
    sleep(secs(60)).await;
    let mut failures = 0;
    while service.breakers().state(&route()) == CircuitState::Closed {
        let failed = service.clone().oneshot(call("fails")).await;
        failed.expect_err("it fails on purpose");
        failures += 1;
        assert!(failures <= 100, "it does not open");
    }
}

/// Row "breaker": half-open wedges for ever on one probe that hangs.
#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_does_not_wedge_it() {
    let policy = policy().with_probes(1).with_probe_limit(secs(30));
    let service = CircuitBreakerLayer::new(circuits(policy)).layer(told());
    opened(&service).await;
    sleep(secs(5)).await;
    let probe = started(service.clone().oneshot(call("hangs"))).await;
    assert_eq!(service.breakers().state(&route()), CircuitState::HalfOpen);
    let refused = service.clone().oneshot(call("answers")).await;
    refused.expect_err("the probe has the place");
    sleep(secs(30)).await;
    let answered = service.clone().oneshot(call("answers")).await;
    answered.expect("another may look");
    assert_eq!(service.breakers().state(&route()), CircuitState::Closed);
    probe.abort();
}

/// Row "breaker": half-open wedges when two probes are further apart than the window.
#[tokio::test(start_paused = true)]
async fn probes_far_apart_close_it() {
    let policy = policy().with_successes_to_close(2).with_window(secs(60));
    let service = CircuitBreakerLayer::new(circuits(policy)).layer(told());
    opened(&service).await;
    for _ in 0..2 {
        sleep(secs(3600)).await;
        let answered = service.clone().oneshot(call("answers")).await;
        answered.expect("an answer");
    }
    assert_eq!(service.breakers().state(&route()), CircuitState::Closed);
}

/// Row "breaker": half-open admits everybody (200 of 200).
#[tokio::test(start_paused = true)]
async fn half_open_lets_few_through() {
    let probe = told();
    let service = CircuitBreakerLayer::new(circuits(policy().with_probes(2))).layer(probe.clone());
    opened(&service).await;
    sleep(secs(5)).await;
    let before = probe.calls();
    let calls = (0..200).map(|_| service.clone().oneshot(call("slow")));
    let all = started(futures_util::future::join_all(calls)).await;
    assert_eq!(probe.calls() - before, 2);
    let answered = all.await.expect("no panic");
    assert_eq!(answered.iter().filter(|result| result.is_ok()).count(), 2);
}

/// Row "breaker": a slow call that was admitted before the outage decides the half-open state.
#[tokio::test(start_paused = true)]
async fn stale_outcomes_decide_nothing() {
    let service = CircuitBreakerLayer::new(circuits(policy())).layer(told());
    let slow = started(service.clone().oneshot(call("slow"))).await;
    opened(&service).await;
    sleep(secs(5)).await;
    // Half-open, with a probe under way when the old answer comes.
    let probe = started(service.clone().oneshot(call("hangs"))).await;
    slow.await.expect("no panic").expect("an answer, late");
    assert_eq!(service.breakers().state(&route()), CircuitState::HalfOpen);
    probe.abort();

    // And the other way round: a late failure does not open what has recovered.
    let broken = service.clone().oneshot(call("breaks")).await;
    drop(broken);
    sleep(secs(100)).await;
    let closed = service.clone().oneshot(call("answers")).await;
    closed.expect("it has recovered");
    assert_eq!(service.breakers().state(&route()), CircuitState::Closed);
}

/// Row "breaker": a hundred calls cut from outside leave it closed with nothing recorded; and a
/// standard clock makes paused tests lie. Calls that their own deadline cuts open it, on tokio's clock.
#[tokio::test(start_paused = true)]
async fn calls_that_their_deadline_cuts_open_it() {
    let service = CircuitBreakerLayer::new(circuits(policy())).layer(told());
    for _ in 0..3 {
        let hangs = call("hangs").with_timeout(secs(1));
        // Whoever cuts it does so at the deadline, from outside.
        let cut = timeout(secs(1), service.clone().oneshot(hangs)).await;
        cut.expect_err("nobody answers");
    }
    assert_eq!(service.breakers().snapshot_of(&route()).abandoned, 3);
    assert_eq!(service.breakers().state(&route()), CircuitState::Open);
}

/// Row "breaker": probes that are cut for ever never re-open it, nor let it close. Each that is cut
/// gives its place to the next at once.
#[tokio::test(start_paused = true)]
async fn probes_that_are_cut_do_not_wedge_it() {
    let service = CircuitBreakerLayer::new(circuits(policy().with_probes(1))).layer(told());
    opened(&service).await;
    sleep(secs(5)).await;
    for _ in 0..100 {
        let cut = timeout(millis(10), service.clone().oneshot(call("hangs"))).await;
        cut.expect_err("nobody answers");
        assert_eq!(service.breakers().snapshot_of(&route()).probes, 0);
    }
    let late = call("hangs").with_timeout(secs(1));
    let cut = timeout(secs(1), service.clone().oneshot(late)).await;
    cut.expect_err("nobody answers");
    assert_eq!(
        service.breakers().state(&route()),
        CircuitState::Open,
        "a probe that got no answer by its deadline has failed"
    );
    sleep(secs(5)).await;
    let answered = service.clone().oneshot(call("answers")).await;
    answered.expect("an answer");
    assert_eq!(service.breakers().state(&route()), CircuitState::Closed);
}

/// Row "breaker": placed outside a bulkhead, 190 local rejections opened it over a healthy backend.
#[tokio::test(start_paused = true)]
async fn refusals_of_a_full_pool_do_not_open_it() {
    let breakers = circuits(policy());
    let pools = Pools::new().with_max_in_flight(10).with_max_waiting(0);
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .layer(PoolLayer::new(pools))
        .service(always(Play::whole(secs(1))));
    let calls = (0..200).map(|_| service.clone().oneshot(request()));
    let results = futures_util::future::join_all(calls).await;
    let refused = results.iter().filter(|result| {
        let error = result.as_ref().err();
        error.is_some_and(|error| error.cause() == Cause::PoolSaturated)
    });
    assert_eq!(refused.count(), 190);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!(
        (snapshot.state, snapshot.failures),
        (CircuitState::Closed, 0)
    );
}

/// Row "breaker": streams that fail after the first event count as success.
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_later_is_a_failure() {
    let mut service = CircuitBreakerLayer::new(circuits(policy())).layer(told());
    for failures in 0..3 {
        assert_eq!(service.breakers().snapshot_of(&route()).failures, failures);
        let ready = ServiceExt::<Request<()>>::ready(&mut service)
            .await
            .expect("it is always ready");
        let reply = ready.call(call("breaks")).await.expect("it begins");
        sleep(secs(1)).await;
        let calls = service.breakers().snapshot_of(&route()).calls;
        assert_eq!(calls, failures, "there is no verdict before its end");
        reply.fail(Cause::StreamFailed);
    }
    assert_eq!(service.breakers().state(&route()), CircuitState::Open);
}
