use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec, SimService};
use tokio::{task::JoinSet, time::Instant};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, Cause, ClassifyLayer, Error, Jitter, Request, Response, RetryBudget, RetryLayer,
};
use tower_bedrock_tests::{MODEL, converse, faulty, in_process, model};

type Output = aws_sdk_bedrockruntime::operation::converse::ConverseOutput;

async fn call(sim: &SimService, layer: RetryLayer) -> Result<Response<Output>, Error> {
    ServiceBuilder::new()
        .layer(layer.with_jitter(Jitter::seeded(3)))
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(in_process(sim)))
        .oneshot(Request::from(converse(MODEL)))
        .await
}

/// One attempt of ours is one request on the wire: the SDK's own retries are off.
#[tokio::test(start_paused = true)]
async fn wire_requests_equal_attempts() {
    for (text, requests) in [
        (ErrorText::InternalServer, 3),
        (ErrorText::ServiceUnavailable, 4),
        (ErrorText::TokensPerMinute, 9),
        (ErrorText::ModelNotReady, 11),
        (ErrorText::TokensPerDay, 1),
        (ErrorText::ModelTimeout, 2),
        (ErrorText::InputTooLong, 1),
    ] {
        let sim = faulty(FaultSpec::error(text));
        let error = call(&sim, RetryLayer::new()).await.unwrap_err();
        assert_eq!(sim.ledger().totals.requests, requests, "{text:?}");
        assert_eq!(error.attempts().map(u64::from), Some(requests), "{text:?}");
    }
}

/// A call that meets trouble of several kinds is answered in the end and tells how many attempts it
/// took.
#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_waited_out() {
    let sim = SimService::new(
        tower_bedrock_tests::scenario()
            .fault(FaultSpec::error(ErrorText::Overloaded).count(1))
            .fault(FaultSpec::error(ErrorText::TokensPerMinute).count(1))
            .fault(FaultSpec::new(FaultKind::Reset).count(1))
            .build()
            .expect("a valid scenario"),
    );
    let response = call(&sim, RetryLayer::new())
        .await
        .expect("the fourth attempt is answered");
    assert_eq!(response.served().attempts, 4);
    assert_eq!(sim.ledger().totals.requests, 4);
}

/// A hundred calls at once, against a quota of sixty requests a minute with a minute's burst: the
/// rest waits, and all are answered; not sooner than the quota allows.
#[tokio::test(start_paused = true)]
async fn calls_outlive_the_minute_of_their_quota() {
    let scenario = bedrock_sim::Scenario::builder()
        .seed(7)
        .model(model().rpm(60))
        .build()
        .expect("a valid scenario");
    let sim = SimService::new(scenario);
    let stack = ServiceBuilder::new()
        .layer(
            RetryLayer::new()
                .with_jitter(Jitter::seeded(3))
                .with_budget(RetryBudget::with_capacity(10_000)),
        )
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(in_process(&sim)));
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        calls.spawn(stack.clone().oneshot(Request::from(converse(MODEL))));
    }
    let results = calls.join_all().await;
    let answered = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(answered, 100, "{:?}", start.elapsed());
    assert!(
        start.elapsed() >= Duration::from_secs(40),
        "{:?}",
        start.elapsed()
    );
    let ledger = sim.ledger();
    assert_eq!(ledger.totals.admitted, 100);
    assert!(ledger.totals.refused.requests_per_minute > 0);
}

/// A day's quota is not waited for.
#[tokio::test(start_paused = true)]
async fn a_daily_quota_is_not_waited_for() {
    let sim = faulty(FaultSpec::error(ErrorText::TokensPerDay));
    let start = Instant::now();
    let error = call(&sim, RetryLayer::new()).await.unwrap_err();
    assert_eq!(error.cause(), Cause::TokensPerDay);
    assert_eq!(start.elapsed(), Duration::ZERO);
}
