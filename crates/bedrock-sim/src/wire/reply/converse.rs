//! The replies of `Converse`, and of Amazon Nova's `InvokeModel`, which shares their shapes
//! (BEDROCK.md §1.3, §5.2, §5.3).

use serde::Serialize;
use serde_json::Value;

use super::{InvocationMetrics, Reply, Step, Took, to_json};
use crate::wire::answer::Answer;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    output: Output<'a>,
    stop_reason: &'static str,
    #[serde(flatten)]
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NovaBody<'a> {
    output: Output<'a>,
    stop_reason: &'static str,
    usage: NovaUsage,
}

#[derive(Serialize)]
struct Output<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: [Block<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Block<'a> {
    Text(String),
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: &'a str,
        name: &'a str,
        input: &'a Value,
    },
}

/// An event. `ConverseStream` names it in the frame, Nova's own stream in the JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Event<'a> {
    MessageStart(MessageStart),
    ContentBlockStart(ContentBlockStart<'a>),
    ContentBlockDelta(ContentBlockDelta),
    ContentBlockStop(ContentBlockStop),
    MessageStop(MessageStop),
}

#[derive(Serialize)]
struct MessageStart {
    role: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContentBlockStart<'a> {
    content_block_index: u32,
    start: Start<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContentBlockDelta {
    content_block_index: u32,
    delta: Delta,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContentBlockStop {
    content_block_index: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop {
    stop_reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_use: Option<ToolUseStart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseStart<'a> {
    tool_use_id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Delta {
    Text(String),
    ToolUse { input: String },
}

/// The end of a `Converse` reply, and the last event of its stream.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    usage: Usage,
    metrics: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_config: Option<PerformanceConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<ServiceTier<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_tokens: u64,
    cache_write_input_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_details: Vec<CacheDetail>,
}

/// What was written to the cache, by how long it is kept.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: &'static str,
    input_tokens: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    latency_ms: u64,
}

#[derive(Serialize)]
struct PerformanceConfig<'a> {
    latency: &'a str,
}

#[derive(Serialize)]
struct ServiceTier<'a> {
    r#type: &'a str,
}

/// The last event of Nova's own stream.
#[derive(Serialize)]
struct NovaEnd {
    metadata: NovaMetadata,
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    invocation_metrics: InvocationMetrics,
}

#[derive(Serialize)]
struct NovaMetadata {
    usage: NovaUsage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaUsage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    cache_read_input_token_count: u64,
    cache_write_input_token_count: u64,
}

/// The name and payload of an event of `ConverseStream`.
pub(super) fn event(reply: &Reply, step: Step, took: Took) -> (&'static str, Vec<u8>) {
    match Event::new(&reply.answer, step) {
        Some(Event::MessageStart(event)) => ("messageStart", to_json(&event)),
        Some(Event::ContentBlockStart(event)) => ("contentBlockStart", to_json(&event)),
        Some(Event::ContentBlockDelta(event)) => ("contentBlockDelta", to_json(&event)),
        Some(Event::ContentBlockStop(event)) => ("contentBlockStop", to_json(&event)),
        Some(Event::MessageStop(event)) => ("messageStop", to_json(&event)),
        None => ("metadata", to_json(&Metadata::new(reply, took))),
    }
}

/// An event of Nova's own stream.
pub(super) fn nova_event(reply: &Reply, step: Step, took: Took) -> Vec<u8> {
    match Event::new(&reply.answer, step) {
        Some(event) => to_json(&event),
        None => to_json(&NovaEnd {
            metadata: NovaMetadata {
                usage: NovaUsage::new(reply),
            },
            invocation_metrics: InvocationMetrics::new(reply, took),
        }),
    }
}

// === impl Body ===

impl<'a> Body<'a> {
    pub(super) fn new(reply: &'a Reply, took: Took) -> Self {
        Self {
            output: Output::new(&reply.answer),
            stop_reason: reply.answer.stop_reason(),
            metadata: Metadata::new(reply, took),
        }
    }
}

impl<'a> NovaBody<'a> {
    pub(super) fn new(reply: &'a Reply) -> Self {
        Self {
            output: Output::new(&reply.answer),
            stop_reason: reply.answer.stop_reason(),
            usage: NovaUsage::new(reply),
        }
    }
}

impl<'a> Output<'a> {
    fn new(answer: &'a Answer) -> Self {
        let block = match &answer.tool {
            Some(tool) => Block::ToolUse {
                tool_use_id: &tool.id,
                name: &tool.name,
                input: &tool.input,
            },
            None => Block::Text(answer.text()),
        };
        Self {
            message: Message {
                role: "assistant",
                content: [block],
            },
        }
    }
}

// === impl Event ===

impl<'a> Event<'a> {
    /// The event of a step; `None` for the last, in which the formats differ.
    fn new(answer: &'a Answer, step: Step) -> Option<Self> {
        Some(match step {
            Step::MessageStart => Self::MessageStart(MessageStart { role: "assistant" }),
            Step::BlockStart => Self::ContentBlockStart(ContentBlockStart {
                content_block_index: 0,
                start: Start {
                    tool_use: answer.tool.as_ref().map(|tool| ToolUseStart {
                        tool_use_id: &tool.id,
                        name: &tool.name,
                    }),
                },
            }),
            Step::Delta(index) => Self::ContentBlockDelta(ContentBlockDelta {
                content_block_index: 0,
                delta: Delta::new(answer, index),
            }),
            Step::BlockStop => Self::ContentBlockStop(ContentBlockStop {
                content_block_index: 0,
            }),
            Step::MessageStop => Self::MessageStop(MessageStop {
                stop_reason: answer.stop_reason(),
            }),
            Step::Metadata => return None,
        })
    }
}

impl Delta {
    fn new(answer: &Answer, index: u64) -> Self {
        let piece = answer.delta(index);
        match answer.tool {
            Some(_) => Self::ToolUse { input: piece },
            None => Self::Text(piece),
        }
    }
}

// === impl Metadata ===

impl<'a> Metadata<'a> {
    fn new(reply: &'a Reply, took: Took) -> Self {
        Self {
            usage: Usage::new(reply),
            metrics: Metrics {
                latency_ms: took.latency_ms(),
            },
            performance_config: reply
                .latency_mode
                .as_deref()
                .map(|latency| PerformanceConfig { latency }),
            service_tier: reply
                .tier
                .as_deref()
                .map(|tier| ServiceTier { r#type: tier }),
        }
    }
}

impl Usage {
    fn new(reply: &Reply) -> Self {
        let input = reply.input;
        let written = [("5m", input.cache_write_5m), ("1h", input.cache_write_1h)];
        Self {
            input_tokens: input.plain,
            output_tokens: reply.answer.tokens,
            total_tokens: reply.total_tokens(),
            cache_read_input_tokens: input.cache_read,
            cache_write_input_tokens: input.cache_write(),
            cache_details: written
                .into_iter()
                .filter(|&(_, input_tokens)| input_tokens > 0)
                .map(|(ttl, input_tokens)| CacheDetail { ttl, input_tokens })
                .collect(),
        }
    }
}

impl NovaUsage {
    fn new(reply: &Reply) -> Self {
        Self {
            input_tokens: reply.input.plain,
            output_tokens: reply.answer.tokens,
            total_tokens: reply.total_tokens(),
            cache_read_input_token_count: reply.input.cache_read,
            cache_write_input_token_count: reply.input.cache_write(),
        }
    }
}
