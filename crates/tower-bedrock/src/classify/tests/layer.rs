//! What the layer adds to an error, what it leaves alone, and what it never shows.

use std::{
    error::Error as _,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_test::mock;

use crate::{
    BedrockRequest, BoxError, CallContext, Cause, Classifier, ClassifyLayer, Error, ErrorDetails,
    Operation, RawError, Request, Route,
};

fn call() -> CallContext {
    let route = Route::to(
        "us.amazon.nova-lite-v1:0"
            .parse::<crate::ModelId>()
            .unwrap(),
    )
    .in_region("us-west-2");
    let mut call = CallContext::new(Operation::ConverseStream, route);
    call.attempt = 3;
    call
}

fn throttled() -> ErrorDetails {
    ErrorDetails {
        code: Some(
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/".into(),
        ),
        message: Some("Too many tokens, please wait before trying again.".into()),
        status: Some(429),
        original_status: Some(529),
        request_id: Some("158a2e26-c851-4440-9f98-e3065df1de46".into()),
        retry_after: Some(Duration::from_millis(250)),
        source: Some("what lies under it".into()),
        ..ErrorDetails::default()
    }
}

/// The error tells operation, route and attempt, and everything that was known of it before.
#[tokio::test]
async fn an_error_tells_where_it_happened_and_keeps_its_details() {
    let failing = service_fn(|_: Request<()>| async {
        Err::<(), _>(RawError::Answered(Box::new(throttled())))
    });
    let service = ClassifyLayer::new().layer(failing);
    let error = service.oneshot(Request::new((), call())).await.unwrap_err();

    assert_eq!(error.cause(), Cause::TokenRate);
    assert_eq!(error.operation(), Some(Operation::ConverseStream));
    assert_eq!(error.route(), Some(&call().route));
    assert_eq!(error.attempts(), Some(3));

    assert_eq!(error.code(), Some("ThrottlingException"));
    assert_eq!(error.message(), throttled().message.as_deref());
    assert_eq!(error.status(), Some(429));
    assert_eq!(error.original_status(), Some(529));
    assert_eq!(error.request_id(), throttled().request_id.as_deref());
    assert_eq!(error.retry_after(), Some(Duration::from_millis(250)));
    assert_eq!(error.source().unwrap().to_string(), "what lies under it");
    let shown = error.to_string();
    for part in [
        "ConverseStream",
        "us-west-2",
        "ThrottlingException, HTTP 429",
        "attempt 3",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

/// An answer passes as it is: neither rules nor catalogue are asked.
#[tokio::test]
async fn an_answer_passes_untouched() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let layer = ClassifyLayer::new().with_rule(|_| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        None
    });
    let echo = service_fn(|request: Request<&'static str>| async move {
        Ok::<_, RawError>((*request.input(), request.into_parts().1.attempt))
    });
    let mut service = layer.layer(echo);
    let request = Request::new("hello", call());
    let answer = service.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(answer, ("hello", 3));
    assert_eq!(ASKED.load(Ordering::Relaxed), 0);
}

/// What is called finds the layer's rules in its request, for what fails after the answer has begun;
/// of several layers the innermost counts, as it does for other errors.
#[tokio::test]
async fn the_rules_go_along_with_the_call() {
    let rule = |cause| ClassifyLayer::new().with_rule(move |_: &RawError| Some(cause));
    let service = ServiceBuilder::new()
        .layer(rule(Cause::Internal))
        .layer(rule(Cause::ModelOverloaded))
        .service_fn(async |request: Request<&'static str>| {
            let classifier = request.context().classifier.clone().unwrap();
            Ok::<_, RawError>(classifier.cause(&RawError::Answered(Box::new(throttled()))))
        });
    let cause = service
        .oneshot(Request::new("hello", call()))
        .await
        .unwrap();
    assert_eq!(cause, Cause::ModelOverloaded);
}

/// The layer holds nothing back and starts nothing of its own: it is pending as long as the inner
/// service is, and ready with it.
#[test]
fn readiness_and_waiting_are_the_inner_services() {
    let (mut service, mut handle) =
        mock::spawn_with(|inner: mock::Mock<Request<&'static str>, ()>| {
            ClassifyLayer::new().layer(inner)
        });
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());

    let mut future = task::spawn(service.call(Request::new("hello", call())));
    assert_pending!(future.poll());
    let (request, answer) = assert_ready_some(task::spawn(handle.next_request()).poll());
    assert_eq!(*request.input(), "hello");
    answer.send_error(RawError::Answered(Box::new(throttled())));
    let error = assert_ready_err!(future.poll());
    assert_eq!(error.cause(), Cause::TokenRate);
}

