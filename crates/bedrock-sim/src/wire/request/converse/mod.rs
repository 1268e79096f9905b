//! The body of `Converse`, which Amazon Nova's `InvokeModel` shares (BEDROCK.md §5.2).

mod block;

use serde::Deserialize;
use serde_json::Value;

use self::block::{Block, CachePoint};
use super::{Prompt, Tool, text::Text};
use crate::wire::{
    content::{Collector, Content},
    error::WireError,
};

/// How refusals are worded: `Converse` checks fields itself, Nova's body a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wording {
    Converse,
    Nova,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    #[serde(borrow, default)]
    messages: Vec<Message<'a>>,
    #[serde(borrow, default)]
    system: Vec<Block<'a>>,
    tool_config: Option<ToolConfig>,
    inference_config: Option<InferenceConfig>,
    service_tier: Option<ServiceTier>,
    performance_config: Option<PerformanceConfig>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig {
    tools: Vec<ToolEntry>,
    tool_choice: Option<ToolChoice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolEntry {
    tool_spec: Option<ToolSpec>,
    cache_point: Option<CachePoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolSpec {
    name: String,
    #[serde(default)]
    description: String,
    input_schema: InputSchema,
}

#[derive(Deserialize)]
struct InputSchema {
    #[serde(default)]
    json: Value,
}

#[derive(Deserialize)]
struct ToolChoice {
    any: Option<Value>,
    tool: Option<NamedTool>,
}

#[derive(Deserialize)]
struct NamedTool {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InferenceConfig {
    // Nova's older examples write `max_new_tokens`.
    #[serde(alias = "max_new_tokens")]
    max_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
}

#[derive(Deserialize)]
struct ServiceTier {
    r#type: String,
}

#[derive(Deserialize)]
struct PerformanceConfig {
    latency: Option<String>,
}

// === impl Body ===

impl Body<'_> {
    pub(super) fn check(self, wording: Wording) -> Result<Prompt, WireError> {
        self.check_messages(wording)?;
        if self
            .tool_config
            .as_ref()
            .is_some_and(|c| c.tools.is_empty())
        {
            return Err(constraint(
                "toolConfig.tools",
                "length greater than or equal to 1",
            ));
        }
        let max_tokens = match &self.inference_config {
            Some(config) => config.check(wording)?,
            None => None,
        };
        Ok(Prompt {
            content: self.measure(),
            max_tokens,
            forced_tool: match self.tool_config {
                Some(config) => config.forced()?,
                None => None,
            },
            tier: self.service_tier.map(|tier| tier.r#type),
            latency_mode: self.performance_config.and_then(|config| config.latency),
        })
    }

    /// What `CountTokens` counts, which takes a conversation as it is.
    pub(super) fn into_content(self, wording: Wording) -> Result<Content, WireError> {
        self.check_messages(wording)?;
        Ok(self.measure())
    }

    fn check_messages(&self, wording: Wording) -> Result<(), WireError> {
        let first = self
            .messages
            .iter()
            .find(|message| &*message.role != "system");
        if first.is_none_or(|message| &*message.role != "user") {
            return Err(match (wording, first) {
                (Wording::Nova, None) => WireError::malformed_input(
                    "#/messages: expected minimum item count: 1, found: 0",
                ),
                _ => WireError::validation(
                    "A conversation must start with a user message. Try again with a conversation \
                     that starts with a user message.",
                ),
            });
        }
        for (index, message) in self.messages.iter().enumerate() {
            message.check(index)?;
        }
        Ok(())
    }

    fn measure(&self) -> Content {
        let mut collector = Collector::default();
        if let Some(config) = &self.tool_config {
            config.measure(&mut collector);
        }
        collector.mark("system");
        for block in &self.system {
            block.measure(&mut collector);
        }
        for message in &self.messages {
            collector.mark(&message.role);
            for block in &message.content {
                block.measure(&mut collector);
            }
        }
        collector.finish()
    }
}

impl Message<'_> {
    fn check(&self, index: usize) -> Result<(), WireError> {
        if !matches!(&*self.role, "user" | "assistant" | "system") {
            return Err(WireError::validation(format!(
                "1 validation error detected: Value at 'messages.{}.member.role' failed to satisfy \
                 constraint: Member must satisfy enum value set: [user, assistant]",
                index + 1
            )));
        }
        if self.content.is_empty() {
            return Err(WireError::validation(format!(
                "The content field in the Message object at messages.{index} is empty. Add a \
                 ContentBlock object to the content field and try again."
            )));
        }
        match self.content.iter().position(Block::is_blank_text) {
            Some(block) => Err(WireError::validation(format!(
                "The text field in the ContentBlock object at messages.{index}.content.{block} is \
                 blank. Add text to the text field, and try again."
            ))),
            None => Ok(()),
        }
    }
}

impl ToolConfig {
    fn measure(&self, collector: &mut Collector) {
        for entry in &self.tools {
            if let Some(spec) = &entry.tool_spec {
                collector.text(&spec.name);
                collector.text(&spec.description);
                collector.json(&spec.input_schema.json);
                collector.end_block();
            }
            if let Some(point) = &entry.cache_point {
                collector.cache_point(point.ttl());
            }
        }
    }

    fn forced(self) -> Result<Option<Tool>, WireError> {
        let Some(choice) = self.tool_choice else {
            return Ok(None);
        };
        let mut specs = self.tools.into_iter().filter_map(|entry| entry.tool_spec);
        let spec = match choice.tool {
            Some(named) => Some(specs.find(|spec| spec.name == named.name).ok_or_else(|| {
                WireError::validation(
                    "The toolChoice names a tool that is not in toolConfig.tools.",
                )
            })?),
            None if choice.any.is_some() => specs.next(),
            None => None,
        };
        Ok(spec.map(|spec| Tool {
            name: spec.name,
            schema: spec.input_schema.json,
        }))
    }
}

impl InferenceConfig {
    fn check(&self, wording: Wording) -> Result<Option<u64>, WireError> {
        for (name, value) in [("temperature", self.temperature), ("topP", self.top_p)] {
            match value {
                Some(value) if value < 0.0 => return Err(too_small(wording, name, &value, 0)),
                Some(value) if value > 1.0 => return Err(too_large(wording, name, &value, 1)),
                _ => {}
            }
        }
        match self.max_tokens {
            Some(asked) if asked < 1 => Err(too_small(wording, "maxTokens", &asked, 1)),
            Some(asked) => Ok(Some(asked.unsigned_abs())),
            None => Ok(None),
        }
    }
}

fn too_small(wording: Wording, name: &str, value: &dyn std::fmt::Display, least: u64) -> WireError {
    match wording {
        Wording::Converse => out_of_range(name, value, "greater", least),
        Wording::Nova => WireError::malformed_input(&format!(
            "#/inferenceConfig/{name}: {value} is not greater or equal to {least}"
        )),
    }
}

fn too_large(wording: Wording, name: &str, value: &dyn std::fmt::Display, most: u64) -> WireError {
    match wording {
        Wording::Converse => out_of_range(name, value, "less", most),
        Wording::Nova => WireError::malformed_input(&format!(
            "#/inferenceConfig/{name}: {value} is not less or equal to {most}"
        )),
    }
}

fn out_of_range(name: &str, value: &dyn std::fmt::Display, than: &str, bound: u64) -> WireError {
    WireError::validation(format!(
        "1 validation error detected: Value '{value}' at 'inferenceConfig.{name}' failed to satisfy \
         constraint: Member must have value {than} than or equal to {bound}"
    ))
}

fn constraint(field: &str, constraint: &str) -> WireError {
    WireError::validation(format!(
        "1 validation error detected: Value '[]' at '{field}' failed to satisfy constraint: Member \
         must have {constraint}"
    ))
}
