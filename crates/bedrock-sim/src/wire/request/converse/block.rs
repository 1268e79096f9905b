//! Content blocks, and what they weigh.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::wire::{
    cache::{DEFAULT_TTL, LONG_TTL},
    content::Collector,
    request::text::Text,
};

/// A content block: a union, of which one member is there. Unknown members count nothing.
///
/// All members but text are boxed, for only one of them is ever there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    image: Option<Box<Media<'a>>>,
    #[serde(borrow)]
    video: Option<Box<Media<'a>>>,
    #[serde(borrow)]
    document: Option<Box<Media<'a>>>,
    tool_use: Option<Box<ToolUse>>,
    #[serde(borrow)]
    tool_result: Option<Box<ToolResult<'a>>>,
    json: Option<Box<Value>>,
    #[serde(borrow)]
    guard_content: Option<Box<GuardContent<'a>>>,
    #[serde(borrow)]
    reasoning_content: Option<Box<ReasoningContent<'a>>>,
    cache_point: Option<Box<CachePoint>>,
}

// The largest body can consist of eight million empty blocks, which have to fit into memory.
const _: () = assert!(size_of::<Block<'_>>() <= 96);

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow)]
    source: Option<Source<'a>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    bytes: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ToolUse {
    name: String,
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize)]
struct ToolResult<'a> {
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct GuardContent<'a> {
    #[serde(borrow)]
    text: Option<GuardText<'a>>,
    #[serde(borrow)]
    image: Option<Media<'a>>,
}

#[derive(Deserialize)]
struct GuardText<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningContent<'a> {
    #[serde(borrow)]
    reasoning_text: Option<GuardText<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CachePoint {
    ttl: Option<String>,
}

impl Block<'_> {
    pub(super) fn is_blank_text(&self) -> bool {
        let text = self.text.as_ref();
        text.is_some_and(|text| text.trim().is_empty())
    }

    pub(super) fn measure(&self, collector: &mut Collector) {
        if let Some(point) = &self.cache_point {
            collector.cache_point(point.ttl());
            return;
        }
        self.measure_content(collector);
        collector.end_block();
    }

    fn measure_content(&self, collector: &mut Collector) {
        if let Some(text) = &self.text {
            collector.text(text);
        }
        for media in [&self.image, &self.video].into_iter().flatten() {
            media.measure_image(collector);
        }
        if let Some(document) = &self.document {
            document.measure_document(collector);
        }
        if let Some(call) = &self.tool_use {
            collector.text(&call.name);
            collector.json(&call.input);
        }
        if let Some(result) = &self.tool_result {
            for block in &result.content {
                block.measure_content(collector);
            }
        }
        if let Some(json) = &self.json {
            collector.json(json);
        }
        if let Some(guarded) = &self.guard_content {
            if let Some(text) = &guarded.text {
                collector.text(&text.text);
            }
            if let Some(image) = &guarded.image {
                image.measure_image(collector);
            }
        }
        let reasoning = self.reasoning_content.as_ref();
        if let Some(text) = reasoning.and_then(|reasoning| reasoning.reasoning_text.as_ref()) {
            collector.text(&text.text);
        }
    }
}

impl Media<'_> {
    fn measure_image(&self, collector: &mut Collector) {
        let bytes = self
            .source
            .as_ref()
            .and_then(|source| source.bytes.as_ref());
        collector.image(bytes.map_or("", |bytes| bytes));
    }

    fn measure_document(&self, collector: &mut Collector) {
        let Some(source) = &self.source else { return };
        if let Some(bytes) = &source.bytes {
            collector.document(bytes);
        }
        if let Some(text) = &source.text {
            collector.text(text);
        }
    }
}

impl CachePoint {
    pub(super) fn ttl(&self) -> Duration {
        match self.ttl.as_deref() {
            Some("1h") => LONG_TTL,
            _ => DEFAULT_TTL,
        }
    }
}
