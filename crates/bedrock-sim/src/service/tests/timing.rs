//! What takes how long.

use std::{pin::pin, time::Duration};

use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{NOVA, bedrock, call, hello, json_of, request, send, slow, totals, with_fault};
use crate::{
    DownAnswer, ErrorSpec, ErrorText, Exception, FaultKind, FaultSpec, Operation, SimError,
};

const SECOND: Duration = Duration::from_secs(1);

// An answer takes the time to its first token and then its pace, and says so.
#[tokio::test(start_paused = true)]
async fn answer_takes_its_time() {
    let bedrock = bedrock(slow());
    let start = Instant::now();
    let response = call(&bedrock, "converse", &hello()).await;
    let expected = SECOND * 2 + Duration::from_millis(100) * 9;
    assert_eq!(start.elapsed(), expected);
    assert_eq!(json_of(&response)["metrics"]["latencyMs"], 2900);
    let response = call(&bedrock, "invoke", &hello()).await;
    assert_eq!(
        response.headers()["x-amzn-bedrock-invocation-latency"],
        "2900"
    );
}

// A stream answers at once, is silent until the first token, and ends when the whole answer would.
#[tokio::test(start_paused = true)]
async fn stream_is_paced() {
    let bedrock = bedrock(slow());
    let start = Instant::now();
    let request = request(NOVA, "converse-stream", &hello());
    let response = send(&bedrock, request).await.expect("an answer");
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.amazon.eventstream"
    );
    let mut body = pin!(response.into_body());
    let mut times = Vec::new();
    while let Some(frame) = body.frame().await {
        frame.expect("a frame");
        times.push(start.elapsed().as_millis());
    }
    assert_eq!(times, [2000, 2200, 2500, 2900, 2900, 2900, 2900]);
}

// A model without latency answers in no time at all.
#[tokio::test(start_paused = true)]
async fn calm_model_answers_at_once() {
    let bedrock = bedrock(crate::ModelSpec::new(NOVA));
    let start = Instant::now();
    call(&bedrock, "converse", &hello()).await;
    call(&bedrock, "converse-stream", &hello()).await;
    call(&bedrock, "invoke-with-response-stream", &hello()).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(totals(&bedrock).completed, 3);
}

// A refusal comes after the delay that its fault asks for.
#[tokio::test(start_paused = true)]
async fn refusal_takes_its_time() {
    let error = ErrorSpec::from(Exception::ServiceUnavailable).delay(SECOND * 30);
    let bedrock = with_fault(slow(), FaultSpec::error(error));
    let start = Instant::now();
    assert_eq!(call(&bedrock, "converse", &hello()).await.status(), 503);
    assert_eq!(start.elapsed(), SECOND * 30);
}

// Operations that generate nothing can be slow too.
#[tokio::test(start_paused = true)]
async fn counting_can_be_slow() {
    let fault = FaultSpec::new(FaultKind::SlowFirstToken { delay: SECOND })
        .operation(Operation::CountTokens);
    let bedrock = with_fault(slow(), fault);
    let start = Instant::now();
    let body = serde_json::json!({"input": {"converse": hello()}});
    let response = call(&bedrock, "count-tokens", &body).await;
    assert_eq!(json_of(&response)["inputTokens"], 4);
    assert_eq!(start.elapsed(), SECOND);
}

// A request that gets no answer stays open for ever.
#[tokio::test(start_paused = true)]
async fn no_answer_ever_comes() {
    let bedrock = with_fault(slow(), FaultSpec::new(FaultKind::NoAnswer));
    let call = send(&bedrock, request(NOVA, "converse", &hello()));
    assert!(timeout(SECOND * 1_000_000, call).await.is_err());
    assert_eq!(totals(&bedrock).in_flight, 0);
}

// A reset has no response.
#[tokio::test(start_paused = true)]
async fn reset_has_no_response() {
    let bedrock = with_fault(slow(), FaultSpec::new(FaultKind::Reset));
    let answer = send(&bedrock, request(NOVA, "converse", &hello())).await;
    assert!(matches!(answer, Err(SimError::ConnectionReset)));
}

// A stream that stalls for ever stays open, and settles when its client gives up.
#[tokio::test(start_paused = true)]
async fn stall_lasts_until_the_client_leaves() {
    let stall = FaultKind::StreamStall {
        after_events: 2,
        lasts: None,
    };
    let bedrock = with_fault(slow(), FaultSpec::new(stall));
    let answer = send(&bedrock, request(NOVA, "converse-stream", &hello()));
    let body = answer.await.expect("an answer").into_body();
    assert!(timeout(SECOND * 1_000_000, body.collect()).await.is_err());
    let totals = totals(&bedrock);
    assert_eq!(
        (totals.in_flight, totals.completed, totals.failed),
        (0, 0, 1)
    );
}

// A stream that is cut ends in an error, after all that was sent before it.
#[tokio::test(start_paused = true)]
async fn cut_is_an_error_of_the_body() {
    let cut = FaultKind::StreamCut { after_events: 2 };
    let bedrock = with_fault(slow(), FaultSpec::new(cut));
    let answer = send(&bedrock, request(NOVA, "converse-stream", &hello()));
    let mut body = answer.await.expect("an answer").into_body();
    for _ in 0..2 {
        body.frame().await.expect("a frame").expect("a sound frame");
    }
    let end = body.frame().await.expect("an end");
    assert!(matches!(end, Err(SimError::ConnectionReset)));
    assert_eq!(totals(&bedrock).failed, 1);
}

// A service that is down does not read: what is wrong with a request makes no difference there. It
// does where the service is up again, and where the fault is another.
#[tokio::test(start_paused = true)]
async fn dead_service_reads_nothing() {
    let invalid = [
        request(NOVA, "converse", &json!({"messages": []})),
        request(NOVA, "invoke", &json!("no body of any model")),
        request(NOVA, "count-tokens", &json!({})),
        request("no.such-model", "converse", &hello()),
    ];
    let end = Duration::from_secs(60);
    let answer = DownAnswer::Reset;
    let down = FaultSpec::new(FaultKind::Down { answer }).until(end);
    let bedrock = with_fault(slow(), down);
    for request in invalid.clone() {
        let answer = send(&bedrock, request).await;
        assert!(matches!(answer, Err(SimError::ConnectionReset)));
    }
    let refused = totals(&bedrock).refused;
    assert_eq!((refused.fault, refused.validation), (4, 0));
    assert_eq!(bedrock.ledger().faults["down"], 4);

    sleep(end).await;
    let throttled = with_fault(slow(), FaultSpec::error(ErrorText::TokensPerMinute));
    for bedrock in [bedrock, throttled] {
        for request in invalid.clone() {
            assert_eq!(
                send(&bedrock, request).await.expect("an answer").status(),
                400
            );
        }
        assert_eq!(totals(&bedrock).refused.validation, 4);
    }
}
