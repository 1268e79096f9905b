//! How it ends.

use serde_json::json;

use crate::support::{Chat, Events, bedrock, eventually, model, slow};

/// At the first signal it is not ready any more, but alive and accepting for as long as was asked for;
/// the second cuts what is left, and who is cut is told.
#[tokio::test]
async fn it_says_that_it_ends_before_it_does() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--drain", "600"]);
    let mut stream = chat.stream("Tell me a long story.").await;
    assert_eq!(stream.next().await.unwrap().0, "start");

    chat.signal("-TERM");
    eventually("it is not ready", async || {
        chat.get("/readyz").send().await.unwrap().status() == 503
    })
    .await;
    assert_eq!(chat.get("/healthz").send().await.unwrap().status(), 200);
    assert_eq!(stream.next().await.unwrap().0, "delta");

    chat.signal("-INT");
    let events = stream.all().await;
    let (name, data) = events.last().unwrap();
    assert_eq!(name, "error");
    assert_eq!(data["error"]["code"], "shutting_down");
    assert!(chat.ended().await);
    eventually("the service hears of it", async || {
        bedrock.service().ledger().totals.in_flight == 0
    })
    .await;
}

/// Answers run to their end after the signal, while nobody new is let in, and those who look at the
/// picture are sent away. Then it ends, well.
#[tokio::test]
async fn answers_run_to_their_end() {
    // Twenty tokens, four a second.
    let bedrock = bedrock(model().tokens_per_second(4), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--grace", "600"]);
    let mut stream = chat.stream("x").await;
    assert_eq!(stream.next().await.unwrap().0, "start");
    let live = Events::of(chat.get("/live").send().await.unwrap());

    chat.signal("-INT");
    live.all().await;
    eventually("nobody is let in", async || {
        let new = reqwest::Client::new();
        let health = new.get(format!("{}/healthz", chat.url)).send().await;
        health.is_err_and(|error| error.is_connect())
    })
    .await;
    assert_eq!(stream.all().await.last().unwrap().0, "done");
    assert!(chat.ended().await);
    assert_eq!(bedrock.service().ledger().totals.completed, 1);
}

/// What does not end in the time that was given is cut.
#[tokio::test]
async fn answers_are_cut_in_the_end() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--grace", "1"]);
    let mut stream = chat.stream("Tell me a long story.").await;
    assert_eq!(stream.next().await.unwrap().0, "start");
    let whole = chat.post("/chat", &json!({"prompt": "x", "timeout_ms": 120_000}));
    let whole = tokio::spawn(whole.send());
    eventually("both are sent", async || {
        bedrock.service().ledger().totals.in_flight == 2
    })
    .await;

    chat.signal("-TERM");
    let events = stream.all().await;
    assert_eq!(events.last().unwrap().0, "error");
    assert!(chat.ended().await);
    assert!(whole.await.unwrap().is_err(), "its connection is closed");
}
