use std::{error::Error as StdError, time::Duration};

use tower::{BoxError, ServiceExt, service_fn, timeout::Timeout};

use crate::{CallContext, Cause, Classifier, Error, ErrorDetails, Operation, RawError, Route};

fn call() -> CallContext {
    let model = "us.amazon.nova-lite-v1:0".parse().unwrap();
    let mut call = CallContext::new(Operation::Converse, Route::to(model).in_region("us-east-1"));
    call.attempt = 3;
    call
}

/// A line of a log tells what happened, where, at which attempt, and what to quote to support.
#[test]
fn an_error_tells_what_happened_and_where() {
    let error = Error::new(Cause::TokenRate)
        .with_code("ThrottlingException")
        .with_status(429)
        .with_message("Too many tokens, please wait before trying again.")
        .with_request_id("id-1")
        .with_context(&call());
    assert_eq!(
        error.to_string(),
        "Converse to us.amazon.nova-lite-v1:0@us-east-1 failed: token_rate (ThrottlingException, \
         HTTP 429): Too many tokens, please wait before trying again. [request id id-1] [attempt 3]"
    );
    assert_eq!(Error::new(Cause::CircuitOpen).to_string(), "circuit_open");
}

/// What lies under an error can be reached, and is not lost in a box.
#[test]
fn the_source_can_be_reached() {
    let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let boxed: BoxError = Error::new(Cause::Connect).with_source(io).into();
    let error = Error::from(boxed);
    assert_eq!(error.cause(), Cause::Connect);
    assert!(error.source().unwrap().is::<std::io::Error>());
}

/// What tower's and tokio's own middleware says is understood when it comes in a box.
#[test]
fn boxed_errors_are_understood() {
    let io = |kind| BoxError::from(std::io::Error::from(kind));
    let throttled = ErrorDetails {
        status: Some(429),
        ..ErrorDetails::default()
    };
    for (boxed, cause) in [
        (
            Error::new(Cause::PoolSaturated).into(),
            Cause::PoolSaturated,
        ),
        (
            RawError::Answered(Box::new(throttled)).into(),
            Cause::Throttled,
        ),
        (io(std::io::ErrorKind::ConnectionRefused), Cause::Connect),
        (io(std::io::ErrorKind::TimedOut), Cause::Timeout),
        (
            BoxError::from(tower::timeout::error::Elapsed::new()),
            Cause::Timeout,
        ),
        ("something else".into(), Cause::Unknown),
    ] {
        let boxed: BoxError = boxed;
        let text = boxed.to_string();
        let error = Error::from(boxed);
        assert_eq!(error.cause(), cause, "{text}");
    }
    let error = Error::from(BoxError::from("something else"));
    assert_eq!(error.to_string(), "unknown: something else");
}

/// A timeout layer of tower's is a timeout for the layers around it.
#[tokio::test(start_paused = true)]
async fn a_timeout_layer_is_a_timeout() {
    let silent = service_fn(|()| std::future::pending::<Result<(), Error>>());
    let boxed = Timeout::new(silent, Duration::from_secs(1))
        .oneshot(())
        .await
        .unwrap_err();
    assert_eq!(Error::from(boxed).cause(), Cause::Timeout);
}

/// Errors are small enough to be passed by value.
#[test]
fn errors_are_small() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert!(size_of::<RawError>() <= 3 * size_of::<usize>());
}

/// What a service says at great length is cut, between two characters, and with it what lies under it,
/// which may say the same; what it says in a sentence or two is kept as it is.
#[test]
fn what_is_said_at_great_length_is_cut() {
    let said = |message: String| {
        let details = ErrorDetails {
            code: Some(message.clone()),
            request_id: Some(message.clone()),
            source: Some(message.clone().into()),
            message: Some(message),
            status: Some(429),
            ..ErrorDetails::default()
        };
        Classifier::default().classify(RawError::Answered(Box::new(details)))
    };
    let error = said("é".repeat(5_000_000));
    assert!(format!("{error} {error:?}").len() < 40_000);
    assert!(error.message().unwrap().ends_with("é…"));
    assert!(std::error::Error::source(&error).is_none());

    let error = said("é".repeat(100));
    assert_eq!(error.message(), Some("é".repeat(100).as_str()));
    assert_eq!(error.request_id(), error.message());
    assert!(std::error::Error::source(&error).is_some());
}
