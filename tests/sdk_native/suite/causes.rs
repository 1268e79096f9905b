use std::time::Duration;

use bedrock_sim::{ErrorSpec, ErrorText, Exception, FaultKind, FaultSpec, RetryAfterHint};
use tower_bedrock::Cause;
use tower_bedrock_tests::{KNOWN_ERRORS, MODEL, scenario};

use super::{call::Call, outcome::Failure, rig::Rig, row::Row};

async fn failure(row: Row) -> Failure {
    let outcome = row.outcome().await;
    let failure = outcome.told.first().and_then(|told| told.failure());
    failure.expect("the call must fail").clone()
}

async fn failure_of(error: impl Into<ErrorSpec>) -> Failure {
    failure(Row::faulty(FaultSpec::error(error), Rig::bare)).await
}

/// Each error that Bedrock is known for becomes its cause on both faces, with the service's code,
/// message, status and request id.
#[tokio::test(start_paused = true)]
async fn every_known_error_becomes_its_cause() {
    for (text, cause) in KNOWN_ERRORS {
        let failure = failure_of(text).await;
        assert_eq!(failure.cause, cause, "{text:?}");
        assert_eq!(failure.status, Some(text.exception().status()));
        assert_eq!(failure.code.as_deref(), Some(text.exception().code()));
        assert!(
            failure.request_id.is_some() && failure.message.is_some(),
            "{failure:?}"
        );
        assert_eq!(failure.attempts, Some(1));
    }
}

/// Exceptions whose text nobody knows land where their code says.
#[tokio::test(start_paused = true)]
async fn an_unknown_text_lands_in_its_honest_bucket() {
    for (exception, cause) in [
        (Exception::Throttling, Cause::Throttled),
        (Exception::Validation, Cause::InvalidRequest),
        (Exception::ServiceUnavailable, Cause::ServiceUnavailable),
        (Exception::InternalServer, Cause::Internal),
        (Exception::AccessDenied, Cause::AccessDenied),
        (Exception::ResourceNotFound, Cause::NotFound),
        (Exception::ExpiredToken, Cause::Credentials),
    ] {
        let spec = ErrorSpec::from(exception).message("Something that nobody has seen before.");
        assert_eq!(failure_of(spec).await.cause, cause, "{exception:?}");
    }
}

/// The model's own status and the server's hint arrive, in each of its forms.
#[tokio::test(start_paused = true)]
async fn hints_and_the_models_own_status_arrive() {
    let spec = ErrorSpec::from(ErrorText::ModelError).original_status(503);
    assert_eq!(failure_of(spec).await.original_status, Some(503));
    let spec = ErrorSpec::from(ErrorText::TokensPerMinute);
    for (hint, wait) in [
        (RetryAfterHint::AmzMillis(1500), Duration::from_millis(1500)),
        (RetryAfterHint::Seconds(3), Duration::from_secs(3)),
    ] {
        let failure = failure_of(spec.clone().retry_after(hint)).await;
        assert_eq!(failure.retry_after, Some(wait));
    }
}

/// A connection that breaks before the head is no timeout and no answer.
#[tokio::test(start_paused = true)]
async fn a_reset_is_a_connection_that_broke() {
    let reset = Row::faulty(FaultSpec::new(FaultKind::Reset), Rig::bare);
    let failure = failure(reset).await;
    assert_eq!(failure.cause, Cause::Connect);
    assert_eq!(failure.status, None);
}

/// What the service validates by itself comes back as the caller's error.
#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_tells_why() {
    for (model, cause) in [
        ("us.amazon.nova-unknown-v1:0", Cause::NotFound),
        ("amazon.nova-lite-v1:0", Cause::ProfileRequired),
    ] {
        let row = Row::new(scenario(), Rig::bare).calls([Call::converse().to(model)]);
        let failure = failure(row).await;
        assert_eq!(failure.cause, cause, "{model}");
        assert_eq!(failure.route, Some(model.to_owned()));
    }
}

/// A service that nobody has broken answers, and both faces give the same answer.
#[tokio::test(start_paused = true)]
async fn an_answer_is_the_same_on_both() {
    let outcome = Row::new(scenario(), Rig::bare).outcome().await;
    let answer = outcome.told[0].answer().expect("it is answered");
    assert!(answer.output.contains("Text") && answer.output.contains("EndTurn"));
    assert_eq!(answer.usage.map(|(_, output)| output), Some(20));
    assert_eq!(
        answer.served.route.to_string(),
        format!("{MODEL}@us-east-1")
    );
    assert!(answer.served.request_id.is_some());
    assert_eq!(outcome.requests(), 1);
}
