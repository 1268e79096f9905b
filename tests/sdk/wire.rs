//! What a server may do that speaks no Bedrock, or not to the end.

use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, ConfigBag, Intercept, Region, RuntimeComponents,
};
use aws_smithy_runtime_api::{
    box_error::BoxError, client::interceptors::context::BeforeTransmitInterceptorContextMut,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{Bedrock, Cause, ClassifyLayer, Error, Request};
use tower_bedrock_tests::{MODEL, PROMPT, config, converse};

const SECRET: &str = "SECRETANSWER";

/// Reads one request to its end.
async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let Ok(length @ 1..) = stream.read(&mut part).await else {
            return;
        };
        request.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let expected = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
            .unwrap_or(0);
        if body.len() >= expected {
            return;
        }
    }
}

/// A server that answers each request with `answer` and closes; counts them.
async fn server(answer: String) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let requests = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            read_request(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _gone = stream.write_all(answer.as_bytes()).await;
            let _gone = stream.shutdown().await;
        }
    });
    (url, requests)
}

async fn failure(config: Builder) -> Error {
    let error = ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(config))
        .oneshot(Request::from(converse(MODEL)))
        .await
        .expect_err("the call must fail");
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(under) = source {
        shown += &format!("{under} {under:?}");
        source = under.source();
    }
    assert!(
        !shown.contains(SECRET) && !shown.contains(PROMPT),
        "{shown}"
    );
    assert!(error.message().is_some_and(|text| !text.is_empty()) || error.status().is_some());
    error
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// Proxies answer in HTML, servers break off: each lands where it belongs, is sent once, and nothing
/// of the answer shows up in the error.
#[tokio::test]
async fn answers_that_are_not_bedrocks_land_where_they_belong() {
    let html = format!("<html>{SECRET}</html>");
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{{\"output\":\"{SECRET}");
    for (answer, cause) in [
        (answer("429 Too Many Requests", "", ""), Cause::Throttled),
        (
            answer(
                "429 Too Many Requests",
                "content-type: text/html\r\n",
                &html,
            ),
            Cause::Throttled,
        ),
        (
            answer("502 Bad Gateway", "content-type: text/html\r\n", &html),
            Cause::ServiceUnavailable,
        ),
        (
            answer("503 Unavailable", "content-type: text/html\r\n", &html),
            Cause::ServiceUnavailable,
        ),
        (
            answer("403 Forbidden", "content-type: text/html\r\n", &html),
            Cause::AccessDenied,
        ),
        (
            answer("200 OK", "content-type: text/html\r\n", &html),
            Cause::Unknown,
        ),
        (
            answer("200 OK", "", &format!("{{\"output\": {SECRET}}}")),
            Cause::Unknown,
        ),
        (
            answer(
                "200 OK",
                "",
                &format!("{{\"usage\":{{\"inputTokens\":\"{SECRET}\"}}}}"),
            ),
            Cause::Unknown,
        ),
        (cut, Cause::Connect),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"out".to_owned(),
            Cause::Connect,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-ty".to_owned(), Cause::Connect),
        (String::new(), Cause::Connect),
        (format!("SSH-2.0-{SECRET}\r\n"), Cause::Connect),
    ] {
        let (url, requests) = server(answer.clone()).await;
        let error = failure(config(url)).await;
        assert_eq!(error.cause(), cause, "{answer}: {error}");
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{answer}");
    }
}

/// What keeps a request from being sent is no connection that failed, and is not made again; the
/// prompt that the SDK would print is not in the error.
#[tokio::test]
async fn what_is_not_sent_is_told_so() {
    #[derive(Debug)]
    struct Refuses;
    impl Intercept for Refuses {
        fn name(&self) -> &'static str {
            "Refuses"
        }

        fn modify_before_signing(
            &self,
            _: &mut BeforeTransmitInterceptorContextMut<'_>,
            _: &RuntimeComponents,
            _: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            Err("the user's own interceptor refuses".into())
        }
    }
    let without_credentials = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://127.0.0.1:9");
    for (config, reason) in [
        (config("localhost:8480"), "endpoint"),
        (config("not a url"), "endpoint"),
        (
            config("http://127.0.0.1:9").interceptor(Refuses),
            "interceptor refuses",
        ),
        (without_credentials, ""),
    ] {
        let error = failure(config).await;
        let cause = error.cause();
        assert!(
            matches!(cause, Cause::InvalidRequest | Cause::Credentials),
            "{error}"
        );
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// An error names the region it really came from, although the request left it to the home region.
#[tokio::test]
async fn an_error_names_the_home_region() {
    let (url, _) = server(answer("503 Unavailable", "", "")).await;
    let error = failure(config(url)).await;
    let route = error.route().expect("it happened somewhere");
    assert_eq!(route.to_string(), "us.amazon.nova-lite-v1:0@us-east-1");
}
