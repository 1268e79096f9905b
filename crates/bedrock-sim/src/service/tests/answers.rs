//! What answers say.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    CLAUDE, NOVA, SimError, SimService, bedrock, call, hello, json_of, request, send, totals,
    whole, with_fault,
};
use crate::{ErrorText, FaultSpec, ModelSpec, Operation, Scenario, wire::MAX_BODY};

fn nova() -> SimService {
    bedrock(ModelSpec::new(NOVA).output_tokens(20))
}

fn claude() -> SimService {
    bedrock(ModelSpec::new(CLAUDE).output_tokens(20))
}

async fn ask(bedrock: &SimService, model: &str, action: &str, body: &Value) -> Response<Bytes> {
    let answer = send(bedrock, request(model, action, body)).await;
    whole(answer.expect("an answer")).await
}

// The answer to Converse, to the letter.
#[tokio::test]
async fn converse_is_answered() {
    let response = call(&nova(), "converse", &hello()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let mut answer = json_of(&response);
    let message = answer["output"]["message"].take();
    assert_eq!(message["role"], "assistant");
    // Twenty tokens of four bytes.
    let text = message["content"][0]["text"].as_str().expect("a text");
    assert_eq!(text.len(), 80);
    answer["metrics"]["latencyMs"] = json!(0);
    let expected = json!({
        "output": {"message": null},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": 4, "outputTokens": 20, "totalTokens": 24,
            "cacheReadInputTokens": 0, "cacheWriteInputTokens": 0,
        },
        "metrics": {"latencyMs": 0},
    });
    assert_eq!(answer, expected);
}

// Options that the service reports back are repeated, in the body or in headers.
#[tokio::test]
async fn options_are_repeated() {
    let mut body = hello();
    body["serviceTier"] = json!({"type": "priority"});
    body["performanceConfig"] = json!({"latency": "optimized"});
    let answer = json_of(&call(&nova(), "converse", &body).await);
    assert_eq!(answer["serviceTier"], json!({"type": "priority"}));
    assert_eq!(answer["performanceConfig"], json!({"latency": "optimized"}));

    for action in ["invoke", "invoke-with-response-stream"] {
        let mut request = request(NOVA, action, &hello());
        let headers = request.headers_mut();
        headers.insert(
            "x-amzn-bedrock-service-tier",
            HeaderValue::from_static("flex"),
        );
        let name = "x-amzn-bedrock-performanceconfig-latency";
        headers.insert(name, HeaderValue::from_static("optimized"));
        let response = send(&nova(), request).await.expect("an answer");
        assert_eq!(response.headers()["x-amzn-bedrock-service-tier"], "flex");
        assert_eq!(response.headers()[name], "optimized");
    }
    let response = call(&nova(), "invoke", &hello()).await;
    assert!(
        !response
            .headers()
            .contains_key("x-amzn-bedrock-service-tier")
    );
}

// Token counts in headers, in the body and from CountTokens are one number.
#[tokio::test]
async fn counts_agree() {
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "system": "Be brief, and answer in the language of the question.",
        "messages": [{"role": "user", "content": "Wie hoch ist der Eiffelturm, größer als 300 m?"}],
    });
    let bedrock = claude();
    let response = ask(&bedrock, CLAUDE, "invoke", &body).await;
    let header = |name: &str| {
        let value = response.headers()[name].to_str().expect("a text");
        value.parse::<u64>().expect("a number")
    };
    let usage = &json_of(&response)["usage"];
    let input = header("x-amzn-bedrock-input-token-count");
    assert_eq!(usage["input_tokens"], input);
    assert_eq!(
        usage["output_tokens"],
        header("x-amzn-bedrock-output-token-count")
    );
    assert_eq!(header("x-amzn-bedrock-cache-read-input-token-count"), 0);
    assert_eq!(header("x-amzn-bedrock-cache-write-input-token-count"), 0);

    let bytes = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, body.to_string());
    let count = json!({"input": {"invokeModel": {"body": bytes}}});
    let counted = ask(&bedrock, CLAUDE, "count-tokens", &count).await;
    assert_eq!(json_of(&counted)["inputTokens"], input);
    assert_eq!(totals(&bedrock).tokens_settled, input + 5 * 20);
}

