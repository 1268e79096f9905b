//! The body of `InvokeModel` for Anthropic models: their messages API (BEDROCK.md §5.2).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Prompt, Tool,
    text::{Text, TextOrBlocks},
};
use crate::wire::{
    cache::{DEFAULT_TTL, LONG_TTL},
    content::{Collector, Content},
    error::WireError,
};

#[derive(Deserialize)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    anthropic_version: Option<Text<'a>>,
    max_tokens: Option<i64>,
    #[serde(borrow)]
    system: Option<TextOrBlocks<'a, Block<'a>>>,
    #[serde(borrow, default)]
    messages: Vec<Message<'a>>,
    #[serde(default)]
    tools: Vec<ToolEntry>,
    tool_choice: Option<ToolChoice>,
    temperature: Option<f64>,
    top_p: Option<f64>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow)]
    content: TextOrBlocks<'a, Block<'a>>,
}

/// A content block of any type: the fields that have a weight, and what marks a cache point.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<Source<'a>>,
    name: Option<String>,
    input: Option<Value>,
    #[serde(borrow)]
    content: Option<TextOrBlocks<'a, Self>>,
    cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct CacheControl {
    ttl: Option<String>,
}

#[derive(Deserialize)]
struct ToolEntry {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    input_schema: Value,
    cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
struct ToolChoice {
    r#type: String,
    name: Option<String>,
}

// === impl Body ===

impl Body<'_> {
    pub(super) fn check(self) -> Result<Prompt, WireError> {
        let max_tokens = self.check_fields()?;
        self.check_messages()?;
        Ok(Prompt {
            content: self.measure(),
            max_tokens: Some(max_tokens),
            forced_tool: self.forced()?,
            ..Prompt::default()
        })
    }

    /// What `CountTokens` counts, which asks for a body that could be sent.
    pub(super) fn into_content(self) -> Result<Content, WireError> {
        self.check_fields()?;
        self.check_messages()?;
        Ok(self.measure())
    }

    fn check_fields(&self) -> Result<u64, WireError> {
        if self.anthropic_version.is_none() {
            return Err(WireError::validation("anthropic_version: Field required"));
        }
        let Some(max_tokens) = self.max_tokens else {
            return Err(WireError::validation("max_tokens: Field required"));
        };
        for (name, value) in [("temperature", self.temperature), ("top_p", self.top_p)] {
            if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                return Err(WireError::validation(format!("{name}: range: 0..1")));
            }
        }
        match u64::try_from(max_tokens) {
            Ok(max_tokens) if max_tokens >= 1 => Ok(max_tokens),
            _ => Err(WireError::validation(
                "max_tokens: must be greater than or equal to 1",
            )),
        }
    }

    fn check_messages(&self) -> Result<(), WireError> {
        let Some(first) = self.messages.first() else {
            return Err(WireError::validation(
                "messages: at least one message is required",
            ));
        };
        if &*first.role != "user" {
            return Err(WireError::validation(
                "messages: first message must use the \"user\" role",
            ));
        }
        for (index, message) in self.messages.iter().enumerate() {
            message.check(index)?;
        }
        Ok(())
    }

    fn measure(&self) -> Content {
        let mut collector = Collector::default();
        for tool in &self.tools {
            collector.text(&tool.name);
            collector.text(&tool.description);
            collector.json(&tool.input_schema);
            collector.end_block();
            if let Some(control) = &tool.cache_control {
                collector.cache_point(control.ttl());
            }
        }
        collector.mark("system");
        if let Some(system) = &self.system {
            measure(system, &mut collector);
        }
        for message in &self.messages {
            collector.mark(&message.role);
            measure(&message.content, &mut collector);
        }
        collector.finish()
    }

    fn forced(self) -> Result<Option<Tool>, WireError> {
        let Some(choice) = self.tool_choice else {
            return Ok(None);
        };
        let mut tools = self.tools.into_iter();
        let tool = match (choice.r#type.as_str(), choice.name) {
            ("tool", Some(name)) => {
                Some(tools.find(|tool| tool.name == name).ok_or_else(|| {
                    WireError::validation("tool_choice: the named tool is not in tools")
                })?)
            }
            ("any", _) => tools.next(),
            _ => None,
        };
        Ok(tool.map(|tool| Tool {
            name: tool.name,
            schema: tool.input_schema,
        }))
    }
}

impl Message<'_> {
    fn check(&self, index: usize) -> Result<(), WireError> {
        if !matches!(&*self.role, "user" | "assistant") {
            return Err(WireError::validation(format!(
                "messages.{index}.role: Input should be 'user' or 'assistant'"
            )));
        }
        match &self.content {
            TextOrBlocks::Text(text) => check_text(text),
            TextOrBlocks::Blocks(blocks) if blocks.is_empty() => check_text(""),
            TextOrBlocks::Blocks(blocks) => blocks
                .iter()
                .filter(|block| &*block.r#type == "text")
                .try_for_each(|block| check_text(block.text.as_ref().map_or("", |text| text))),
        }
    }
}

fn check_text(text: &str) -> Result<(), WireError> {
    if text.is_empty() {
        Err(WireError::validation(
            "messages: text content blocks must be non-empty",
        ))
    } else if text.trim().is_empty() {
        Err(WireError::validation(
            "messages: text content blocks must contain non-whitespace text",
        ))
    } else {
        Ok(())
    }
}

impl Block<'_> {
    fn measure_content(&self, collector: &mut Collector) {
        for text in [&self.text, &self.thinking].into_iter().flatten() {
            collector.text(text);
        }
        if let Some(source) = &self.source {
            let data = source.data.as_ref().map_or("", |data| data);
            let is_text = source.r#type.as_ref().is_some_and(|kind| &**kind == "text");
            match (&*self.r#type, is_text) {
                ("image", _) => collector.image(data),
                (_, true) => collector.text(data),
                (_, false) => collector.document(data),
            }
        }
        if let Some(name) = &self.name {
            collector.text(name);
        }
        if let Some(input) = &self.input {
            collector.json(input);
        }
        match &self.content {
            Some(TextOrBlocks::Text(text)) => collector.text(text),
            Some(TextOrBlocks::Blocks(blocks)) => {
                for block in blocks {
                    block.measure_content(collector);
                }
            }
            None => {}
        }
    }
}

impl CacheControl {
    fn ttl(&self) -> Duration {
        match self.ttl.as_deref() {
            Some("1h") => LONG_TTL,
            _ => DEFAULT_TTL,
        }
    }
}

fn measure(content: &TextOrBlocks<'_, Block<'_>>, collector: &mut Collector) {
    match content {
        TextOrBlocks::Text(text) => {
            collector.text(text);
            collector.end_block();
        }
        TextOrBlocks::Blocks(blocks) => {
            for block in blocks {
                block.measure_content(collector);
                collector.end_block();
                if let Some(control) = &block.cache_control {
                    collector.cache_point(control.ttl());
                }
            }
        }
    }
}