fn assert_ready_some<T>(poll: Poll<Option<T>>) -> T {
    match poll {
        Poll::Ready(Some(value)) => value,
        Poll::Ready(None) => panic!("the service was dropped"),
        Poll::Pending => panic!("no request"),
    }
}

struct NeverReady;

impl Service<Request<()>> for NeverReady {
    type Response = ();
    type Error = RawError;
    type Future = std::future::Ready<Result<(), RawError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RawError>> {
        Poll::Ready(Err(RawError::Answered(Box::new(throttled()))))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        panic!("called without being ready")
    }
}

/// An error of the inner service's readiness has its cause too; it belongs to no call.
#[test]
fn an_error_of_readiness_is_classified() {
    let mut service = task::spawn(ClassifyLayer::new().layer(NeverReady));
    let error = assert_ready_err!(service.enter(|cx, service| service.get_mut().poll_ready(cx)));
    assert_eq!(error.cause(), Cause::TokenRate);
    assert_eq!(error.operation(), None);
}

/// An error that has its cause already keeps it and all it tells, also when a middleware has boxed
/// it; only the place is set anew.
#[tokio::test]
async fn a_cause_once_found_stays() {
    let failing = service_fn(|_: Request<()>| async {
        let error = Error::new(Cause::BudgetExhausted).with_message("no room");
        Err::<(), BoxError>(error.into())
    });
    let service = ClassifyLayer::new().layer(failing);
    let error = service.oneshot(Request::new((), call())).await.unwrap_err();
    assert_eq!(error.cause(), Cause::BudgetExhausted);
    assert_eq!(error.message(), Some("no room"));
    assert_eq!(error.attempts(), Some(3));
}

const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLESESSIONTOKEN";

fn refused_signature(message: String) -> ErrorDetails {
    ErrorDetails {
        code: Some("InvalidSignatureException".into()),
        message: Some(message.clone()),
        status: Some(403),
        source: Some(message.into()),
        ..ErrorDetails::default()
    }
}

/// A refused signature is answered with the canonical request, session token included; none of it
/// is shown: not by the error, nor by what lies under it, whatever a rule makes of it.
#[test]
fn a_session_token_is_never_shown() {
    let canonical = format!(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details.\
         \n\nThe Canonical String for this request should have been\n'POST\n/model/x/converse\n\n\
         host:bedrock-runtime.us-east-2.amazonaws.com\nx-amz-security-token:{TOKEN}\n\nhost\n'\n\
         \nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n'\n"
    );
    let on_one_line = canonical.replace('\n', " ");
    let upper = canonical.replace("The Canonical String", "THE CANONICAL STRING");
    let header = format!(
        "Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256 {TOKEN}"
    );
    let bearer = format!("Invalid key=value pair in Authorization header: 'Bearer {TOKEN}'.");
    for message in [canonical, on_one_line, upper, header, bearer] {
        assert!(message.contains(TOKEN));
        for classifier in [
            Classifier::default(),
            Classifier::default().with_rule(|_| Some(Cause::Unknown)),
        ] {
            let raw = RawError::Answered(Box::new(refused_signature(message.clone())));
            let error = classifier.classify(raw).with_context(&call());
            let mut shown = format!("{error} {error:?} {error:#?}");
            let mut source = error.source();
            while let Some(under) = source {
                shown += &format!("{under} {under:?}");
                source = under.source();
            }
            assert!(!shown.contains(TOKEN), "{shown}");
        }
    }
}

/// What is cut is the secret: the sentence before it stays, and so do other messages of any kind.
/// Only where credentials are the matter, no more than a line is told.
#[test]
fn what_is_no_secret_is_kept() {
    let shown = |message: &str| {
        let raw = RawError::Answered(Box::new(refused_signature(message.into())));
        let error = Classifier::default().classify(raw);
        (
            error.message().unwrap().to_owned(),
            error.source().is_some(),
        )
    };
    let sentence = "The request signature we calculated does not match the signature you provided.";
    let told = shown(&format!(
        "{sentence}\n\nThe Canonical String for this request is"
    ));
    assert_eq!(told, (sentence.to_owned(), false));
    let expired = "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z";
    assert_eq!(shown(expired), (expired.to_owned(), true));

    let told = shown("Refused.\nWhat was sent follows");
    assert_eq!(told.0, "Refused.");

    let lines = "first line\nsecond line";
    let raw = super::answered(Some("ValidationException"), Some(400), Some(lines));
    assert_eq!(Classifier::default().classify(raw).message(), Some(lines));
}
