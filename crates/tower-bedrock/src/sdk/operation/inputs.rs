//! The inputs of the operations, as the layers see them.

use std::cell::RefCell;

use aws_sdk_bedrockruntime::{
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    types::{self, ServiceTierType},
};

use super::Addressed;
use crate::{
    call::{CallContext, Operation, OperationInput},
    model_id::ModelId,
    route::{Route, ServiceTier},
    sdk::size,
};

/// A context for an input that names `model`. A malformed id leaves the route without a model;
/// sending the call tells what is wrong with it.
fn context(operation: Operation, model: Option<&str>) -> CallContext {
    let route = Route {
        model: model.and_then(parsed),
        ..Route::default()
    };
    CallContext::new(operation, route)
}

thread_local! {
    /// As a rule a program calls the same model again.
    static LAST: RefCell<Option<ModelId>> = const { RefCell::new(None) };
}

fn parsed(id: &str) -> Option<ModelId> {
    LAST.with_borrow_mut(|last| match last {
        Some(model) if model.as_str() == id => Some(model.clone()),
        _ => {
            let model = ModelId::new(id).ok()?;
            Some(last.insert(model).clone())
        }
    })
}

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

/// A tier that this version does not know counts as the default one and is sent as it stands.
pub(in crate::sdk) fn tier_of(tier: Option<&ServiceTierType>) -> ServiceTier {
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
