//! What an InvokeModel body tells of how it will be answered, in the formats of the models' makers.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call_key::InputFacts;

#[derive(Deserialize)]
struct Body<'a> {
    temperature: Option<f32>,
    /// Nova.
    #[serde(rename = "inferenceConfig")]
    inference_config: Option<Settings>,
    /// Titan.
    #[serde(rename = "textGenerationConfig")]
    text_generation_config: Option<Settings>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, rename = "toolConfig")]
    tool_config: Option<&'a RawValue>,
    /// Chat completions, as they once were.
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Settings {
    temperature: Option<f32>,
}

/// Nothing for a body that cannot be read: no rule takes it for repeatable then.
pub(super) fn facts(body: &[u8]) -> InputFacts {
    let Ok(read) = serde_json::from_slice::<Body<'_>>(body) else {
        return InputFacts::default();
    };
    let of_settings = |settings: Option<Settings>| settings?.temperature;
    InputFacts {
        temperature: read
            .temperature
            .or_else(|| of_settings(read.inference_config))
            .or_else(|| of_settings(read.text_generation_config)),
        has_tools: read.tools.is_some() || read.tool_config.is_some() || read.functions.is_some(),
        refers_elsewhere: contains(body, b"s3Location") || contains(body, b"\"url\""),
    }
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    body.windows(wanted.len()).any(|window| window == wanted)
}
