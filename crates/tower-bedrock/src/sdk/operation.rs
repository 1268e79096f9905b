use std::{fmt, future::Future};

use aws_sdk_bedrockruntime::{
    Client,
    operation::{
        RequestId,
        apply_guardrail::{ApplyGuardrailInput, ApplyGuardrailOutput},
        converse::{ConverseInput, ConverseOutput},
        converse_stream::ConverseStreamInput,
        count_tokens::{CountTokensInput, CountTokensOutput},
        invoke_model::{InvokeModelInput, InvokeModelOutput},
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    types::{self, ServiceTierType},
};

use super::{
    error::before_sending,
    intercept::{SendInput, Sight},
    size,
    stream::{Opened, StreamOptions, counts_of},
};
use tokio::time::Instant;

use crate::{
    call::{BedrockRequest, CallContext, Operation, OperationInput, Request},
    error::{ErrorDetails, RawError},
    model_id::ModelId,
    reply::{BedrockResponse, Response, Served},
    route::{Route, ServiceTier},
    stream::{ResponseStream, TokenCounts},
};

/// An operation that [`Bedrock`](crate::Bedrock) can send, by its input type.
///
/// Implemented for the SDK's own input types: Converse and InvokeModel, whole and as streams,
/// CountTokens and ApplyGuardrail. It cannot be implemented elsewhere.
pub trait SdkOperation: OperationInput + Addressed {
    /// What the operation answers.
    type Response: BedrockResponse + Send + 'static;

    #[doc(hidden)]
    fn send(
        client: Client,
        request: Request<Self>,
        streams: StreamOptions,
    ) -> impl Future<Output = Result<Self::Response, RawError>> + Send + 'static;
}

/// An input as the layers address it. Not nameable outside of the crate, so that operations can gain
/// abilities.
#[allow(unnameable_types)]
pub trait Addressed: fmt::Debug + Clone + Send + Sync + Sized + 'static {
    /// The model id as the caller gave it; `None` for operations that have no model.
    fn model_id(&self) -> Option<&str>;

    /// Sends the input where `route` says, as far as the operation has a model and a tier.
    fn set_route(&mut self, route: &Route);

    /// Has the input generate at most `tokens`, as far as the operation says so itself.
    fn set_max_output_tokens(&mut self, _: u32) {}

    /// The same input as CountTokens takes it; `None` for operations that generate nothing.
    fn to_be_counted(&self) -> Option<types::CountTokensInput> {
        None
    }

    /// A clone of the input as the request's context says: to its route, with its bounds.
    fn routed(request: &Request<Self>) -> Self {
        let mut input = request.input().clone();
        let call = request.context();
        input.set_route(&call.route);
        if let Some(tokens) = call.tokens.max_output {
            input.set_max_output_tokens(tokens);
        }
        input
    }
}

/// What an output tells beside its content.
trait Metered {
    fn counts(&self) -> Option<TokenCounts>;
    fn tier(&self) -> Option<ServiceTier>;
}

macro_rules! operations {
    ($($operation:ident: $method:ident, $input:ty => $output:ty;)*) => {
        $(impl SdkOperation for $input {
            type Response = Response<$output>;

            async fn send(
                client: Client,
                request: Request<Self>,
                _: StreamOptions,
            ) -> Result<Self::Response, RawError> {
                check(&request)?;
                let call = request.context().clone();
                let sight = Sight::default();
                let sent = client
                    .$method()
                    .customize()
                    .interceptor(SendInput(request))
                    .interceptor(sight.clone())
                    .send()
                    .await;
                match sent {
                    Ok(output) => Ok(whole(output, call, &sight)),
                    Err(error) => Err(failed(error.into(), call, &sight)),
                }
            }
        })*
    };
}

operations! {
    Converse: converse, ConverseInput => ConverseOutput;
    InvokeModel: invoke_model, InvokeModelInput => InvokeModelOutput;
    CountTokens: count_tokens, CountTokensInput => CountTokensOutput;
    ApplyGuardrail: apply_guardrail, ApplyGuardrailInput => ApplyGuardrailOutput;
}

