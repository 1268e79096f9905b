//! The simulator's own pages.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::time::advance;

use super::{NOVA, SimService, bedrock, call, hello, json_of, send, whole};
use crate::{ErrorText, FaultSpec, ModelSpec};

async fn own(bedrock: &SimService, method: Method, page: &str) -> Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/_sim/{page}"))
        .body(Full::default())
        .expect("a sound request");
    whole(send(bedrock, request).await.expect("an answer")).await
}

// The ledger is served as JSON, the same as in process, and asks for no credentials.
#[tokio::test(start_paused = true)]
async fn ledger_is_served() {
    let bedrock = bedrock(ModelSpec::new(NOVA));
    call(&bedrock, "converse", &hello()).await;
    advance(Duration::from_millis(1500)).await;
    let response = own(&bedrock, Method::GET, "ledger").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let ledger = json_of(&response);
    assert_eq!(ledger["elapsed_ms"], 1500);
    assert_eq!(ledger["totals"]["completed"], 1);
    assert_eq!(ledger["quotas"][0]["model"], NOVA);
    assert_eq!(
        ledger,
        serde_json::to_value(bedrock.ledger()).expect("JSON")
    );
}

// A reset starts everything anew: counts, clock, quotas and faults.
#[tokio::test(start_paused = true)]
async fn reset_starts_anew() {
    let model = ModelSpec::new(NOVA).rpm(1);
    let bedrock = super::with_fault(model, FaultSpec::error(ErrorText::InternalServer).count(1));
    let round = async || {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let response = call(&bedrock, "converse", &hello()).await;
            let id = response.headers()["x-amzn-requestid"].clone();
            statuses.push((response.status().as_u16(), id));
        }
        statuses
    };
    let first = round().await;
    assert_eq!(
        first.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
        [500, 200, 429]
    );
    advance(Duration::from_secs(5)).await;
    assert_eq!(own(&bedrock, Method::POST, "reset").await.status(), 200);
    assert_eq!(bedrock.ledger().elapsed_ms, 0);
    assert_eq!(bedrock.ledger().totals.requests, 0);
    assert_eq!(round().await.len(), first.len());
    bedrock.reset();
    assert_eq!(round().await, first);
}

// Health is served, and other pages are not.
#[tokio::test]
async fn health_is_served() {
    let bedrock = bedrock(ModelSpec::new(NOVA));
    assert_eq!(own(&bedrock, Method::GET, "health").await.status(), 200);
    assert_eq!(own(&bedrock, Method::GET, "reset").await.status(), 404);
    assert_eq!(own(&bedrock, Method::GET, "secrets").await.status(), 404);
}
