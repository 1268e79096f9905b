//! Calls that are cut short: by an outer timeout, by their own deadline, by a caller who leaves.

use tower::{ServiceBuilder, timeout::TimeoutLayer};

use super::*;
use crate::{BoxError, Quota, Quotas, Reaction, Reactions, RetryLayer, TokenBudgetLayer};

/// A hundred calls that tower's own `Timeout` cuts are seen, each of them. They had no deadline of
/// their own, so that nobody knows whether the route is sick or the caller impatient: it stays closed.
#[tokio::test(start_paused = true)]
async fn calls_that_an_outer_timeout_cuts_are_seen() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(secs(60), answered);
    let inner = model.clone();
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new(secs(1)))
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .service_fn(move |_: Request<()>| inner.clone().call());
    for number in 1..=100 {
        let error: BoxError = service.clone().oneshot(request()).await.unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>());
        assert_eq!(breakers.snapshot_of(&route()).abandoned, number);
    }
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.calls, snapshot.state), (0, CircuitState::Closed));
    assert_eq!(model.calls(), 100);
}

/// A call that is dropped at its own deadline got no answer in time: that counts, as a timeout does.
/// One that is dropped a moment before says nothing.
#[tokio::test(start_paused = true)]
async fn a_call_cut_at_its_deadline_is_a_failure() {
    for (cut_after, counts) in [(secs(2) - millis(1), 0), (secs(2), 1), (secs(9), 1)] {
        let breakers = breakers(CircuitPolicy::new());
        let model = Model::new(secs(60), answered);
        let call = model.send(&breakers, request().with_timeout(secs(2)));
        drop(tokio::time::timeout(cut_after, call).await);
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!(snapshot.failures, counts, "{cut_after:?}");
        assert_eq!(snapshot.abandoned, 1);
    }
}

/// The same of one that a layer below cuts at the deadline, after it was sent; and of all that, if the
/// retry layer above holds the deadline.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_others_hold_counts_too() {
    let below = breakers(CircuitPolicy::new());
    let model = Model::new(secs(2), || failed(Cause::DeadlineExceeded));
    assert_eq!(trip(&below, &model).await, 10);

    let above = breakers(CircuitPolicy::new());
    let model = Model::new(secs(60), answered);
    let inner = model.clone();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(CircuitBreakerLayer::new(above.clone()))
        .service_fn(move |_: Request<()>| inner.clone().call());
    for _ in 0..10 {
        let call = service.clone().oneshot(request().with_timeout(secs(1)));
        assert_eq!(call.await.unwrap_err().cause(), Cause::DeadlineExceeded);
    }
    assert_eq!(above.state(&route()), CircuitState::Open);
    assert_eq!(model.calls(), 10);
}

/// Short deadlines on long answers say nothing of the route; whoever has them switches that off. The
/// row of timeouts in the table goes for deadlines too.
#[tokio::test(start_paused = true)]
async fn deadlines_need_not_count() {
    let off = breakers(CircuitPolicy::new().count_deadlines(false));
    let reactions = Reactions::default().with(Cause::Timeout, Reaction::GIVE_UP);
    let overridden = breakers(CircuitPolicy::new()).with_reactions(reactions);
    for breakers in [off, overridden] {
        let model = Model::new(secs(60), answered);
        for _ in 0..50 {
            let call = model.send(&breakers, request().with_timeout(secs(1)));
            drop(tokio::time::timeout(secs(1), call).await);
        }
        model.becomes(secs(1), || failed(Cause::DeadlineExceeded));
        for _ in 0..50 {
            drop(model.send(&breakers, request()).await);
        }
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!((snapshot.calls, snapshot.abandoned), (0, 50));
        assert_eq!(model.calls(), 100);
    }
}

/// A deadline that has passed before anything is sent says nothing of the route: what refuses such a
/// call does so at once.
#[tokio::test(start_paused = true)]
async fn a_call_that_comes_too_late_does_not_count() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(Duration::ZERO, || failed(Cause::DeadlineExceeded));
    for _ in 0..50 {
        let late = request().with_deadline(Instant::now());
        drop(model.send(&breakers, late).await);
    }
    assert_eq!(model.calls(), 50);
    assert_eq!(breakers.snapshot_of(&route()).calls, 0);
}

/// Calls whose deadline passes while they stand in the token budget's line were not sent. They are
/// refused there, or dropped there by whoever holds the deadline; either way they do not count.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_in_line_does_not_count() {
    let breakers = breakers(CircuitPolicy::new());
    let quotas = Quotas::new();
    let quota = Quota::new().with_requests_per_minute(1).without_learning();
    quotas.set(&route(), quota).unwrap();
    let model = Model::new(millis(1), answered);
    let inner = model.clone();
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .layer(TokenBudgetLayer::new(quotas))
        .service_fn(move |_: Request<()>| inner.clone().call());
    let patient = service.clone().oneshot(request());
    patient.await.unwrap();
    // The ledger cannot tell that some that wait now come too late: others are dropped before them.
    let blocker = tokio::spawn(service.clone().oneshot(request().with_timeout(secs(600))));
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let deadline = secs(61) + millis(number);
            tokio::spawn(service.clone().oneshot(request().with_timeout(deadline)))
        })
        .collect();
    for call in calls {
        let cause = call.await.unwrap().unwrap_err().cause();
        assert!(
            matches!(cause, Cause::BudgetExhausted | Cause::DeadlineExceeded),
            "{cause}"
        );
    }
    blocker.await.unwrap().unwrap();
    assert_eq!(model.calls(), 2);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!(
        (snapshot.failures, snapshot.state),
        (0, CircuitState::Closed)
    );
}

/// A probe that its deadline cuts has failed; one that is dropped before has not.
#[tokio::test(start_paused = true)]
async fn a_probe_cut_at_its_deadline_fails() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(millis(1), || failed(Cause::Connect));
    trip(&breakers, &model).await;
    sleep(secs(5)).await;
    model.becomes(secs(60), answered);
    let probe = model.send(&breakers, request().with_timeout(secs(2)));
    drop(tokio::time::timeout(secs(2), probe).await);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!(snapshot.state, CircuitState::Open);
    assert_eq!(snapshot.retry_in, Some(secs(10)));
}
