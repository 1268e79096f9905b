use std::{fmt, future::Future};

use aws_sdk_bedrockruntime::{
    Client,
    operation::{
        RequestId,
        apply_guardrail::{ApplyGuardrailInput, ApplyGuardrailOutput},
        converse::{ConverseInput, ConverseOutput},
        count_tokens::{CountTokensInput, CountTokensOutput},
        invoke_model::{InvokeModelInput, InvokeModelOutput},
    },
    types::{self, ServiceTierType},
};

use super::{
    error::before_sending,
    intercept::{SendInput, Sight},
    size,
};
use crate::{
    call::{BedrockRequest, CallContext, Operation, OperationInput, Request},
    error::{ErrorDetails, RawError},
    model_id::ModelId,
    reply::{BedrockResponse, Response, Served, Usage},
    route::{Route, ServiceTier},
};

/// An operation that [`Bedrock`](crate::Bedrock) can send, by its input type.
///
/// Implemented for the SDK's own input types: Converse, InvokeModel, CountTokens and ApplyGuardrail.
/// It cannot be implemented elsewhere.
pub trait SdkOperation: OperationInput + Addressed {
    /// What the operation answers.
    type Response: BedrockResponse + Send + 'static;

    #[doc(hidden)]
    fn send(
        client: Client,
        request: Request<Self>,
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
    fn usage(&self) -> Option<Usage>;
    fn tier(&self) -> Option<ServiceTier>;
}

macro_rules! operations {
    ($($operation:ident: $method:ident, $input:ty => $output:ty;)*) => {
        $(impl SdkOperation for $input {
            type Response = Response<$output>;

            async fn send(
                client: Client,
                request: Request<Self>,
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

fn whole<Out: Metered + RequestId>(output: Out, call: CallContext, sight: &Sight) -> Response<Out> {
    let mut served = Served {
        attempts: call.attempt,
        request_id: output.request_id().map(str::to_owned),
        route: call.route,
        ..Served::default()
    };
    served.route.tier = output.tier().unwrap_or(served.route.tier);
    let usage = output.usage().or_else(|| sight.usage());
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

fn max_tokens(input: &ConverseInput) -> Option<u32> {
    u32::try_from(input.inference_config()?.max_tokens()?).ok()
}

impl OperationInput for ConverseInput {
    fn call_context(&self) -> CallContext {
        let mut call = context(Operation::Converse, self.model_id());
        call.route.tier = tier_of(self.service_tier().map(types::ServiceTier::r#type));
        call.tokens.max_output = max_tokens(self);
        call.tokens.size =
            size::of_conversation(self.messages(), self.system(), self.tool_config());
        call
    }
}

impl Addressed for ConverseInput {
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
        if max_tokens(self) != Some(tokens) {
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
            .set_additional_model_request_fields(self.additional_model_request_fields.clone())
            .build();
        Some(types::CountTokensInput::Converse(request))
    }
}

impl OperationInput for InvokeModelInput {
    fn call_context(&self) -> CallContext {
        let mut call = context(Operation::InvokeModel, self.model_id());
        call.route.tier = tier_of(self.service_tier());
        if let Some(body) = self.body() {
            (call.tokens.size, call.tokens.max_output) = size::of_body(body.as_ref());
        }
        call
    }
}

impl Addressed for InvokeModelInput {
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
    fn usage(&self) -> Option<Usage> {
        let usage = self.usage()?;
        let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
        Some(Usage {
            input: count(usage.input_tokens()),
            output: count(usage.output_tokens()),
            cache_read: count(usage.cache_read_input_tokens().unwrap_or(0)),
            cache_write: count(usage.cache_write_input_tokens().unwrap_or(0)),
        })
    }

    fn tier(&self) -> Option<ServiceTier> {
        let tier = self.service_tier()?;
        Some(tier_of(Some(tier.r#type())))
    }
}

impl Metered for InvokeModelOutput {
    fn usage(&self) -> Option<Usage> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        self.service_tier().map(|tier| tier_of(Some(tier)))
    }
}

impl Metered for CountTokensOutput {
    fn usage(&self) -> Option<Usage> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        None
    }
}

impl Metered for ApplyGuardrailOutput {
    fn usage(&self) -> Option<Usage> {
        None
    }

    fn tier(&self) -> Option<ServiceTier> {
        None
    }
}

/// A tier that this version does not know counts as the default one and is sent as it stands.
fn tier_of(tier: Option<&ServiceTierType>) -> ServiceTier {
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
