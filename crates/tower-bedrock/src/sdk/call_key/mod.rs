//! The SDK's inputs, as calls are known by them.

mod body;
mod walk;

use std::hash::{Hash, Hasher};

use aws_sdk_bedrockruntime::{
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    types::{self, InferenceConfiguration},
};
use aws_smithy_types::Document;

pub(super) use self::walk::Walk;
use crate::call_key::{InputFacts, KeyedInput};

macro_rules! conversations {
    ($($input:ty;)*) => {
        $(impl KeyedInput for $input {
            fn hash_content<H: Hasher>(&self, state: &mut H) {
                let mut walk = Walk(state);
                walk.conversation(self.messages(), self.system(), self.tool_config());
                if let Some(config) = self.inference_config() {
                    walk.inference_config(config);
                }
                if let Some(fields) = self.additional_model_request_fields() {
                    walk.document(fields);
                }
                if let Some(variables) = self.prompt_variables() {
                    walk.variables(variables);
                }
            }

            fn facts(&self) -> InputFacts {
                let config = self.inference_config();
                let more = self.additional_model_request_fields();
                let is_draft = self
                    .guardrail_config()
                    .is_some_and(|guardrail| is_draft(Some(guardrail.guardrail_version())));
                let names_prompt = self.model_id().is_some_and(|id| id.contains(":prompt/"));
                InputFacts {
                    temperature: config
                        .and_then(InferenceConfiguration::temperature)
                        .filter(|_| more.and_then(|more| field(more, "temperature")).is_none()),
                    has_tools: self.tool_config().is_some()
                        || more.and_then(|more| field(more, "tools")).is_some(),
                    refers_elsewhere: is_draft
                        || names_prompt
                        || self.prompt_variables().is_some()
                        || walk::refers_elsewhere(self.messages()),
                }
            }
        })*
    };
}

conversations! {
    ConverseInput;
    ConverseStreamInput;
}

macro_rules! invocations {
    ($($input:ty;)*) => {
        $(impl KeyedInput for $input {
            fn hash_content<H: Hasher>(&self, state: &mut H) {
                self.body().map(AsRef::<[u8]>::as_ref).hash(state);
            }

            fn facts(&self) -> InputFacts {
                let mut facts = self
                    .body()
                    .map(|body| body::facts(body.as_ref()))
                    .unwrap_or_default();
                facts.refers_elsewhere |= is_draft(self.guardrail_version());
                facts
            }
        })*
    };
}

invocations! {
    InvokeModelInput;
    InvokeModelWithResponseStreamInput;
}

/// What no temperature bears on is repeatable by a rule of one's own only.
impl KeyedInput for CountTokensInput {
    fn hash_content<H: Hasher>(&self, state: &mut H) {
        match self.input() {
            Some(types::CountTokensInput::Converse(input)) => {
                let mut walk = Walk(state);
                walk.conversation(input.messages(), input.system(), input.tool_config());
                if let Some(fields) = input.additional_model_request_fields() {
                    walk.document(fields);
                }
            }
            Some(types::CountTokensInput::InvokeModel(input)) => {
                input.body().as_ref().hash(state);
            }
            _ => {}
        }
    }

    fn facts(&self) -> InputFacts {
        let refers_elsewhere = match self.input() {
            Some(types::CountTokensInput::Converse(input)) => {
                walk::refers_elsewhere(input.messages())
            }
            _ => false,
        };
        InputFacts {
            refers_elsewhere,
            ..InputFacts::default()
        }
    }
}

impl KeyedInput for ApplyGuardrailInput {
    fn hash_content<H: Hasher>(&self, state: &mut H) {
        self.guardrail_identifier().hash(state);
        self.guardrail_version().hash(state);
        let mut walk = Walk(state);
        for block in self.content() {
            walk.guarded(block);
        }
    }

    fn facts(&self) -> InputFacts {
        InputFacts {
            refers_elsewhere: is_draft(self.guardrail_version()),
            ..InputFacts::default()
        }
    }
}

/// A draft changes under its name; a version does not.
fn is_draft(version: Option<&str>) -> bool {
    version.is_some_and(|version| version.eq_ignore_ascii_case("DRAFT"))
}

fn field<'a>(document: &'a Document, name: &str) -> Option<&'a Document> {
    document.as_object()?.get(name)
}
