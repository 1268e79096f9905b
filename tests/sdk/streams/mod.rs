mod answers;
mod connections;
mod faults;
mod health;
mod settlement;
mod window;

use std::time::Duration;

use aws_sdk_bedrockruntime::types::ConverseStreamOutput;
use bedrock_sim::SimService;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, ClassifyLayer, Error, Jitter, Quota, Quotas, Request, ResponseStream, RetryLayer,
    Route, SdkOperation, StreamEvent, TokenBudgetLayer,
};
use tower_bedrock_tests::{MODEL, REGION, in_process};

type Conversation = ResponseStream<ConverseStreamOutput>;

/// A quota that never stands in the way.
fn quotas() -> Quotas {
    let quotas = Quotas::new().with_home_region(REGION);
    let quota = Quota::new().with_tokens_per_minute(1_000_000);
    quotas.set(&route(), quota).expect("a valid quota");
    quotas
}

fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id")).in_region(REGION)
}

/// One call through retry, budget and classify.
async fn call<Op: SdkOperation>(
    bedrock: Bedrock,
    quotas: &Quotas,
    input: Op,
) -> Result<Op::Response, Error> {
    stack(bedrock, quotas).oneshot(Request::from(input)).await
}

fn stack<Op: SdkOperation>(
    bedrock: Bedrock,
    quotas: &Quotas,
) -> impl Service<Request<Op>, Response = Op::Response, Error = Error, Future: Send> + Clone {
    ServiceBuilder::new()
        .layer(RetryLayer::new().with_jitter(Jitter::seeded(3)))
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .layer(ClassifyLayer::new())
        .service(bedrock)
}

fn bedrock(sim: &SimService) -> Bedrock {
    Bedrock::from_builder(in_process(sim))
}

/// How many events came, and what ended the stream before its end.
async fn drain<E: StreamEvent>(stream: &mut ResponseStream<E>) -> (u64, Option<Error>) {
    let mut events = 0;
    while let Some(event) = stream.next().await {
        match event {
            Ok(_) => events += 1,
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

const SECOND: Duration = Duration::from_secs(1);
