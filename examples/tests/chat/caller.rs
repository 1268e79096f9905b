//! The caller's own faults.

use futures_util::stream;
use reqwest::{Body, Method, RequestBuilder, Response};
use serde_json::json;

use crate::support::{Chat, bedrock, error, model};

/// What comes back. A body that is refused before it is read may be cut off while it is still being
/// sent, in which case a client may see no more than that: it is sent again.
async fn sent(request: impl Fn() -> Option<RequestBuilder>) -> Response {
    for _ in 0..20 {
        match request().expect("it can be sent").send().await {
            Ok(response) => return response,
            Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
        }
    }
    panic!("it is always cut off");
}

/// Each is refused with the status that says whose fault it is, in JSON, and nothing is sent for it.
#[tokio::test]
async fn faults_of_the_caller_are_told() {
    let bedrock = bedrock(model(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &[]);
    let long = "x".repeat(9_000);
    let turns = vec![json!({"role": "user", "text": "x"}); 21];
    for (body, status, reason) in [
        (r#"{"prompt": "#.to_owned(), 400, "EOF"),
        (r#"{"promt": "x"}"#.to_owned(), 422, "promt"),
        (json!({"prompt": 7}).to_string(), 422, "expected a string"),
        (json!({"prompt": " \n"}).to_string(), 400, "without words"),
        (json!({"prompt": long}).to_string(), 400, "8000 characters"),
        (
            json!({"prompt": "x", "max_tokens": 0}).to_string(),
            400,
            "max_tokens",
        ),
        (
            json!({"prompt": "x", "max_tokens": 1001}).to_string(),
            400,
            "max_tokens",
        ),
        (
            json!({"prompt": "x", "timeout_ms": 0}).to_string(),
            400,
            "timeout",
        ),
        (
            json!({"prompt": "x", "tenant": ""}).to_string(),
            400,
            "tenant",
        ),
        (
            json!({"prompt": "x", "history": turns}).to_string(),
            400,
            "20 turns",
        ),
        (
            json!({"prompt": "x", "history": [{"role": "system", "text": "x"}]}).to_string(),
            422,
            "system",
        ),
        ("x".repeat(70_000), 413, "Payload Too Large"),
    ] {
        for path in ["/chat", "/chat/stream"] {
            let asked = chat.client.post(format!("{}{path}", chat.url));
            let asked = asked.header("content-type", "application/json");
            let refused = sent(|| asked.try_clone()?.body(body.clone()).into()).await;
            assert_eq!(refused.status(), status, "{path} {body:.60}");
            let message = error(refused).await["message"].to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
    assert_eq!(bedrock.service().ledger().totals.requests, 0);
}

/// A tenant becomes a key and perhaps a label: it is short and plain, or refused. So is a patience that
/// is no number; one that is too long is cut to the longest.
#[tokio::test]
async fn headers_are_bounded() {
    let bedrock = bedrock(model(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &[]);
    let body = json!({"prompt": "x"});
    for (name, value, status) in [
        ("x-tenant", "a b".to_owned(), 400),
        ("x-tenant", "a/b".to_owned(), 400),
        ("x-tenant", "é".to_owned(), 400),
        ("x-tenant", String::new(), 400),
        ("x-tenant", "t".repeat(65), 400),
        ("x-tenant", "t".repeat(64), 200),
        ("x-timeout-ms", "soon".to_owned(), 400),
        ("x-timeout-ms", "-1".to_owned(), 400),
        ("x-timeout-ms", "0".to_owned(), 400),
        ("x-timeout-ms", u64::MAX.to_string(), 200),
    ] {
        let asked = chat.post("/chat", &body).header(name, value.as_bytes());
        let response = asked.send().await.unwrap();
        assert_eq!(response.status(), status, "{name}: {value}");
    }
    assert_eq!(bedrock.service().ledger().totals.requests, 2);
}

/// A body of unknown length is bounded too.
#[tokio::test]
async fn a_body_without_a_length_is_bounded() {
    let chat = Chat::start(&[]);
    let refused = sent(|| {
        let pieces = (0..10).map(|_| Ok::<_, std::io::Error>("x".repeat(8_000)));
        let asked = chat.client.post(format!("{}/chat", chat.url));
        let asked = asked.header("content-type", "application/json");
        Some(asked.body(Body::wrap_stream(stream::iter(pieces))))
    })
    .await;
    assert_eq!(refused.status(), 413);
    assert_eq!(error(refused).await["code"], "too_large");
}

/// What is not there, or not in that way, is refused in the same form.
#[tokio::test]
async fn what_is_not_there_is_told() {
    let chat = Chat::start(&[]);
    for (method, path, status, code) in [
        (Method::GET, "/nothing", 404, "not_found"),
        (Method::GET, "/chat", 405, "method_not_allowed"),
        (Method::DELETE, "/chat/stream", 405, "method_not_allowed"),
        (Method::POST, "/chat", 415, "unsupported_media_type"),
        (Method::GET, "/chat/stream", 400, "invalid_request"),
        (
            Method::GET,
            "/chat/stream?prompt=x&model=y",
            400,
            "invalid_request",
        ),
    ] {
        let asked = chat.client.request(method, format!("{}{path}", chat.url));
        let refused = asked.send().await.unwrap();
        assert_eq!(refused.status(), status, "{path}");
        assert_eq!(refused.headers().contains_key("allow"), status == 405);
        assert_eq!(error(refused).await["code"], code, "{path}");
    }
}

/// The page of another site can neither ask nor switch.
#[tokio::test]
async fn other_sites_may_not_ask() {
    let chat = Chat::start(&[]);
    let put = chat.client.put(format!("{}/demo", chat.url));
    let put = put.json(&json!({"load": 3}));
    let post = chat.post("/chat", &json!({"prompt": "x"}));
    for asked in [put, post] {
        let asked = asked.header("origin", "https://example.com");
        let refused = asked.header("sec-fetch-site", "cross-site").send().await;
        let refused = refused.unwrap();
        assert_eq!(refused.status(), 403);
        assert_eq!(error(refused).await["code"], "forbidden");
    }
}

/// An `EventSource` connects again after its stream has ended. Its question is not asked, and not
/// paid for, a second time.
#[tokio::test]
async fn a_stream_is_not_asked_for_twice() {
    let bedrock = bedrock(model(), |scenario| scenario).await;
    let chat = Chat::before(&bedrock, &[]);
    let query = "/chat/stream?prompt=x";
    let first = chat.get(query).send().await.unwrap().text().await.unwrap();
    let id = first.lines().find_map(|line| line.strip_prefix("id: "));
    let again = chat.get(query).header("last-event-id", id.unwrap());
    assert_eq!(again.send().await.unwrap().status(), 204);
    assert_eq!(bedrock.service().ledger().totals.requests, 1);
}
