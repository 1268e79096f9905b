use std::future::ready;

use tower::service_fn;

use super::*;
use crate::{
    CircuitBreakers, FallbackLayer, Ladder, PoolKey, Pools, RetryLayer, Stack, TransitionReason,
};

/// What a stack does is counted without a word said; with `without_metrics` nothing is.
#[tokio::test(start_paused = true)]
async fn a_stack_counts_unless_it_is_told_not_to() {
    let recorded = Recorded::new();
    let service = service_fn(|_: Request<()>| ready(Ok::<_, Error>(answer())));
    let new = || Stack::over(service, REGION);
    let stack = new().without_metrics().build().unwrap();
    stack.send(request(Operation::Converse)).await.unwrap();
    stack.report_metrics();
    assert!(stack.metrics_reporter().is_none());
    assert!(recorded.take().is_empty());

    let stack = new().build().unwrap();
    stack.send(request(Operation::Converse)).await.unwrap();
    stack.report_metrics();
    let taken = recorded.take();
    for name in [
        "calls",
        "invocations",
        "pool_limit",
        "retry_budget",
        "quota_used",
    ] {
        assert!(taken.keys().any(|line| line.starts_with(name)), "{name}");
    }
}

/// The layers' own words become metrics: retries with their waits, fallbacks, transitions and
/// refusals, what is given up; and listeners that were there before still hear.
#[tokio::test(start_paused = true)]
async fn what_layers_tell_is_counted() {
    let recorded = Recorded::new();
    let heard = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let hears = std::sync::Arc::clone(&heard);
    let retry = RetryLayer::new().on_event(move |_| {
        hears.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let service = service_fn(|request: Request<()>| {
        let (_, call) = request.into_parts();
        let region = call
            .route
            .region
            .as_ref()
            .map_or("", |region| region.as_str());
        ready(match (region, call.attempt) {
            ("us-west-2", _) => Ok(answer()),
            _ => Err(Error::new(Cause::Internal)),
        })
    });
    let stack = Stack::over(service, REGION)
        .retry(retry)
        .fallback(FallbackLayer::new(Ladder::regions([REGION, "us-west-2"])).unwrap())
        .build()
        .unwrap();
    stack.send(request(Operation::Converse)).await.unwrap();
    let taken = recorded.take();
    let sum = |name: &str| -> f64 {
        let lines = taken.iter().filter(|(line, _)| line.starts_with(name));
        lines.map(|(_, value)| value).sum()
    };
    let retries = sum("retries_total");
    assert!(retries > 0.0, "{taken:?}");
    assert_eq!(sum("wait_seconds{layer=retry,cause=internal}"), retries);
    assert_eq!(sum("invocation_server_errors_total"), retries + 1.0);
    assert_eq!(sum("invocations_total"), 1.0);
    assert_eq!(sum("retries_given_up_total"), 1.0);
    let moved =
        format!("fallbacks_total{{from={MODEL}@{REGION},to={MODEL}@us-west-2,cause=internal}}");
    assert_eq!(sum(&moved), 1.0, "{taken:?}");
    assert!(heard.load(std::sync::atomic::Ordering::Relaxed) > 0);

    let breakers = stack.breakers().unwrap();
    breakers.force_open(&route());
    let call = request(Operation::Converse).without_fallback();
    stack.send(call).await.unwrap_err();
    let route = format!("model={MODEL},region={REGION}");
    let reason = TransitionReason::Forced;
    let lines = recorded.lines(&["circuit", "refusals"]);
    assert_eq!(
        lines,
        [
            format!("circuit_transitions_total{{{route},to=open,reason={reason}}} 1"),
            "refusals_total{layer=circuit_breaker,cause=circuit_open,limit=circuit} 1".to_owned(),
        ]
    );
}

/// Circuits and pools that are given to two stacks stay the ones that they are, and are counted once.
#[tokio::test(start_paused = true)]
async fn shared_circuits_and_pools_are_counted_once() {
    let recorded = Recorded::new();
    let breakers = CircuitBreakers::new().with_home_region(REGION);
    let pools = Pools::new()
        .with_home_region(REGION)
        .with_max_in_flight(0)
        .with_max_waiting(0);
    let service = service_fn(|_: Request<()>| ready(Ok::<_, Error>(answer())));
    let new = || {
        Stack::over(service, REGION)
            .circuit_breaker(breakers.clone())
            .pool(pools.clone())
            .without_retry()
            .build()
            .unwrap()
    };
    let (one, other) = (new(), new());
    for stack in [&one, &other] {
        let error = stack.send(request(Operation::Converse)).await.unwrap_err();
        assert_eq!(error.cause(), Cause::PoolSaturated);
    }
    assert_eq!(pools.snapshot_of(&PoolKey::region(REGION)).refused, 2);
    breakers.force_open(&route());
    let lines = recorded.lines(&["circuit_transitions", "refusals"]);
    let route = format!("model={MODEL},region={REGION}");
    assert_eq!(
        lines,
        [
            format!("circuit_transitions_total{{{route},to=open,reason=forced}} 1"),
            "refusals_total{layer=pool,cause=pool_saturated,limit=queue_full} 2".to_owned(),
        ]
    );
}