// The cache is written by the first call, read by the second, and by neither a refused call nor one
// in another region.
#[tokio::test]
async fn cache_works_through_the_service() {
    let model = ModelSpec::new(NOVA).regions(["us-east-1", "eu-west-1"]);
    let bedrock = with_fault(model, FaultSpec::error(ErrorText::Overloaded).count(1));
    let body = json!({
        "system": [{"text": "0123456789abcdef"}, {"cachePoint": {"type": "default"}}],
        "messages": hello()["messages"],
    });
    let usage = async |region: &str| {
        let mut request = request(NOVA, "converse", &body);
        let host = format!("bedrock-runtime.{region}.amazonaws.com");
        let host = HeaderValue::try_from(host).expect("a value");
        request.headers_mut().insert("host", host);
        let answer = send(&bedrock, request).await.expect("an answer");
        let usage = json_of(&whole(answer).await)["usage"].take();
        (
            usage["cacheWriteInputTokens"].clone(),
            usage["cacheReadInputTokens"].clone(),
        )
    };
    assert_eq!(usage("us-east-1").await, (Value::Null, Value::Null));
    assert_eq!(usage("us-east-1").await, (json!(4), json!(0)));
    assert_eq!(usage("us-east-1").await, (json!(0), json!(4)));
    assert_eq!(usage("eu-west-1").await, (json!(4), json!(0)));
    bedrock.reset();
    usage("us-east-1").await;
    assert_eq!(usage("us-east-1").await, (json!(4), json!(0)));
}

// A call goes to the region that its signature names, and without one to the scenario's own.
#[tokio::test]
async fn region_is_found() {
    let model = ModelSpec::new(NOVA).regions(["eu-central-1"]);
    let scenario = Scenario::builder()
        .region("eu-central-1")
        .model(model)
        .build();
    let bedrock = SimService::new(scenario.expect("a sound scenario"));
    assert_eq!(call(&bedrock, "converse", &hello()).await.status(), 200);
    for (region, status) in [("eu-central-1", 200), ("us-east-1", 400)] {
        let mut request = request(NOVA, "converse", &hello());
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20261121/{region}/bedrock/aws4_request, Signature=0"
        );
        let signed = HeaderValue::try_from(signed).expect("a value");
        request.headers_mut().insert("authorization", signed);
        assert_eq!(
            send(&bedrock, request).await.expect("an answer").status(),
            status
        );
    }
    let quota = bedrock.ledger();
    let quota = quota
        .quota("eu-central-1", "in-region", NOVA)
        .expect("a quota");
    assert_eq!(quota.counts.completed, 2);
}

// Each response has a request id of its own; the ids follow from the seed.
#[tokio::test]
async fn request_ids_follow_from_the_seed() {
    let ids = async |seed| {
        let scenario = Scenario::builder()
            .seed(seed)
            .model(ModelSpec::new(NOVA))
            .build();
        let bedrock = SimService::new(scenario.expect("a sound scenario"));
        let mut ids = Vec::new();
        for body in [hello(), json!({}), hello()] {
            let response = call(&bedrock, "converse", &body).await;
            let id = response.headers()["x-amzn-requestid"]
                .to_str()
                .expect("a text");
            assert!(uuid::Uuid::try_parse(id).is_ok_and(|id| id.get_version_num() == 4));
            ids.push(id.to_owned());
        }
        ids
    };
    let first = ids(1).await;
    assert_eq!(first, ids(1).await);
    assert_ne!(first, ids(2).await);
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
}

