use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_bedrockruntime::{
    operation::{converse::ConverseInput, invoke_model::InvokeModelInput},
    primitives::Blob,
    types::{ContentBlock, ConversationRole, Message},
};
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_layer::Layer;

use super::*;
use crate::{Quota, Quotas, Route, Served, TokenBudgetLayer, Usage};

const MODEL: &str = "us.amazon.nova-lite-v1:0";

fn route() -> Route {
    Route::to(MODEL.parse().unwrap())
}

fn conversation(text: &str) -> Request<ConverseInput> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text.to_owned()))
        .build()
        .unwrap();
    let input = ConverseInput::builder().model_id(MODEL).messages(message);
    let mut request = Request::from(input.build().unwrap());
    request.context_mut().tokens.max_output = Some(0);
    request
}

type Counter = BoxCloneSyncService<Request<CountTokensInput>, Response<CountTokensOutput>, Error>;

/// A service that counts every input as `tokens`, after `latency`, and how often it is asked.
fn counter(
    tokens: Result<i32, Cause>,
    latency: Duration,
) -> (CountTokensEstimator<Counter>, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request: Request<CountTokensInput>| {
        assert_eq!(request.context().operation, Operation::CountTokens);
        assert_eq!(request.context().route, route());
        seen.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(latency).await;
            let tokens = tokens.map_err(Error::new)?;
            let output = CountTokensOutput::builder().input_tokens(tokens);
            Ok(Response::new(
                output.build().unwrap(),
                Served::default(),
                None,
            ))
        }
    });
    let estimator = CountTokensEstimator::new(BoxCloneSyncService::new(service));
    (estimator, asked)
}

/// What calls hold, one after the other, under a quota of `quota` tokens.
async fn holds<Op: SdkOperation>(
    estimator: &CountTokensEstimator<Counter>,
    quota: u64,
    requests: impl IntoIterator<Item = Request<Op>>,
) -> Vec<u64> {
    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_minute(quota);
    quotas.set(&route(), quota).unwrap();
    let mut holds = Vec::new();
    for request in requests {
        let seen = quotas.clone();
        let inner = service_fn(move |_: Request<Op>| {
            let held = seen.snapshot_of(&route()).tokens_held;
            async move {
                let usage = Usage::default();
                Ok::<_, Error>(Response::new(held, Served::default(), Some(usage)))
            }
        });
        let layer = TokenBudgetLayer::new(quotas.clone()).with_estimator(estimator.clone());
        let response = layer.layer(inner).oneshot(request).await.unwrap();
        holds.push(response.into_output());
    }
    holds
}

/// A call that fits with room to spare goes at once, uncounted; one in doubt is counted, and holds
/// what was counted.
#[tokio::test(start_paused = true)]
async fn only_what_is_in_doubt_is_counted() {
    let (estimator, asked) = counter(Ok(700), Duration::from_millis(80));
    let text = "x".repeat(2000);
    let by_size = holds(&estimator, 100_000, [conversation(&text)]).await;
    assert!((700..800).contains(&by_size[0]), "{by_size:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    assert_eq!(holds(&estimator, 1000, [conversation(&text)]).await, [700]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    // What the caller has counted is not counted again.
    let mut known = conversation(&text);
    known.context_mut().tokens.input = Some(999);
    assert_eq!(holds(&estimator, 1000, [known]).await, [999]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// The same input is counted once, another one for itself.
#[tokio::test(start_paused = true)]
async fn counts_are_remembered() {
    let (estimator, asked) = counter(Ok(700), Duration::ZERO);
    let text = "x".repeat(2000);
    let other = "y".repeat(2000);
    for _ in 0..3 {
        assert_eq!(holds(&estimator, 1000, [conversation(&text)]).await, [700]);
        assert_eq!(holds(&estimator, 1000, [conversation(&other)]).await, [700]);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);

    let invocation = |text: &str| {
        let body = format!(r#"{{"inferenceConfig":{{"maxTokens":1}},"messages":"{text}"}}"#);
        let input = InvokeModelInput::builder().model_id(MODEL);
        Request::from(input.body(Blob::new(body)).build().unwrap())
    };
    for text in [&text, &other, &text] {
        assert_eq!(holds(&estimator, 1000, [invocation(text)]).await, [701]);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

/// A count that fails or takes too long is done without; a model that cannot be counted is not asked
/// again.
#[tokio::test(start_paused = true)]
async fn without_a_count_the_estimate_stands() {
    let text = "x".repeat(2000);
    let requests = || [conversation(&text), conversation(&text)];
    for (result, latency, times) in [
        (Err(Cause::RequestRate), Duration::ZERO, 2),
        (Err(Cause::InvalidRequest), Duration::ZERO, 1),
        (Ok(700), Duration::from_secs(10), 2),
    ] {
        let (estimator, asked) = counter(result, latency);
        let start = tokio::time::Instant::now();
        let held = holds(&estimator, 1000, requests()).await;
        assert!(
            held.iter().all(|held| (730..760).contains(held)),
            "{held:?}"
        );
        assert_eq!(asked.load(Ordering::Relaxed), times);
        assert!(start.elapsed() <= 2 * PATIENCE + Duration::from_millis(2));
    }
}

/// A count teaches the estimates of other calls.
#[tokio::test(start_paused = true)]
async fn counts_teach_estimates() {
    let (estimator, _) = counter(Ok(400), Duration::ZERO);
    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_minute(1000);
    quotas.set(&route(), quota).unwrap();
    let layer = TokenBudgetLayer::new(quotas.clone()).with_estimator(estimator);
    let service = layer.layer(service_fn(|_: Request<ConverseInput>| async {
        Ok::<_, Error>(Response::new((), Served::default(), None))
    }));
    let first = conversation(&"x".repeat(2000));
    service.clone().oneshot(first).await.unwrap();
    assert_eq!(quotas.snapshot_of(&route()).tokens_used, 400);
    let second = conversation(&"y".repeat(500));
    service.oneshot(second).await.unwrap();
    let held = quotas.snapshot_of(&route()).tokens_used - 400;
    assert!(
        held < 170,
        "less than the 196 of the first estimate: {held}"
    );
}

/// What is remembered is bounded.
#[test]
fn memory_is_bounded() {
    let mut memory = Memory::default();
    for digest in 0..100_000 {
        memory.remember(digest, 1);
        memory.remember(digest, 2);
    }
    assert_eq!(memory.counts.len(), REMEMBERED);
    assert_eq!(memory.order.len(), REMEMBERED);
    assert_eq!(memory.counts.get(&99_999), Some(&2));
}
