//! What each route answers when all is well.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Chat, Events};

/// The page and its parts come out of the program, may do nothing but what they need, and name
/// nothing from elsewhere.
#[tokio::test]
async fn the_page_is_served_from_the_program() {
    let chat = Chat::start(&[]);
    let page = chat.get("/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(!page.contains("://"), "nothing from elsewhere: {page}");
    assert!(!page.contains(" style="), "nothing inline: {page}");

    let quoted = page.split('"').filter(|text| text.starts_with('/'));
    let mut parts: Vec<_> = quoted.map(str::to_owned).collect();
    assert!(parts.len() >= 4, "{parts:?}");
    parts.push("/draw.js".to_owned());
    for part in parts {
        let part = chat.get(&part).send().await.unwrap();
        assert_eq!(part.status(), 200, "{}", part.url());
        assert_eq!(part.headers()["x-content-type-options"], "nosniff");
        let text = part.text().await.unwrap();
        assert!(
            !text
                .replace("http://www.w3.org/2000/svg", "")
                .contains("://")
        );
    }
}

/// A whole answer tells by whom it was served and what it used; its request has an id, the caller's
/// own if it has one.
#[tokio::test]
async fn a_question_is_answered() {
    let chat = Chat::start(&[]);
    let body = json!({
        "prompt": "And what is a quota?",
        "history": [
            {"role": "user", "text": "Hello"},
            {"role": "assistant", "text": "Hello. What may I do for you?"},
        ],
        "max_tokens": 20,
    });
    let asked = chat.post("/chat", &body).header("x-tenant", "team-1.a_b");
    let answer = asked.header("x-request-id", "mine").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-request-id"], "mine");
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert!(!answer["answer"].as_str().unwrap().is_empty(), "{answer}");
    assert_eq!(answer["usage"]["output"], 20, "{answer}");
    assert_eq!(answer["stop_reason"], "max_tokens");
    assert_eq!(
        answer["served"],
        json!({
            "model": "us.amazon.nova-lite-v1:0",
            "region": "us-east-1",
            "attempts": 1,
            "degraded": false,
        })
    );

    let other = chat.ask("Hello", 30_000).await;
    assert_eq!(other.headers()["x-request-id"].len(), 36);
}

/// A stream begins with who answers and ends with what was used, whichever way it was asked for; the
/// texts in between are the answer. What an `EventSource` cannot say in headers it says in the query.
#[tokio::test]
async fn an_answer_is_streamed() {
    let chat = Chat::start(&[]);
    let query =
        "/chat/stream?prompt=What%20is%20a%20quota%3F&max_tokens=30&tenant=t&timeout_ms=30000";
    let body = json!({"prompt": "What is a quota?", "max_tokens": 30});
    for asked in [chat.get(query), chat.post("/chat/stream", &body)] {
        // Compression would hold events back.
        let asked = asked.header("accept-encoding", "gzip");
        let response = asked.send().await.unwrap();
        assert!(!response.headers().contains_key("content-encoding"));
        let events = Events::of(response).all().await;
        let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"start"));
        assert_eq!(names.last(), Some(&"done"));
        let deltas = &names[1..names.len() - 1];
        assert!(deltas.len() > 1 && deltas.iter().all(|name| *name == "delta"));
        let (_, start) = &events[0];
        assert_eq!(start["model"], "us.amazon.nova-lite-v1:0");
        let (_, done) = events.last().unwrap();
        assert_eq!(done["usage"]["output"], 30);
        assert_eq!(done["served"]["region"], "us-east-1");
        assert_eq!(done["stop_reason"], "max_tokens");
    }
}

/// Health, readiness and the metrics of the stack, holds included, as Prometheus reads them.
#[tokio::test]
async fn operators_are_served() {
    let chat = Chat::start(&[]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(chat.get(path).send().await.unwrap().status(), 200);
    }
    assert_eq!(chat.ask("Hello", 30_000).await.status(), 200);
    let metrics = chat.get("/metrics").send().await.unwrap();
    let kind = metrics.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let metrics = metrics.text().await.unwrap();
    for sample in [
        "tower_bedrock_invocations_total{model=\"us.amazon.nova-lite-v1:0\"",
        "tower_bedrock_quota_use_ratio{",
        "tower_bedrock_circuit_state{",
        "tower_bedrock_invocation_latency_seconds_bucket{",
        "# TYPE tower_bedrock_pool_in_flight gauge",
    ] {
        assert!(metrics.contains(sample), "{sample} is not in {metrics}");
    }
}

/// What may be large is compressed for those who ask for it.
#[tokio::test]
async fn pages_and_metrics_are_compressed() {
    let chat = Chat::start(&[]);
    for path in ["/", "/metrics"] {
        let asked = chat.get(path).header("accept-encoding", "gzip");
        let headers = asked.send().await.unwrap().headers().clone();
        assert_eq!(headers["content-encoding"], "gzip", "{path}");
    }
}

/// The live picture has all that the page draws.
#[tokio::test]
async fn the_picture_is_whole() {
    let chat = Chat::start(&[]);
    assert_eq!(chat.ask("Hello", 30_000).await.status(), 200);
    let mut live = Events::of(chat.get("/live").send().await.unwrap());
    let mut picture = live.next().await.unwrap().1;
    while picture["history"]["totals"]["answered"] != 1 {
        picture = live.next().await.unwrap().1;
    }
    assert_eq!(picture["demo"]["is_local"], true);
    assert_eq!(picture["quotas"].as_array().unwrap().len(), 4, "{picture}");
    assert_eq!(picture["quotas"][0]["requests"]["used"], 1, "{picture}");
    assert_eq!(picture["circuits"][0]["state"], "closed");
    assert_eq!(picture["pools"][0]["in_flight"], 0);
    assert_eq!(
        picture["history"]["routes"]["us.amazon.nova-lite-v1:0@us-east-1"],
        1
    );
}

/// What people write and what they are told stands in no log and no metric, in whatever way it came
/// and however it ended.
#[tokio::test]
async fn prompts_and_answers_are_private() {
    let filter = "chat=trace,tower_http=trace,tower_bedrock=trace,axum=trace";
    let chat = Chat::with_log(&[], filter, Stdio::piped());
    let canary = "Canary7391";
    assert_eq!(chat.ask(canary, 30_000).await.status(), 200);
    assert_eq!(chat.ask(canary, 1).await.status(), 504);
    let query = format!("/chat/stream?prompt={canary}");
    let asked = chat.get(&query).header("authorization", canary);
    let told = Events::of(asked.send().await.unwrap()).all().await;
    assert!(told.len() > 2);
    let refused = chat.post("/chat", &json!({ "prompt": canary, "max_tokens": 0 }));
    assert_eq!(refused.send().await.unwrap().status(), 400);

    let metrics = chat
        .get("/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let log = chat.log();
    assert!(log.contains("/chat/stream"), "it is logged at all: {log}");
    for text in [&metrics, &log] {
        assert!(!text.contains(canary), "{text}");
        assert!(!text.contains("simulated answer"), "{text}");
    }
}
