//! Clients that go away in the middle.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{select, time::sleep};

use crate::support::{Chat, bedrock, eventually, model, slow};

fn held(picture: &Value) -> u64 {
    let quotas = picture["quotas"].as_array().unwrap();
    let held = |quota: &Value| quota["tokens"]["held"].as_u64().unwrap();
    quotas.iter().map(held).sum()
}

fn in_flight(picture: &Value) -> u64 {
    let pools = picture["pools"].as_array().unwrap();
    pools
        .iter()
        .filter_map(|pool| pool["in_flight"].as_u64())
        .sum()
}

fn waiting(picture: &Value) -> u64 {
    let quotas = picture["quotas"].as_array().unwrap();
    quotas
        .iter()
        .filter_map(|quota| quota["waiting"].as_u64())
        .sum()
}

/// Whoever leaves in the middle of an answer has it cancelled: the service hears of it, the place is
/// free, and the hold is settled to what was generated.
#[tokio::test]
async fn a_stream_that_is_left_gives_everything_back() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--tpm", "100000"]);
    let mut stream = chat.stream("Tell me a long story.").await;
    assert_eq!(stream.next().await.unwrap().0, "start");
    assert_eq!(stream.next().await.unwrap().0, "delta");
    eventually("the picture shows what is held", async || {
        let picture = chat.picture().await;
        held(&picture) > 300 && in_flight(&picture) == 1
    })
    .await;
    assert_eq!(bedrock.service().ledger().totals.in_flight, 1);

    drop(stream);
    eventually("the service hears of it", async || {
        let totals = bedrock.service().ledger().totals;
        totals.in_flight == 0 && totals.failed == 1 && totals.tokens_held == 0
    })
    .await;
    eventually("holds and places are back", async || {
        let picture = chat.picture().await;
        held(&picture) == 0 && in_flight(&picture) == 0
    })
    .await;
    let used = chat.picture().await["quotas"][0]["tokens"]["used"].clone();
    assert!((1..300).contains(&used.as_u64().unwrap()), "{used}");
}

/// The same for a whole answer that nobody waits for any more.
#[tokio::test]
async fn a_call_that_is_left_is_cancelled() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &[]);
    select! {
        answer = chat.ask("Tell me a long story.", 60_000) => panic!("{answer:?}"),
        () = eventually("it is sent", async || {
            bedrock.service().ledger().totals.in_flight == 1
        }) => {}
    }
    eventually("it is cancelled", async || {
        bedrock.service().ledger().totals.in_flight == 0 && in_flight(&chat.picture().await) == 0
    })
    .await;
}

/// Whoever leaves while the call waits in line leaves the line, and is never sent.
#[tokio::test]
async fn a_call_in_line_that_is_left_leaves_the_line() {
    let bedrock = bedrock(model().rpm(1), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--rpm", "1"]);
    assert_eq!(chat.ask("x", 30_000).await.status(), 200);
    let body = json!({"prompt": "x", "timeout_ms": 180_000});
    for path in ["/chat", "/chat/stream"] {
        select! {
            answer = chat.post(path, &body).send() => panic!("{answer:?}"),
            () = eventually("it waits", async || waiting(&chat.picture().await) == 1) => {}
        }
        eventually("it does not wait", async || {
            waiting(&chat.picture().await) == 0
        })
        .await;
    }
    assert_eq!(bedrock.service().ledger().totals.requests, 1);
}

/// A deadline that comes in the middle of an answer ends it, with the same words as any other refusal.
#[tokio::test]
async fn a_deadline_ends_a_stream() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &[]);
    let body = json!({"prompt": "x", "timeout_ms": 8_000});
    let asked = chat.post("/chat/stream", &body).send().await.unwrap();
    let events = crate::support::Events::of(asked).all().await;
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "error");
    assert_eq!(data["error"]["code"], "deadline_exceeded", "{data}");
    eventually("the service hears of it", async || {
        sleep(Duration::from_millis(20)).await;
        bedrock.service().ledger().totals.in_flight == 0
    })
    .await;
}
