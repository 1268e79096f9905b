//! Tests of the service in virtual time.

mod answers;
mod cancellation;
mod own_pages;
mod timing;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{SimBody, SimError, SimService};
use crate::{Counts, FaultSpec, ModelSpec, Scenario};

const NOVA: &str = "amazon.nova-lite-v1:0";
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// 2 s to the first of 10 tokens, 100 ms to each next.
fn slow() -> ModelSpec {
    ModelSpec::new(NOVA)
        .latency(Duration::from_secs(2))
        .tokens_per_second(10)
        .output_tokens(10)
}

fn bedrock(model: ModelSpec) -> SimService {
    let scenario = Scenario::builder().model(model).build();
    SimService::new(scenario.expect("a sound scenario"))
}

fn with_fault(model: ModelSpec, fault: FaultSpec) -> SimService {
    let scenario = Scenario::builder().model(model).fault(fault).build();
    SimService::new(scenario.expect("a sound scenario"))
}

fn hello() -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": "Hello, simulator"}]}]})
}

fn request(model: &str, action: &str, body: &Value) -> Request<Full<Bytes>> {
    let label = model.replace(':', "%3A");
    Request::post(format!("/model/{label}/{action}"))
        .header("authorization", "Bearer key")
        .body(Full::from(body.to_string()))
        .expect("a sound request")
}

async fn send(
    bedrock: &SimService,
    request: Request<Full<Bytes>>,
) -> Result<Response<SimBody>, SimError> {
    bedrock.clone().oneshot(request).await
}

/// Calls the Nova model, and gives the whole answer.
async fn call(bedrock: &SimService, action: &str, body: &Value) -> Response<Bytes> {
    whole(
        send(bedrock, request(NOVA, action, body))
            .await
            .expect("an answer"),
    )
    .await
}

async fn whole(response: Response<SimBody>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Response::from_parts(parts, body)
}

fn json_of(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

fn totals(bedrock: &SimService) -> Counts {
    bedrock.ledger().totals
}
