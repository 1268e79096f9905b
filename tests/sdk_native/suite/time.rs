use std::time::Duration;

use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use bedrock_sim::{ErrorText, FaultKind, FaultSpec};
use tower_bedrock::{Cause, RetryLayer};
use tower_bedrock_tests::{model, scenario};

use super::{call::Call, rig::Rig, row::Row};

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

/// A call's deadline ends it while the service is silent.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call_that_is_never_answered() {
    for rig in [Rig::bare, retrying] {
        let row = Row::faulty(FaultSpec::new(FaultKind::NoAnswer), rig);
        let outcome = row
            .calls([Call::converse().with_timeout(Duration::from_secs(7))])
            .outcome()
            .await;
        assert_eq!(outcome.causes(), [Cause::DeadlineExceeded]);
        assert_eq!(outcome.took, Duration::from_secs(7));
        assert_eq!(outcome.requests(), 1);
    }
}

/// No retry is waited for that could only be sent after the deadline: the last error comes at once.
#[tokio::test(start_paused = true)]
async fn no_retry_is_waited_for_past_the_deadline() {
    let row = Row::faulty(FaultSpec::error(ErrorText::TokensPerMinute), retrying);
    let outcome = row
        .calls([Call::converse().with_timeout(Duration::from_secs(20))])
        .outcome()
        .await;
    assert_eq!(outcome.causes(), [Cause::TokenRate]);
    assert!(
        outcome.took <= Duration::from_secs(20),
        "{:?}",
        outcome.took
    );
    assert!(
        outcome.decisions.contains("deadline"),
        "{}",
        outcome.decisions
    );
}

/// A call whose deadline has passed is not sent.
#[tokio::test(start_paused = true)]
async fn an_expired_call_is_not_sent() {
    let row =
        Row::new(scenario(), Rig::bare).calls([Call::converse().with_timeout(Duration::ZERO)]);
    let outcome = row.outcome().await;
    assert_eq!(outcome.causes(), [Cause::DeadlineExceeded]);
    assert_eq!(outcome.requests(), 0);
}

/// The user's attempt timeout bounds each attempt of ours, and neither the wait between two nor all
/// of them together.
#[tokio::test(start_paused = true)]
async fn an_attempt_timeout_bounds_each_attempt() {
    fn five_seconds(
        config: aws_sdk_bedrockruntime::config::Builder,
    ) -> aws_sdk_bedrockruntime::config::Builder {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5));
        config.timeout_config(timeouts.build())
    }
    let silent = Row::faulty(FaultSpec::new(FaultKind::NoAnswer), Rig::bare).config(five_seconds);
    let outcome = silent.outcome().await;
    assert_eq!(outcome.causes(), [Cause::Timeout]);
    assert_eq!(outcome.took, Duration::from_secs(5));

    // Nine attempts and the minutes between them, each answered within the five seconds.
    let slow = model().latency(Duration::from_secs(4));
    let slow = bedrock_sim::Scenario::builder()
        .model(slow)
        .fault(FaultSpec::error(ErrorText::TokensPerMinute).count(3));
    let outcome = Row::new(slow, retrying)
        .config(five_seconds)
        .outcome()
        .await;
    assert_eq!((outcome.answered(), outcome.requests()), (1, 4));
    assert!(outcome.took > Duration::from_secs(5), "{:?}", outcome.took);
}

/// An attempt that timed out is not made again, since its work may be done and billed; unless the
/// call asks for that.
#[tokio::test(start_paused = true)]
async fn a_timeout_is_retried_on_request_only() {
    for (retry, requests) in [(false, 1), (true, 2)] {
        let mut call = Call::converse();
        call.retry_timeouts = Some(retry);
        let row = Row::faulty(FaultSpec::new(FaultKind::NoAnswer).count(1), retrying)
            .calls([call])
            .config(|config| {
                let timeouts = TimeoutConfig::builder();
                let timeouts = timeouts.operation_attempt_timeout(Duration::from_secs(5));
                config.timeout_config(timeouts.build())
            });
        let outcome = row.outcome().await;
        assert_eq!(outcome.requests(), requests);
        assert_eq!(outcome.answered(), usize::from(retry));
    }
}
