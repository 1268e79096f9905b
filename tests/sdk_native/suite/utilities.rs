//! The SDK's own test utilities under an installed stack: what a user's tests are made of.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{
        BehaviorVersion, Builder, HttpClient, Region, StalledStreamProtectionConfig,
        timeout::{TimeoutConfig, TimeoutConfigBuilder},
    },
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_async::test_util::instant_time_and_sleep;
use aws_smithy_http_client::test_util::{
    NeverClient, ReplayEvent, StaticReplayClient, capture_request, infallible_client_fn,
};
use aws_smithy_types::body::SdkBody;
use tokio::time::{Instant, timeout};
use tower_bedrock::{
    Cause, Error, Quota, RetryLayer, Route,
    sdk::install::{CallOptions, Resilience},
};
use tower_bedrock_tests::{MODEL, PROMPT, message};

use super::{rig::Rig, row::Configure};

const ANSWER: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"Hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12},"metrics":{"latencyMs":1}}"#;

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

fn client(http: impl HttpClient + 'static, rig: &Rig, change: Configure) -> Client {
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys(
            "AKIDEXAMPLE",
            "secret",
            Some("token".to_owned()),
        ))
        .http_client(http);
    let config = Resilience::new(rig.clone()).install(change(config));
    Client::from_conf(config.build())
}

fn usual(config: Builder) -> Builder {
    config
}

fn request() -> http::Request<SdkBody> {
    http::Request::builder()
        .method("POST")
        .uri("https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-lite-v1%3A0/converse")
        .header("content-type", "application/json")
        .body(SdkBody::from(format!(
            r#"{{"messages":[{{"role":"user","content":[{{"text":"{PROMPT}"}}]}}]}}"#
        )))
        .expect("a request")
}

fn reply(status: u16, code: Option<&str>, body: &str) -> http::Response<SdkBody> {
    let mut response = http::Response::builder().status(status);
    if let Some(code) = code {
        response = response.header("x-amzn-errortype", code);
    }
    response.body(SdkBody::from(body)).expect("a response")
}

fn throttled() -> http::Response<SdkBody> {
    let body = r#"{"message":"Too many requests, please wait before trying again."}"#;
    reply(429, Some("ThrottlingException"), body)
}

async fn say(client: &Client) -> Result<String, Box<dyn std::error::Error>> {
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let output = call.send().await?;
    let message = output.output().and_then(|output| output.as_message().ok());
    let text = message.and_then(|message| message.content()[0].as_text().ok());
    Ok(text.cloned().unwrap_or_default())
}

/// `StaticReplayClient` plays its replies to our attempts, and finds the requests that it expected.
#[tokio::test(start_paused = true)]
async fn a_static_replay_plays_to_our_attempts() {
    let replay = StaticReplayClient::new(vec![
        ReplayEvent::new(request(), throttled()),
        ReplayEvent::new(
            request(),
            reply(503, Some("ServiceUnavailableException"), "{}"),
        ),
        ReplayEvent::new(request(), reply(200, None, ANSWER)),
    ]);
    let client = client(replay.clone(), &retrying(), usual);
    let start = Instant::now();
    assert_eq!(say(&client).await.expect("the third is an answer"), "Hello");
    assert!(
        start.elapsed() > Duration::ZERO,
        "it waited in virtual time"
    );
    assert_eq!(replay.actual_requests().count(), 3);
    replay.relaxed_requests_match();
    let attempts = replay
        .actual_requests()
        .filter_map(|request| request.headers().get("amz-sdk-request"));
    let attempts: Vec<_> = attempts
        .filter_map(|attempt| attempt.split(';').next())
        .collect();
    assert_eq!(attempts, ["attempt=1", "attempt=2", "attempt=3"]);
}

/// Usage that a canned answer tells settles the budget.
#[tokio::test(start_paused = true)]
async fn a_canned_answer_settles_the_budget() {
    let replay =
        StaticReplayClient::new(vec![ReplayEvent::new(request(), reply(200, None, ANSWER))]);
    let route = Route::to(MODEL.parse().expect("an id"));
    let quota = Quota::new().with_tokens_per_minute(100_000);
    let rig = retrying().budgeted(&route, quota, |layer| layer);
    let client = client(replay, &rig, usual);
    assert_eq!(say(&client).await.expect("it is answered"), "Hello");
    let quota = rig.quotas().snapshot_of(&route);
    assert_eq!((quota.tokens_used, quota.tokens_held), (12, 0));
}

