use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder},
    error::{ErrorMetadata, SdkError},
    operation::{
        apply_guardrail::ApplyGuardrailInput,
        converse::{ConverseError, ConverseInput},
        count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
    },
    types::{self, InferenceConfiguration, error::ModelErrorException},
};
use aws_smithy_runtime_api::{
    client::result::ConnectorError,
    http::{Response as HttpResponse, StatusCode},
};
use aws_smithy_types::body::SdkBody;
use tower::ServiceExt;

use super::{
    Bedrock,
    operation::{Addressed, SdkOperation},
};
use crate::{
    Cause, Classifier, Error, ModelId, Operation, OperationInput, RawError, Region, Request, Route,
    ServiceTier,
};

const MODEL: &str = "us.amazon.nova-lite-v1:0";
const SECRET: &str = "the prompt that nobody may see";

type ConverseSdkError = SdkError<ConverseError, HttpResponse>;

fn response(status: u16, headers: &[(&'static str, &'static str)]) -> HttpResponse {
    let status = StatusCode::try_from(status).unwrap();
    let mut response = HttpResponse::new(status, SdkBody::from(SECRET));
    for &(name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}

fn throttled() -> ConverseError {
    let meta = ErrorMetadata::builder()
        .code("ThrottlingException")
        .message("Too many tokens, please wait before trying again.")
        .build();
    ConverseError::generic(meta)
}

fn raw(error: ConverseSdkError) -> RawError {
    error.into()
}

fn message(text: &str) -> types::Message {
    types::Message::builder()
        .role(types::ConversationRole::User)
        .content(types::ContentBlock::Text(text.to_owned()))
        .build()
        .unwrap()
}

/// A service error keeps code, message, status, request id, hint and source; not the body.
#[test]
fn a_service_error_keeps_all_but_the_body() {
    let headers = [("x-amz-retry-after", "1500"), ("x-amzn-requestid", "id-1")];
    let error = raw(SdkError::service_error(
        throttled(),
        response(429, &headers),
    ));
    assert!(matches!(error, RawError::Answered(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains(SECRET));

    let error = Classifier::default().classify(error);
    assert_eq!(error.cause(), Cause::TokenRate);
    assert_eq!(error.code(), Some("ThrottlingException"));
    assert_eq!(error.status(), Some(429));
    assert_eq!(error.request_id(), Some("id-1"));
    assert_eq!(
        error.retry_after(),
        Some(std::time::Duration::from_millis(1500))
    );
    let source = error.source().unwrap();
    assert!(source.downcast_ref::<ConverseError>().is_some());
    assert!(!format!("{error:?} {error} {source:?}").contains(SECRET));
}

/// An answer without a code, as gateways give it, keeps what it says: the SDK itself does not. Both of
/// our ways to its cause read the same.
#[test]
fn an_answer_without_a_code_keeps_its_words() {
    let said = r#"{"message":"Too many tokens, please wait before trying again."}"#;
    let unnamed = |body: &'static str| {
        let response = HttpResponse::new(StatusCode::try_from(429).unwrap(), SdkBody::from(body));
        ConverseSdkError::service_error(ConverseError::unhandled("no code"), response)
    };
    assert_eq!(Cause::of_sdk(&unnamed(said)), Cause::TokenRate);
    let error = Classifier::default().classify(raw(unnamed(said)));
    assert_eq!(error.cause(), Cause::TokenRate);
    assert_eq!(
        error.message(),
        Some("Too many tokens, please wait before trying again.")
    );
    let error = Classifier::default().classify(raw(unnamed("<html>busy</html>")));
    assert_eq!((error.cause(), error.message()), (Cause::Throttled, None));
}

/// The status of the model behind the service is not lost.
#[test]
fn a_model_error_keeps_the_models_own_status() {
    let exception = ModelErrorException::builder()
        .original_status_code(503)
        .message("the model is gone")
        .build();
    let error = ConverseError::ModelErrorException(exception);
    let error = raw(SdkError::service_error(error, response(424, &[])));
    assert_eq!(error.details().unwrap().original_status, Some(503));
}

/// What happened without an answer is told apart: no connection, no answer in time, no credentials,
/// nothing sent, an answer that nobody can read.
#[test]
fn what_is_no_answer_is_told_apart() {
    let text = |text: &'static str| Box::<dyn StdError + Send + Sync>::from(text);
    let connector = |error| raw(SdkError::dispatch_failure(error));

    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let error = connector(ConnectorError::io(refused.into()));
    assert!(matches!(error, RawError::Connect(_)), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");

    let error = connector(ConnectorError::timeout(text(
        "HTTP read timeout occurred after 1s",
    )));
    assert!(matches!(error, RawError::Timeout(_)), "{error:?}");
    let error = connector(ConnectorError::timeout(text(
        "HTTP connect timeout occurred after 1s",
    )));
    assert!(
        matches!(error, RawError::Connect(_)),
        "nothing was sent: {error:?}"
    );
    let error = connector(ConnectorError::user(text("no such scheme")));
    assert!(matches!(error, RawError::NotSent(_)), "{error:?}");
    let error = connector(ConnectorError::other(text("closed"), None));
    assert!(matches!(error, RawError::Connect(_)), "{error:?}");
    let none = CredentialsError::not_loaded("no providers in chain provided credentials");
    let error = connector(ConnectorError::other(none.into(), None));
    assert!(matches!(error, RawError::Credentials(_)), "{error:?}");

    let error = raw(SdkError::timeout_error(text("operation timeout")));
    assert!(matches!(error, RawError::Timeout(_)), "{error:?}");
    let error = raw(SdkError::construction_failure(text("model_id was missing")));
    assert!(matches!(error, RawError::NotSent(_)), "{error:?}");

    // The head of a success, and then not all of its body.
    let error = raw(SdkError::response_error(
        text("broken off"),
        response(200, &[]),
    ));
    assert!(matches!(error, RawError::Connect(_)), "{error:?}");
    assert_eq!(error.details().unwrap().status, Some(200));
    assert!(!format!("{error:?} {error}").contains(SECRET));
    let error = raw(SdkError::response_error(
        text("broken off"),
        response(503, &[]),
    ));
    assert!(matches!(error, RawError::Unreadable(_)), "{error:?}");
}

/// What has a body in it when it is printed is not printed, and not kept.
#[test]
fn what_prints_a_request_is_dropped() {
    let text = format!("failed to apply endpoint to `Request {{ body: SdkBody {{ {SECRET} }} }}`");
    let error = ConnectorError::other(text.into(), None);
    let error = raw(SdkError::dispatch_failure(error));
    assert!(!format!("{error:?} {error}").contains(SECRET), "{error}");
    assert!(error.details().unwrap().source.is_none());
}

/// An error of the SDK that a `?` put into a box is understood all the same.
#[test]
fn a_boxed_sdk_error_is_understood() {
    let error = SdkError::service_error(throttled(), response(429, &[]));
    let boxed: crate::BoxError = Box::new(error);
    assert_eq!(Error::from(boxed).cause(), Cause::TokenRate);
}

/// `Debug` of an error of another type shows what it displays, and no more.
#[test]
fn debug_of_an_unknown_error_shows_what_it_displays() {
    #[derive(Debug)]
    struct Foreign(#[allow(dead_code)] &'static str);
    impl std::fmt::Display for Foreign {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a foreign error")
        }
    }
    impl StdError for Foreign {}
    let raw = RawError::Other(Box::new(Foreign(SECRET)));
    assert_eq!(format!("{raw:?}"), r#"Other("a foreign error")"#);
}

/// Inputs tell the layers what they may know.
#[test]
fn inputs_tell_operation_model_tier_and_tokens() {
    let tier = types::ServiceTier::builder().r#type(types::ServiceTierType::Flex);
    let converse = ConverseInput::builder()
        .model_id(MODEL)
        .inference_config(InferenceConfiguration::builder().max_tokens(512).build())
        .service_tier(tier.build().unwrap())
        .build()
        .unwrap();
    let call = converse.call_context();
    assert_eq!(call.operation, Operation::Converse);
    assert_eq!(call.route.model, Some(MODEL.parse().unwrap()));
    assert_eq!(call.route.tier, ServiceTier::Flex);
    assert_eq!(call.tokens.max_output, Some(512));
    assert_eq!((call.attempt, call.deadline), (1, None));

    let invoke = InvokeModelInput::builder()
        .model_id(MODEL)
        .service_tier(types::ServiceTierType::Priority)
        .body(r#"{"prompt":"hello","max_gen_len":77}"#.as_bytes().to_vec().into())
        .build()
        .unwrap();
    let call = invoke.call_context();
    assert_eq!(call.operation, Operation::InvokeModel);
    assert_eq!(call.tokens.max_output, Some(77));
    assert_eq!(call.tokens.size.text_bytes, 5);
    assert_eq!(call.route.tier, ServiceTier::Priority);

    let count = CountTokensInput::builder().model_id(MODEL).build().unwrap();
    assert_eq!(count.call_context().operation, Operation::CountTokens);
    let guardrail = ApplyGuardrailInput::builder().build().unwrap();
    let call = guardrail.call_context();
    assert_eq!(call.operation, Operation::ApplyGuardrail);
    assert_eq!(call.route, Route::default());
}

/// The route decides where an input goes; everything else of it stays as it was.
#[test]
fn a_route_readdresses_an_input() {
    let input = ConverseInput::builder()
        .model_id(MODEL)
        .messages(message("hello"))
        .build()
        .unwrap();
    let other: ModelId = "eu.amazon.nova-pro-v1:0".parse().unwrap();
    let request =
        Request::from(input.clone()).with_route(Route::to(other).on_tier(ServiceTier::Priority));
    let routed = Addressed::routed(&request);
    assert_eq!(routed.model_id(), Some("eu.amazon.nova-pro-v1:0"));
    assert_eq!(
        routed.service_tier().unwrap().r#type(),
        &types::ServiceTierType::Priority
    );
    assert_eq!(routed.messages(), input.messages());

    let unchanged = Addressed::routed(&Request::from(input.clone()));
    assert_eq!(unchanged, input);
}

/// A bound on the output that a layer sets is sent; one that the caller set stays.
#[test]
fn a_bound_on_the_output_is_sent() {
    use crate::BedrockRequest;

    let config = InferenceConfiguration::builder().temperature(0.5).build();
    let unbounded = ConverseInput::builder()
        .model_id(MODEL)
        .inference_config(config);
    let mut request = Request::from(unbounded.build().unwrap());
    assert!(request.set_max_output_tokens(512));
    let sent = Addressed::routed(&request);
    let config = sent.inference_config().unwrap();
    assert_eq!(
        (config.max_tokens(), config.temperature()),
        (Some(512), Some(0.5))
    );

    let bounded = InferenceConfiguration::builder().max_tokens(100).build();
    let input = ConverseInput::builder()
        .inference_config(bounded)
        .build()
        .unwrap();
    let sent = Addressed::routed(&Request::from(input));
    assert_eq!(sent.inference_config().unwrap().max_tokens(), Some(100));
}

/// A tier that this version does not know is sent as the caller wrote it.
#[test]
fn an_unknown_tier_is_left_alone() {
    let input = InvokeModelInput::builder()
        .model_id(MODEL)
        .service_tier(types::ServiceTierType::from("express"))
        .build()
        .unwrap();
    assert_eq!(Addressed::routed(&Request::from(input.clone())), input);
}

async fn refused<Op>(bedrock: Bedrock, input: Op) -> Error
where
    Op: SdkOperation,
    Op::Response: std::fmt::Debug,
{
    let error = bedrock.oneshot(Request::from(input)).await.unwrap_err();
    assert!(matches!(error, RawError::NotSent(_)), "{error:?}");
    Classifier::default().classify(error)
}

/// What cannot be sent is refused before anything is sent, with the reason.
#[tokio::test]
async fn bad_input_is_refused_before_it_is_sent() {
    let config = || Builder::new().behavior_version(BehaviorVersion::latest());
    let somewhere = || {
        let region = aws_sdk_bedrockruntime::config::Region::new("us-east-1");
        Bedrock::from_builder(config().region(region))
    };
    let named = |id: &str| ConverseInput::builder().model_id(id).build().unwrap();

    let error = refused(somewhere(), ConverseInput::builder().build().unwrap()).await;
    assert_eq!(error.cause(), Cause::InvalidRequest);
    assert!(error.to_string().contains("names no model"), "{error}");
    let error = refused(somewhere(), named("amazon nova")).await;
    assert!(error.to_string().contains("' ' at byte 6"), "{error}");
    let error = refused(somewhere(), named("")).await;
    assert!(error.to_string().contains("empty"), "{error}");
    let error = refused(Bedrock::from_builder(config()), named(MODEL)).await;
    assert!(error.to_string().contains("no region"), "{error}");
}

/// A configuration that nobody has loaded is enough to begin with.
#[tokio::test]
async fn an_empty_configuration_is_no_reason_to_panic() {
    let bedrock = Bedrock::new(&aws_types::SdkConfig::builder().build());
    assert_eq!(bedrock.home_region(), None);
}

/// A client is made once per region and shared by all clones.
#[test]
fn clients_are_made_once_per_region() {
    let region = aws_sdk_bedrockruntime::config::Region::new("us-east-1");
    let config = Builder::new().behavior_version(BehaviorVersion::latest());
    let bedrock = Bedrock::from_builder(config.region(region));
    assert_eq!(bedrock.home_region(), Some(&Region::new("us-east-1")));
    for name in ["us-east-1", "us-west-2", "us-west-2", "eu-west-1"] {
        let region = Region::new(name);
        let client = bedrock.clone().client(Some(&region)).unwrap();
        assert_eq!(client.config().region().unwrap().as_ref(), name);
    }
    assert_eq!(bedrock.regions_made(), 2, "beside the home region");
}

/// Regions without end make no end of clients; those that are called have the right one at any time.
#[test]
fn regions_without_end_make_a_bounded_number_of_clients() {
    let region = aws_sdk_bedrockruntime::config::Region::new("us-east-1");
    let config = Builder::new().behavior_version(BehaviorVersion::latest());
    let bedrock = Bedrock::from_builder(config.region(region));
    for number in 0..200 {
        for name in ["us-west-2".to_owned(), format!("us-east-{number}")] {
            let client = bedrock.client(Some(&Region::new(name.clone()))).unwrap();
            assert_eq!(client.config().region().unwrap().as_ref(), name);
        }
        let made = bedrock.regions_made();
        assert!(made <= 64, "{made} clients");
    }
}

/// `Debug` of what a user may log shows no prompt.
#[test]
fn debug_shows_no_prompt() {
    let input = ConverseInput::builder()
        .model_id(MODEL)
        .messages(message(SECRET))
        .build()
        .unwrap();
    let request = Request::from(input);
    let shown = format!("{request:?}");
    assert!(shown.contains(MODEL) && !shown.contains(SECRET), "{shown}");
}

/// Services can be shared between threads and their futures sent to other ones.
#[test]
fn services_are_shareable_and_futures_sendable() {
    fn shareable<T: Clone + Send + Sync + 'static>() {}
    fn sendable<T: Send + 'static>() {}
    shareable::<Bedrock>();
    sendable::<super::future::ResponseFuture<()>>();
}