macro_rules! streams {
    ($($operation:ident: $method:ident, $input:ty => $event:ty, |$output:ident| $opened:expr;)*) => {
        $(impl SdkOperation for $input {
            type Response = ResponseStream<$event>;

            async fn send(
                client: Client,
                request: Request<Self>,
                streams: StreamOptions,
            ) -> Result<Self::Response, RawError> {
                check(&request)?;
                let mut call = request.context().clone();
                let sight = Sight::default();
                let sent = Instant::now();
                let head = client
                    .$method()
                    .customize()
                    .interceptor(SendInput(request))
                    .interceptor(sight.clone())
                    .send();
                let $output = match streams.head(sent, head).await {
                    Ok(Ok(output)) => output,
                    Ok(Err(error)) => return Err(failed(error.into(), call, &sight)),
                    Err(stalled) => return Err(failed(stalled.into(), call, &sight)),
                };
                let opened = $opened;
                call.route.tier = opened.tier.unwrap_or(call.route.tier);
                streams.answered(sent, opened, call).await
            }
        })*
    };
}

streams! {
    ConverseStream: converse_stream, ConverseStreamInput => types::ConverseStreamOutput, |output| Opened {
        request_id: output.request_id().map(str::to_owned),
        tier: None,
        receiver: output.stream,
    };
    InvokeModelWithResponseStream: invoke_model_with_response_stream,
        InvokeModelWithResponseStreamInput => types::ResponseStream, |output| Opened {
        request_id: output.request_id().map(str::to_owned),
        tier: output.service_tier().map(|tier| tier_of(Some(tier))),
        receiver: output.body,
    };
}

fn whole<Out: Metered + RequestId>(output: Out, call: CallContext, sight: &Sight) -> Response<Out> {
    let mut served = Served {
        attempts: call.attempt,
        request_id: output.request_id().map(str::to_owned),
        route: call.route,
        ..Served::default()
    };
    served.route.tier = output.tier().unwrap_or(served.route.tier);
    let counts = output.counts().or_else(|| sight.counts());
    let usage = counts.and_then(|counts| counts.usage(served.route.model.as_ref()));
    Response::new(output, served, usage)
}

fn failed(error: RawError, call: CallContext, sight: &Sight) -> RawError {
    let mut error = if sight.is_sent() {
        error
    } else {
        before_sending(error)
    };
    if let Some(details) = error.details_mut() {
        details.route = Some(call.route);
    }
    error
}

/// Refuses what could not be sent, with a clearer reason than the service would give.
fn check<Op: SdkOperation>(request: &Request<Op>) -> Result<(), RawError> {
    let call = request.context();
    if call.route.model.is_some() || call.operation == Operation::ApplyGuardrail {
        return Ok(());
    }
    match request.input().model_id() {
        None => Err(not_sent("the request names no model: set its model id")),
        Some(id) => match ModelId::new(id) {
            Ok(_) => Err(not_sent(
                "the request's route names no model: name one, or leave the route of the input",
            )),
            Err(invalid) => Err(not_sent(invalid.to_string())),
        },
    }
}

/// An error for what was wrong before anything was sent.
pub(super) fn not_sent(message: impl Into<String>) -> RawError {
    RawError::NotSent(Box::new(ErrorDetails {
        message: Some(message.into()),
        ..ErrorDetails::default()
    }))
}

/// A context for an input that names `model`. A malformed id leaves the route without a model;
/// sending the call tells what is wrong with it.
fn context(operation: Operation, model: Option<&str>) -> CallContext {
    let route = Route {
        model: model.and_then(|id| ModelId::new(id).ok()),
        ..Route::default()
    };
    CallContext::new(operation, route)
}

// === the operations ===