/// `capture_request` catches the one request, although its answer is empty.
#[tokio::test(start_paused = true)]
async fn a_capture_catches_one_request() {
    let (http, captured) = capture_request(None);
    let with_us = client(http, &retrying(), usual);
    let sent = say(&with_us).await;
    let ours = captured.expect_request();

    let (http, captured) = capture_request(None);
    let alone = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys(
            "AKIDEXAMPLE",
            "secret",
            Some("token".to_owned()),
        ))
        .http_client(http);
    let alone = say(&Client::from_conf(alone.build())).await;
    let theirs = captured.expect_request();
    assert_eq!(sent.is_ok(), alone.is_ok(), "{sent:?} {alone:?}");
    assert_eq!((ours.method(), ours.uri()), (theirs.method(), theirs.uri()));
    assert_eq!(ours.body().bytes(), theirs.body().bytes());
    let names = |request: &aws_smithy_runtime_api::http::Request| -> Vec<String> {
        let mut names: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&ours), names(&theirs));
}

/// `NeverClient` is never heard of. The operation's timeout ends the call to the second; an attempt's
/// ends each attempt, and the call may ask for more.
#[tokio::test(start_paused = true)]
async fn what_never_answers_ends_in_time() {
    fn limited(config: Builder, timeouts: TimeoutConfigBuilder) -> Builder {
        config
            .timeout_config(timeouts.build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    }
    let whole: Configure = |config| {
        let limit = Duration::from_secs(90);
        limited(config, TimeoutConfig::builder().operation_timeout(limit))
    };
    let each: Configure = |config| {
        let limit = Duration::from_secs(20);
        limited(
            config,
            TimeoutConfig::builder().operation_attempt_timeout(limit),
        )
    };
    for (configure, at_least, attempts) in [(whole, 90, 1), (each, 60, 3)] {
        let never = NeverClient::new();
        let client = client(never.clone(), &retrying(), configure);
        let options = CallOptions::new().with_retry_timeouts(true);
        let call = client.converse().model_id(MODEL).messages(message(PROMPT));
        let start = Instant::now();
        let sent = call.customize().interceptor(options).send();
        let sent = timeout(Duration::from_secs(3_600), sent).await;
        let error = sent.expect("it ends").expect_err("nobody answers");
        assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), at_least);
        assert_eq!(
            Error::from_sdk(&error).and_then(Error::attempts),
            Some(attempts)
        );
        assert_eq!(never.num_calls(), attempts as usize);
    }
}

/// `infallible_client_fn` answers by the request: its error is the modeled one.
#[tokio::test(start_paused = true)]
async fn a_function_may_answer() {
    let http = infallible_client_fn(|request| {
        assert!(request.uri().path().starts_with("/model/"));
        reply(
            400,
            Some("ValidationException"),
            r#"{"message":"Input is too long for requested model."}"#,
        )
    });
    let client = client(http, &retrying(), usual);
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let error = call.send().await.expect_err("it is refused");
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(
        Error::from_sdk(&error).map(Error::cause),
        Some(Cause::ContextTooLong)
    );
}

/// With the SDK's own time that stands still, signatures are dated by it; our waits are tokio's.
#[tokio::test(start_paused = true)]
async fn signatures_are_dated_by_the_sdks_time_source() {
    let replay = StaticReplayClient::new(vec![
        ReplayEvent::new(request(), throttled()),
        ReplayEvent::new(request(), reply(200, None, ANSWER)),
    ]);
    let client = client(replay.clone(), &retrying(), |config| {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let (time, sleep) = instant_time_and_sleep(start);
        config
            .time_source(time)
            .sleep_impl(sleep)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    });
    assert_eq!(
        say(&client).await.expect("the second is an answer"),
        "Hello"
    );
    for request in replay.actual_requests() {
        assert_eq!(
            request.headers().get("x-amz-date"),
            Some("20150830T123600Z")
        );
    }
}
