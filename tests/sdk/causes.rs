use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{
    Builder, SharedCredentialsProvider, StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use bedrock_sim::{
    ErrorSpec, ErrorText, Exception, FaultKind, FaultSpec, RetryAfterHint, SimService,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{Bedrock, Cause, ClassifyLayer, Error, Request};
use tower_bedrock_tests::{KNOWN_ERRORS, MODEL, converse, faulty, in_process, model, scenario};

/// What one attempt of a call fails with.
async fn failure(config: Builder, model: &str) -> Error {
    ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(config))
        .oneshot(Request::from(converse(model)))
        .await
        .expect_err("the call must fail")
}

async fn failure_of(error: impl Into<ErrorSpec>) -> Error {
    failure(in_process(&faulty(FaultSpec::error(error))), MODEL).await
}

/// Each error that Bedrock is known for becomes its cause, through the SDK's own parsing.
#[tokio::test(start_paused = true)]
async fn every_known_error_becomes_its_cause() {
    for (text, cause) in KNOWN_ERRORS {
        let error = failure_of(text).await;
        assert_eq!(error.cause(), cause, "{text:?}: {error}");
        assert_eq!(error.status(), Some(text.exception().status()), "{text:?}");
        assert!(
            error.request_id().is_some() && error.message().is_some(),
            "{error:?}"
        );
    }
}

/// Exceptions without a telling text land where their code says.
#[tokio::test(start_paused = true)]
async fn an_exception_with_an_unknown_text_lands_in_its_honest_bucket() {
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
        let error = failure_of(spec).await;
        assert_eq!(error.cause(), cause, "{error}");
    }
}

/// The status of the model behind the service arrives.
#[tokio::test(start_paused = true)]
async fn the_models_own_status_arrives() {
    let spec = ErrorSpec::from(ErrorText::ModelError).original_status(503);
    assert_eq!(failure_of(spec).await.original_status(), Some(503));
}

/// A server's hint arrives in each of its forms.
#[tokio::test(start_paused = true)]
async fn a_servers_hint_arrives() {
    let spec = ErrorSpec::from(ErrorText::TokensPerMinute);
    let millis = spec.clone().retry_after(RetryAfterHint::AmzMillis(1500));
    assert_eq!(
        failure_of(millis).await.retry_after(),
        Some(Duration::from_millis(1500))
    );
    let seconds = spec.retry_after(RetryAfterHint::Seconds(3));
    assert_eq!(
        failure_of(seconds).await.retry_after(),
        Some(Duration::from_secs(3))
    );
}

/// A connection that breaks before the head is no timeout and no answer.
#[tokio::test(start_paused = true)]
async fn a_reset_is_a_connection_that_broke() {
    let error = failure(in_process(&faulty(FaultSpec::new(FaultKind::Reset))), MODEL).await;
    assert_eq!(error.cause(), Cause::Connect, "{error:?}");
}

/// The user's own timeouts end an attempt that is never answered; so does the call's deadline.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_ends_in_time() {
    let silent = faulty(FaultSpec::new(FaultKind::NoAnswer));
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5));
    let patient = || {
        // Under a paused clock a silent service looks like a stalled upload.
        in_process(&silent).stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    };
    let start = tokio::time::Instant::now();
    let error = failure(patient().timeout_config(timeouts.build()), MODEL).await;
    assert_eq!(error.cause(), Cause::Timeout, "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 5);

    let request = Request::from(converse(MODEL)).with_timeout(Duration::from_secs(7));
    let start = tokio::time::Instant::now();
    let error = ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(patient()))
        .oneshot(request)
        .await
        .expect_err("the call must fail");
    assert_eq!(error.cause(), Cause::DeadlineExceeded, "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 7);
}

/// A call whose deadline has passed is not sent, with no layer around it either.
#[tokio::test(start_paused = true)]
async fn an_expired_call_is_not_sent() {
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let error = ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(in_process(&sim)))
        .oneshot(Request::from(converse(MODEL)).with_timeout(Duration::ZERO))
        .await
        .expect_err("the deadline has passed");
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    assert_eq!(sim.ledger().totals.requests, 0);
}

/// Without credentials nothing is sent, and the error says so.
#[tokio::test(start_paused = true)]
async fn missing_credentials_are_called_so() {
    #[derive(Debug)]
    struct Nobody;
    impl aws_credential_types::provider::ProvideCredentials for Nobody {
        fn provide_credentials<'a>(
            &'a self,
        ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let none = aws_credential_types::provider::error::CredentialsError::not_loaded("none");
            aws_credential_types::provider::future::ProvideCredentials::ready(Err(none))
        }
    }
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let config = in_process(&sim).credentials_provider(SharedCredentialsProvider::new(Nobody));
    let error = failure(config, MODEL).await;
    assert_eq!(error.cause(), Cause::Credentials, "{error:?}");
    assert_eq!(sim.ledger().totals.requests, 0);
}

/// A signature for a clock or a key that the service does not accept is not retried away.
#[tokio::test(start_paused = true)]
async fn expired_credentials_are_called_so() {
    let sim = faulty(FaultSpec::error(Exception::ExpiredToken));
    let config = in_process(&sim).credentials_provider(Credentials::from_keys(
        "AKIDEXAMPLE",
        "secret",
        None,
    ));
    assert_eq!(failure(config, MODEL).await.cause(), Cause::Credentials);
}

/// What the service validates by itself comes back as the caller's error, with the service's text.
#[tokio::test(start_paused = true)]
async fn what_the_service_refuses_tells_why() {
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let error = failure(in_process(&sim), "us.amazon.nova-unknown-v1:0").await;
    assert_eq!(error.cause(), Cause::NotFound, "{error}");
    let error = failure(in_process(&sim), "amazon.nova-lite-v1:0").await;
    assert_eq!(error.cause(), Cause::ProfileRequired, "{error}");

    let small = scenario()
        .model(model_with_small_output())
        .build()
        .expect("a valid scenario");
    let error = failure(
        in_process(&SimService::new(small)),
        "amazon.nova-micro-v1:0",
    )
    .await;
    assert_eq!(error.cause(), Cause::InvalidRequest, "{error}");
    assert!(
        error
            .message()
            .is_some_and(|text| text.contains("exceed the model limit of 50"))
    );
}

fn model_with_small_output() -> bedrock_sim::ModelSpec {
    let mut small = model().max_output(50).output_tokens(10);
    small.id = "amazon.nova-micro-v1:0".to_owned();
    small
}
