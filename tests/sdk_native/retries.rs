use std::time::Duration;

use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, SimService};
use tokio::{task::JoinSet, time::Instant};
use tower::ServiceBuilder;
use tower_bedrock::{
    Cause, ClassifyLayer, Error, Jitter, Quota, Quotas, RetryBudget, RetryLayer, Route,
    TokenBudgetLayer,
};
use tower_bedrock_tests::{MODEL, faulty, in_process, model};

use crate::support::{Sent, client, converse};

async fn call(sim: &SimService, layer: RetryLayer) -> Sent {
    let layers = ServiceBuilder::new()
        .layer(layer.with_jitter(Jitter::seeded(3)))
        .layer(ClassifyLayer::new());
    // Whatever the user asked of the SDK's own retries, they are off.
    let config = in_process(sim).retry_config(RetryConfig::adaptive().with_max_attempts(7));
    converse(&client(config, layers), MODEL).await
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
        let error = Error::from_sdk(&error).expect("a layer took part");
        assert_eq!(error.attempts().map(u64::from), Some(requests), "{text:?}");
    }
}

/// A call that meets trouble of several kinds is answered in the end.
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
    let output = call(&sim, RetryLayer::new())
        .await
        .expect("the fourth attempt is answered");
    assert_eq!(output.usage().map(|usage| usage.output_tokens()), Some(20));
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
    let layers = ServiceBuilder::new()
        .layer(
            RetryLayer::new()
                .with_jitter(Jitter::seeded(3))
                .with_budget(RetryBudget::with_capacity(10_000)),
        )
        .layer(ClassifyLayer::new());
    let client = client(in_process(&sim), layers);
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        calls.spawn(async move { converse(&client, MODEL).await });
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

/// The same hundred calls under a token budget: each waits its turn, none is refused by the service.
#[tokio::test(start_paused = true)]
async fn a_budget_keeps_calls_under_their_quota() {
    let scenario = bedrock_sim::Scenario::builder()
        .seed(7)
        .model(model().rpm(60))
        .build()
        .expect("a valid scenario");
    let sim = SimService::new(scenario);
    let quotas = Quotas::new();
    let route = Route::to(MODEL.parse().expect("a model id")).in_region("us-east-1");
    quotas
        .set(&route, Quota::new().with_requests_per_minute(60))
        .expect("a valid quota");
    let layers = ServiceBuilder::new()
        .layer(RetryLayer::new().with_jitter(Jitter::seeded(3)))
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .layer(ClassifyLayer::new());
    let client = client(in_process(&sim), layers);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        calls.spawn(async move { converse(&client, MODEL).await });
    }
    let results = calls.join_all().await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(sim.ledger().totals.requests, 100, "none was refused");
    let snapshot = quotas.snapshot_of(&route);
    assert_eq!(snapshot.waiting, 0);
}

/// A day's quota is not waited for.
#[tokio::test(start_paused = true)]
async fn a_daily_quota_is_not_waited_for() {
    let sim = faulty(FaultSpec::error(ErrorText::TokensPerDay));
    let start = Instant::now();
    let error = call(&sim, RetryLayer::new()).await.unwrap_err();
    let cause = Error::from_sdk(&error).map(Error::cause);
    assert_eq!(cause, Some(Cause::TokensPerDay));
    assert_eq!(start.elapsed(), Duration::ZERO);
}