/// A conversation, whole and as a stream: the inputs have the same fields, and no common trait.
macro_rules! conversations {
    ($($operation:ident: $input:ty;)*) => {
        $(impl OperationInput for $input {
            fn call_context(&self) -> CallContext {
                let mut call = context(Operation::$operation, self.model_id());
                call.route.tier = tier_of(self.service_tier().map(types::ServiceTier::r#type));
                call.tokens.max_output = max_tokens(self.inference_config());
                call.tokens.size =
                    size::of_conversation(self.messages(), self.system(), self.tool_config());
                call
            }
        }

        impl Addressed for $input {
            fn model_id(&self) -> Option<&str> {
                self.model_id()
            }

            fn set_route(&mut self, route: &Route) {
                self.model_id = route.model.as_ref().map(ToString::to_string);
                if tier_of(self.service_tier().map(types::ServiceTier::r#type)) != route.tier {
                    let tier = types::ServiceTier::builder().r#type(type_of(route.tier));
                    self.service_tier = tier.build().ok();
                }
            }

            fn set_max_output_tokens(&mut self, tokens: u32) {
                if max_tokens(self.inference_config()) != Some(tokens) {
                    let config = self.inference_config.take();
                    let mut config =
                        config.unwrap_or_else(|| types::InferenceConfiguration::builder().build());
                    config.max_tokens = Some(i32::try_from(tokens).unwrap_or(i32::MAX));
                    self.inference_config = Some(config);
                }
            }

            fn to_be_counted(&self) -> Option<types::CountTokensInput> {
                let request = types::ConverseTokensRequest::builder()
                    .set_messages(self.messages.clone())
                    .set_system(self.system.clone())
                    .set_tool_config(self.tool_config.clone())
                    .set_additional_model_request_fields(
                        self.additional_model_request_fields.clone(),
                    )
                    .build();
                Some(types::CountTokensInput::Converse(request))
            }
        })*
    };
}

conversations! {
    Converse: ConverseInput;
    ConverseStream: ConverseStreamInput;
}

fn max_tokens(config: Option<&types::InferenceConfiguration>) -> Option<u32> {
    u32::try_from(config?.max_tokens()?).ok()
}

/// A body in the model's own format, answered whole and as a stream.
macro_rules! invocations {
    ($($operation:ident: $input:ty;)*) => {
        $(impl OperationInput for $input {
            fn call_context(&self) -> CallContext {
                let mut call = context(Operation::$operation, self.model_id());
                call.route.tier = tier_of(self.service_tier());
                if let Some(body) = self.body() {
                    (call.tokens.size, call.tokens.max_output) = size::of_body(body.as_ref());
                }
                call
            }
        }

        impl Addressed for $input {
            fn model_id(&self) -> Option<&str> {
                self.model_id()
            }

            fn set_route(&mut self, route: &Route) {
                self.model_id = route.model.as_ref().map(ToString::to_string);
                if tier_of(self.service_tier()) != route.tier {
                    self.service_tier = Some(type_of(route.tier));
                }
            }

            fn to_be_counted(&self) -> Option<types::CountTokensInput> {
                let request = types::InvokeModelTokensRequest::builder()
                    .set_body(self.body.clone())
                    .build();
                request.ok().map(types::CountTokensInput::InvokeModel)
            }
        })*
    };
}

invocations! {
    InvokeModel: InvokeModelInput;
    InvokeModelWithResponseStream: InvokeModelWithResponseStreamInput;
}

impl OperationInput for CountTokensInput {
    fn call_context(&self) -> CallContext {
        context(Operation::CountTokens, self.model_id())
    }
}

impl Addressed for CountTokensInput {
    fn model_id(&self) -> Option<&str> {
        self.model_id()
    }

    fn set_route(&mut self, route: &Route) {
        self.model_id = route.model.as_ref().map(ToString::to_string);
    }
}

impl OperationInput for ApplyGuardrailInput {
    fn call_context(&self) -> CallContext {
        context(Operation::ApplyGuardrail, None)
    }
}

impl Addressed for ApplyGuardrailInput {
    fn model_id(&self) -> Option<&str> {
        None
    }

    fn set_route(&mut self, _: &Route) {}
}

impl Metered for ConverseOutput {
    fn counts(&self) -> Option<TokenCounts> {
        self.usage().map(counts_of)
    }

    fn tier(&self) -> Option<ServiceTier> {
        let tier = self.service_tier()?;
        Some(tier_of(Some(tier.r#type())))
    }
}

impl Metered for InvokeModelOutput {
    fn counts(&self) -> Option<TokenCounts> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        self.service_tier().map(|tier| tier_of(Some(tier)))
    }
}

impl Metered for CountTokensOutput {
    fn counts(&self) -> Option<TokenCounts> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        None
    }
}

impl Metered for ApplyGuardrailOutput {
    fn counts(&self) -> Option<TokenCounts> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        None
    }
}

/// A tier that this version does not know counts as the default one and is sent as it stands.
pub(super) fn tier_of(tier: Option<&ServiceTierType>) -> ServiceTier {
    match tier {
        Some(ServiceTierType::Priority) => ServiceTier::Priority,
        Some(ServiceTierType::Flex) => ServiceTier::Flex,
        Some(ServiceTierType::Reserved) => ServiceTier::Reserved,
        _ => ServiceTier::Default,
    }
}

const fn type_of(tier: ServiceTier) -> ServiceTierType {
    match tier {
        ServiceTier::Default => ServiceTierType::Default,
        ServiceTier::Priority => ServiceTierType::Priority,
        ServiceTier::Flex => ServiceTierType::Flex,
        ServiceTier::Reserved => ServiceTierType::Reserved,
    }
}
