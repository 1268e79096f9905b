//! More than there is room for.

use bedrock_sim::{ErrorText, FaultSpec};
use futures_util::future::join_all;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Chat, bedrock, error, eventually, model, slow};

/// A call that does not fit the quota before its deadline is refused with 429 and told when there is
/// room, without a word about the account behind it; nothing is sent for it.
#[tokio::test]
async fn a_used_up_quota_is_429_with_retry_after() {
    let bedrock = bedrock(model().rpm(1), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--rpm", "1"]);
    assert_eq!(chat.ask("x", 5_000).await.status(), 200);
    for path in ["/chat", "/chat/stream"] {
        let asked = chat.post(path, &json!({"prompt": "x", "timeout_ms": 500}));
        let refused = asked.send().await.unwrap();
        assert_eq!(refused.status(), 429, "{path}");
        let wait = refused.headers()["retry-after"].to_str().unwrap().parse();
        let wait: u64 = wait.expect("seconds");
        // A minute, and what the ledger keeps clear of its edge.
        assert!((1..=62).contains(&wait), "{wait}");
        let error = error(refused).await;
        assert_eq!(error["code"], "budget_exhausted");
        assert_eq!(error["retry_after"], wait);
        assert!(!error.to_string().contains("nova"), "{error}");
    }
    let totals = bedrock.service().ledger().totals;
    assert_eq!((totals.requests, totals.refused.total()), (1, 0));
}

/// A service that is not there is 503; once its circuit is open, for callers who cannot wait for it, at
/// once and with the time at which it is asked again. The picture shows both apart from throttles.
#[tokio::test]
async fn a_service_that_is_gone_is_503() {
    let gone = FaultSpec::error(ErrorText::ServiceUnavailable);
    let bedrock = bedrock(model(), |scenario| scenario.fault(gone)).await;
    let chat = Chat::before(&bedrock, &[]);
    let first = chat.ask("x", 60_000).await;
    assert_eq!(first.status(), 503);
    assert_eq!(error(first).await["code"], "service_unavailable");

    let calls = (0..12).map(|_| chat.ask("x", 2_000));
    for refused in join_all(calls).await {
        assert_eq!(refused.status(), 503);
    }
    eventually("an open circuit refuses", async || {
        let refused = chat.ask("x", 2_000).await;
        assert_eq!(refused.status(), 503);
        let hint = refused.headers().get("retry-after").cloned();
        error(refused).await["code"] == "circuit_open" && hint.is_some()
    })
    .await;
    let totals = chat.picture().await["history"]["totals"].clone();
    assert!(totals["unavailable"].as_u64() >= Some(10), "{totals}");
    assert_eq!(totals["throttled"], 0, "{totals}");
}

/// Ten times as many calls as the quota of a minute has room for: so many are answered, all others get
/// a clear 429 or 503 within their deadline, each told when to come again, and the service has to
/// refuse none.
#[tokio::test]
async fn ten_times_the_load_is_answered_or_refused_clearly() {
    let bedrock = bedrock(model().rpm(30), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--rpm", "30"]);
    let calls = (0..300).map(|_| chat.ask("Are you there?", 25_000));
    let mut answered = 0;
    for response in join_all(calls).await {
        match response.status().as_u16() {
            200 => answered += 1,
            429 | 503 => {
                assert!(response.headers().contains_key("retry-after"));
                error(response).await;
            }
            // 504 would be a deadline that passed instead of being kept.
            status => panic!("{status}: {:?}", error(response).await),
        }
    }
    assert_eq!(answered, 30);
    let totals = bedrock.service().ledger().totals;
    assert_eq!((totals.requests, totals.refused.total()), (30, 0));
}

/// As many chats go on as may, bodies that never come among them; the next is refused at once, and the
/// operators' routes answer all the same. A chat that goes gives its place back.
#[tokio::test]
async fn the_load_is_limited() {
    let chat = Chat::start(&["--max-chats", "3"]);
    let address = chat.url.strip_prefix("http://").unwrap();
    let head = "POST /chat HTTP/1.1\r\nhost: chat\r\ncontent-type: application/json\r\n\
                content-length: 20\r\n\r\n{";
    let mut idle = Vec::new();
    eventually("the chat is full", async || {
        // More than there is room for: one that comes in the same moment as a question is refused.
        let mut one = TcpStream::connect(address).await.unwrap();
        one.write_all(head.as_bytes()).await.unwrap();
        idle.push(one);
        let refused = chat.ask("x", 30_000).await;
        if refused.status() != 503 {
            return false;
        }
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(error(refused).await["code"], "busy");
        true
    })
    .await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(chat.get(path).send().await.unwrap().status(), 200);
    }
    drop(idle);
    eventually("there is room again", async || {
        chat.ask("x", 30_000).await.status() == 200
    })
    .await;
}

/// A chat that streams counts until its last event, not until its first; whoever leaves in the middle
/// gives the place back.
#[tokio::test]
async fn a_stream_counts_to_its_end() {
    let bedrock = bedrock(slow(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--max-chats", "1"]);
    let mut stream = chat.stream("Tell me a long story.").await;
    assert_eq!(stream.next().await.unwrap().0, "start");
    let refused = chat.ask("x", 1_000).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(error(refused).await["code"], "busy");
    drop(stream);
    eventually("there is room again", async || {
        let answer = chat.ask("x", 1_000).await;
        // The model takes minutes.
        answer.status() == 504
    })
    .await;
}

/// Whoever would be let in too late for an answer is refused at once, though the line would be over
/// before the deadline: no time is left for the answer itself.
#[tokio::test]
async fn nobody_is_let_in_too_late_for_an_answer() {
    let bedrock = bedrock(model().rpm(1), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &["--rpm", "1"]);
    assert_eq!(chat.ask("x", 30_000).await.status(), 200);
    let refused = chat.ask("x", 75_000).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(bedrock.service().ledger().totals.requests, 1);
}