// What cannot be answered is counted as refused by validation, at its model where that is known.
#[tokio::test]
async fn invalid_requests_are_counted() {
    let bedrock = bedrock(ModelSpec::new(NOVA).max_output(100).context_window(50));
    let long = json!({"messages": [{"role": "user", "content": [{"text": "x".repeat(300)}]}]});
    let greedy = json!({"messages": hello()["messages"], "inferenceConfig": {"maxTokens": 101}});
    for body in [json!({}), long, greedy] {
        assert_eq!(call(&bedrock, "converse", &body).await.status(), 400);
    }
    assert_eq!(
        ask(&bedrock, "no.such-model", "converse", &hello())
            .await
            .status(),
        400
    );
    assert_eq!(call(&bedrock, "chat", &hello()).await.status(), 404);
    let ledger = bedrock.ledger();
    let quota = ledger
        .quota("us-east-1", "in-region", NOVA)
        .expect("a quota");
    assert_eq!(quota.counts.refused.validation, 3);
    assert_eq!(ledger.totals.refused.validation, 5);
    assert_eq!(ledger.totals.requests, 5);
}

// A body over the service's limit is refused, whether its length is told or not.
#[tokio::test]
async fn body_has_a_limit() {
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = SimError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, SimError>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1 << 16])))))
        }
    }

    let head = || Request::post("/model/m/converse").header("authorization", "Bearer key");
    let told = head()
        .body(Full::from(vec![b' '; MAX_BODY + 1]))
        .expect("a sound request");
    let untold = head().body(Endless).expect("a sound request");
    for answer in [nova().oneshot(told).await, nova().oneshot(untold).await] {
        let response = answer.expect("an answer");
        assert_eq!(response.status(), 400);
        let message = json_of(&whole(response).await)["message"].to_string();
        assert!(
            message.contains("less than or equal to 25000000"),
            "{message}"
        );
    }
}

// A request that breaks off is an error, and no call.
#[tokio::test]
async fn broken_request_is_no_call() {
    struct Broken;

    impl Body for Broken {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(Some(Err("the client went away")))
        }
    }

    let bedrock = nova();
    let request = Request::post("/model/m/converse").header("authorization", "Bearer key");
    let answer = bedrock
        .clone()
        .oneshot(request.body(Broken).expect("a sound request"))
        .await;
    assert!(matches!(answer, Err(SimError::RequestBody(_))));
    assert_eq!(totals(&bedrock).requests, 0);
}

// Faults befall guardrails as well.
#[tokio::test]
async fn guardrail_can_be_throttled() {
    let fault = FaultSpec::error(ErrorText::RequestsPerMinute)
        .operation(Operation::ApplyGuardrail)
        .count(1);
    let bedrock = with_fault(ModelSpec::new(NOVA), fault);
    let body = json!({"source": "OUTPUT", "content": [{"text": {"text": "hi"}}]});
    for status in [429, 200] {
        let request = Request::post("/guardrail/abc/version/DRAFT/apply")
            .header("authorization", "Bearer key")
            .body(Full::from(body.to_string()))
            .expect("a sound request");
        assert_eq!(
            send(&bedrock, request).await.expect("an answer").status(),
            status
        );
    }
}

// A prompt stands in no `Debug`.
#[tokio::test]
async fn debug_is_silent() {
    let bedrock = nova();
    let response = send(&bedrock, request(NOVA, "converse", &hello()))
        .await
        .expect("an answer");
    let debug = format!("{bedrock:?} {:?}", response.body());
    assert!(
        !debug.contains("Hello") && !debug.contains("simulated"),
        "{debug}"
    );
}

// Where every byte is more tokens than there are numbers, sums stay at the largest.
#[tokio::test]
async fn counts_do_not_overflow() {
    let bedrock = bedrock(ModelSpec::new(NOVA).bytes_per_token(1e-300));
    for action in ["converse", "converse-stream", "invoke"] {
        let response = call(&bedrock, action, &hello()).await;
        assert_eq!(response.status(), 200);
    }
    let usage = json_of(&call(&bedrock, "converse", &hello()).await)["usage"].take();
    assert_eq!(usage["inputTokens"], u64::MAX);
    assert_eq!(usage["totalTokens"], u64::MAX);
}
