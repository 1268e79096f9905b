//! The SDK's own time limits keep their meaning.

use std::time::Duration;

use aws_sdk_bedrockruntime::{
    Client,
    config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
    error::SdkError,
};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, SimService};
use tokio::time::Instant;
use tower_bedrock::{Cause, Error, Quota, Route};
use tower_bedrock_tests::{
    MODEL, PROMPT, faulty, in_process, message, scenario, verifying::VirtualTime,
};

use super::{
    config::{ask, install, requests, retrying, sick},
    rig::Rig,
};

/// The operation's timeout covers standing in line and all attempts; when it passes, nothing is held
/// or under way any more.
#[tokio::test(start_paused = true)]
async fn an_operation_timeout_covers_all() {
    let thirty = TimeoutConfig::builder().operation_timeout(Duration::from_secs(30));
    let route = Route::to(MODEL.parse().expect("an id"));
    // Nothing is answered within the time, by attempts or by standing in line.
    for (fault, quota) in [
        (FaultSpec::error(ErrorText::ModelNotReady), None),
        (FaultSpec::new(FaultKind::NoAnswer), None),
        (FaultSpec::new(FaultKind::NoAnswer).skip(1), Some(1)),
    ] {
        let sim = faulty(fault);
        let mut rig = retrying();
        if let Some(requests) = quota {
            let quota = Quota::new().with_requests_per_minute(requests);
            rig = rig.budgeted(&route, quota, |layer| layer);
        }
        let config = install(in_process(&sim), &rig)
            .timeout_config(thirty.clone().build())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let client = Client::from_conf(config.build());
        if quota.is_some() {
            assert!(ask(&client).await);
        }
        let start = Instant::now();
        assert!(!ask(&client).await);
        assert!(
            start.elapsed() <= Duration::from_secs(30),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(sim.ledger().totals.in_flight, 0);
        let quota = rig.quotas().snapshot_of(&route);
        assert_eq!((quota.waiting, quota.tokens_held), (0, 0));
    }
}

/// The user's read timeout bounds each attempt, and no time spent in line.
#[tokio::test(start_paused = true)]
async fn a_read_timeout_bounds_what_is_read() {
    fn two_seconds(config: Builder) -> Builder {
        let timeouts = TimeoutConfig::builder().read_timeout(Duration::from_secs(2));
        config.timeout_config(timeouts.build())
    }
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let route = Route::to(MODEL.parse().expect("an id"));
    let minute = Quota::new().with_requests_per_minute(1);
    let rig = retrying().budgeted(&route, minute, |layer| layer);
    let client = Client::from_conf(install(two_seconds(in_process(&sim)), &rig).build());
    let start = Instant::now();
    assert!(ask(&client).await && ask(&client).await);
    assert!(start.elapsed() >= Duration::from_secs(60));

    let sim = faulty(FaultSpec::new(FaultKind::NoAnswer));
    let client = Client::from_conf(install(two_seconds(in_process(&sim)), &Rig::bare()).build());
    let start = Instant::now();
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let error = call.send().await.expect_err("nobody answers");
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let SdkError::DispatchFailure(failure) = &error else {
        panic!("{error:?}")
    };
    assert!(failure.is_timeout(), "as without us");
    assert_eq!(
        Error::from_sdk(&error).map(Error::cause),
        Some(Cause::Timeout)
    );
}

/// A stream whose first content comes later than the operation's timeout: the head was there in time,
/// which is all that the timeout is about, so that the stream is delivered whole, as it is without us.
#[tokio::test(start_paused = true)]
async fn an_operation_timeout_spares_streams_that_have_begun() {
    for is_installed in [false, true] {
        let late = FaultKind::SlowFirstToken {
            delay: Duration::from_secs(45),
        };
        let sim = faulty(FaultSpec::new(late));
        let thirty = TimeoutConfig::builder().operation_timeout(Duration::from_secs(30));
        let config = in_process(&sim).timeout_config(thirty.build());
        let config = if is_installed {
            install(config, &retrying())
        } else {
            config
        };
        let client = Client::from_conf(config.build());
        let start = Instant::now();
        let call = client
            .converse_stream()
            .model_id(MODEL)
            .messages(message(PROMPT));
        let mut stream = call.send().await.expect("it has begun").stream;
        assert!(
            start.elapsed() <= Duration::from_secs(30),
            "{:?}",
            start.elapsed()
        );
        let mut events = 0;
        while stream.recv().await.expect("it goes on").is_some() {
            events += 1;
        }
        assert!(events > 5 && start.elapsed() >= Duration::from_secs(45));
        assert_eq!(requests(&sim), 1);
    }
}

/// An answer that stalls half way is cut by the SDK's own protection, as it is without us, and in the
/// same time.
#[tokio::test(start_paused = true)]
async fn stalled_answers_are_cut_as_by_the_sdk() {
    let mut seen = Vec::new();
    for is_installed in [false, true] {
        let config = in_process(&sick())
            .retry_config(RetryConfig::disabled())
            .time_source(VirtualTime::new())
            .http_client(infallible_client_fn(|_| {
                http::Response::new(SdkBody::from_body_1_x(Stalls(Some(r#"{"output":"#))))
            }));
        let config = if is_installed {
            install(config, &Rig::bare())
        } else {
            config
        };
        let client = Client::from_conf(config.build());
        let start = Instant::now();
        let call = client.converse().model_id(MODEL).messages(message(PROMPT));
        let error = tokio::time::timeout(Duration::from_secs(3_600), call.send()).await;
        let error = error.expect("it is cut").expect_err("it is cut");
        seen.push((start.elapsed(), variant(&error)));
        if is_installed {
            let cause = Error::from_sdk(&error).map(Error::cause);
            assert!(
                matches!(cause, Some(Cause::Connect | Cause::Timeout)),
                "{error:?}"
            );
        }
    }
    assert_eq!(seen[0].1, seen[1].1);
    assert!(
        seen[0].0.abs_diff(seen[1].0) < Duration::from_secs(1),
        "{seen:?}"
    );
}

fn variant<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "construction failure",
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(_) => "dispatch failure",
        SdkError::ResponseError(_) => "response error",
        SdkError::ServiceError(_) => "service error",
        _ => "another",
    }
}

/// A body that begins and goes on for ever.
struct Stalls(Option<&'static str>);

impl http_body::Body for Stalls {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(part) => {
                let part = bytes::Bytes::from_static(part.as_bytes());
                std::task::Poll::Ready(Some(Ok(http_body::Frame::data(part))))
            }
            None => std::task::Poll::Pending,
        }
    }
}
