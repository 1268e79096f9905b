//! What the tests share: scenarios, inputs, and stacks over the simulator.

pub mod face;
pub mod gauges;
pub mod pending;
pub mod probe;
pub mod sigv4;
pub mod verifying;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder, Region},
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    primitives::Blob,
    types::{
        self, ContentBlock, ConversationRole, ConverseTokensRequest, GuardrailContentBlock,
        GuardrailContentSource, GuardrailTextBlock, InferenceConfiguration, Message,
    },
};
use bedrock_sim::{
    ErrorText, FaultSpec, ModelSpec, Scenario, ScenarioBuilder, SimHttpClient, SimService,
};
use tower_bedrock::Cause;

/// The model of most tests.
pub const MODEL: &str = "us.amazon.nova-lite-v1:0";
/// A Claude, which speaks a format of its own.
pub const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
/// The region of most tests.
pub const REGION: &str = "us-east-1";
/// A prompt that must not show up anywhere.
pub const PROMPT: &str = "the prompt that nobody may see";

/// What Bedrock is known to say when it fails, and the cause of each.
pub const KNOWN_ERRORS: [(ErrorText, Cause); 20] = [
    (ErrorText::TokensPerDay, Cause::TokensPerDay),
    (ErrorText::TokensPerMinute, Cause::TokenRate),
    (ErrorText::RequestsPerMinute, Cause::RequestRate),
    (ErrorText::RequestsPerMinuteLong, Cause::RequestRate),
    (ErrorText::RequestRate, Cause::RequestRate),
    (ErrorText::Overloaded, Cause::ModelOverloaded),
    (ErrorText::ModelNotReady, Cause::ModelNotReady),
    (ErrorText::TooManyConnections, Cause::CapacityExceeded),
    (ErrorText::ServiceUnavailable, Cause::ServiceUnavailable),
    (ErrorText::UnableToProcess, Cause::ServiceUnavailable),
    (ErrorText::ModelThrottled, Cause::ServiceUnavailable),
    (ErrorText::InternalServer, Cause::Internal),
    (ErrorText::ModelTimeout, Cause::ModelTimeout),
    (ErrorText::ModelError, Cause::ModelFailed),
    (ErrorText::ServiceQuota, Cause::AccountLimit),
    (ErrorText::ProfileRequired, Cause::ProfileRequired),
    (ErrorText::UnknownModel, Cause::NotFound),
    (ErrorText::InputTooLong, Cause::ContextTooLong),
    (ErrorText::MaxTokensTooLarge, Cause::InvalidRequest),
    (ErrorText::DataRetention, Cause::InvalidRequest),
];

/// A scenario with [`MODEL`] in [`REGION`] that answers at once.
pub fn scenario() -> ScenarioBuilder {
    Scenario::builder().seed(7).model(model())
}

/// [`MODEL`] in [`REGION`], answering at once.
#[must_use]
pub fn model() -> ModelSpec {
    ModelSpec::new(MODEL).regions([REGION]).output_tokens(20)
}

/// A Bedrock in process whose calls of [`MODEL`] meet `fault`.
#[must_use]
pub fn faulty(fault: FaultSpec) -> SimService {
    SimService::new(scenario().fault(fault).build().expect("a valid scenario"))
}

/// A configuration of the SDK for a simulator in process.
#[must_use]
pub fn in_process(bedrock: &SimService) -> Builder {
    // The host of the URL is never looked up.
    config("http://simulator.invalid").http_client(SimHttpClient::new(bedrock.clone()))
}

/// A configuration of the SDK for a simulator behind `url`.
#[must_use]
pub fn config(url: impl Into<String>) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
}

/// A message of the user's.
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn message(text: &str) -> Message {
    Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text.to_owned()))
        .build()
        .expect("role and content are set")
}

/// A Converse call of `model`.
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn converse(model: &str) -> ConverseInput {
    ConverseInput::builder()
        .model_id(model)
        .messages(message(PROMPT))
        .inference_config(InferenceConfiguration::builder().max_tokens(100).build())
        .build()
        .expect("no field is required")
}

/// A ConverseStream call of `model`.
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn converse_stream(model: &str) -> ConverseStreamInput {
    ConverseStreamInput::builder()
        .model_id(model)
        .messages(message(PROMPT))
        .inference_config(InferenceConfiguration::builder().max_tokens(100).build())
        .build()
        .expect("no field is required")
}

/// An InvokeModelWithResponseStream call of [`MODEL`].
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn invoke_stream() -> InvokeModelWithResponseStreamInput {
    InvokeModelWithResponseStreamInput::builder()
        .model_id(MODEL)
        .body(Blob::new(invoke_body()))
        .content_type("application/json")
        .build()
        .expect("no field is required")
}

/// An InvokeModelWithResponseStream call of [`CLAUDE`].
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn invoke_claude_stream() -> InvokeModelWithResponseStreamInput {
    let body = format!(
        r#"{{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#
    );
    InvokeModelWithResponseStreamInput::builder()
        .model_id(CLAUDE)
        .body(Blob::new(body))
        .content_type("application/json")
        .build()
        .expect("no field is required")
}

fn invoke_body() -> String {
    format!(
        r#"{{"messages":[{{"role":"user","content":[{{"text":"{PROMPT}"}}]}}],"inferenceConfig":{{"maxTokens":100}}}}"#
    )
}

/// An InvokeModel call of [`MODEL`].
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn invoke() -> InvokeModelInput {
    InvokeModelInput::builder()
        .model_id(MODEL)
        .body(Blob::new(invoke_body()))
        .content_type("application/json")
        .build()
        .expect("no field is required")
}

/// A CountTokens call for what [`converse`] sends.
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn count_tokens() -> CountTokensInput {
    let request = ConverseTokensRequest::builder()
        .messages(message(PROMPT))
        .build();
    CountTokensInput::builder()
        .model_id(MODEL)
        .input(types::CountTokensInput::Converse(request))
        .build()
        .expect("no field is required")
}

/// An ApplyGuardrail call.
///
/// # Panics
///
/// Never: all required fields are there.
#[must_use]
pub fn apply_guardrail() -> ApplyGuardrailInput {
    let text = GuardrailTextBlock::builder().text(PROMPT).build();
    ApplyGuardrailInput::builder()
        .guardrail_identifier("gr1234567890")
        .guardrail_version("1")
        .source(GuardrailContentSource::Input)
        .content(GuardrailContentBlock::Text(text.expect("text is set")))
        .build()
        .expect("no field is required")
}
