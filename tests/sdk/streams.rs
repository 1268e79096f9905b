use bedrock_sim::SimService;
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, ClassifyLayer, Quota, Quotas, Request, RetryLayer, Route, TokenBudgetLayer,
};
use tower_bedrock_tests::{MODEL, converse_stream, in_process, invoke_stream, scenario};

/// Streams of both operations go through the same stack, are whole, and settle by what the service
/// reports.
#[tokio::test(start_paused = true)]
async fn streams_go_through_the_same_stack() -> Result<(), Box<dyn std::error::Error>> {
    let sim = SimService::new(scenario().build()?);
    let quotas = Quotas::new();
    let route = Route::to(MODEL.parse()?).in_region("us-east-1");
    let quotas = quotas.with_home_region("us-east-1");
    quotas.set(&route, Quota::new().with_tokens_per_minute(100_000))?;
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(in_process(&sim)));

    let mut stream = stack
        .clone()
        .oneshot(Request::from(converse_stream(MODEL)))
        .await?;
    assert!(quotas.snapshot_of(&route).tokens_held > 100);
    let mut events = 0;
    while let Some(event) = stream.next().await {
        event?;
        events += 1;
    }
    assert!(stream.is_complete());
    let usage = *stream.usage().ok_or("the service reports the usage")?;
    assert_eq!(usage.output, 20);
    assert!(events > 5, "{events}");
    let snapshot = quotas.snapshot_of(&route);
    assert_eq!(
        (snapshot.tokens_held, snapshot.tokens_used),
        (0, usage.total())
    );

    let mut stream = stack.oneshot(Request::from(invoke_stream())).await?;
    while let Some(event) = stream.next().await {
        event?;
    }
    assert_eq!(stream.usage(), Some(&usage));
    assert_eq!(quotas.snapshot_of(&route).tokens_held, 0);
    Ok(())
}
