//! The replies of `InvokeModel` for Anthropic models: their messages API (BEDROCK.md §5.3).

use serde::Serialize;
use serde_json::Value;

use super::{InvocationMetrics, Reply, Step, Took, to_json};
use crate::wire::answer::Answer;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    model: &'a str,
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    content: Vec<Block<'a>>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: Usage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: String,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Input<'a>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Input<'a> {
    Whole(&'a Value),
    /// To be filled by deltas.
    Empty {},
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
}

#[derive(Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart {
        message: Message<'a>,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block<'a>,
    },
    ContentBlockDelta {
        index: u32,
        delta: Delta,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: End,
        usage: OutputUsage,
    },
    MessageStop {
        #[serde(rename = "amazon-bedrock-invocationMetrics")]
        invocation_metrics: InvocationMetrics,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Delta {
    TextDelta { text: String },
    InputJsonDelta { partial_json: String },
}

#[derive(Serialize)]
struct End {
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
}

#[derive(Serialize)]
struct OutputUsage {
    output_tokens: u64,
}

/// An event of the model's own stream.
pub(super) fn event(reply: &Reply, step: Step, took: Took) -> Vec<u8> {
    let answer = &reply.answer;
    to_json(&match step {
        Step::MessageStart => Event::MessageStart {
            message: Message::started(reply),
        },
        Step::BlockStart => Event::ContentBlockStart {
            index: 0,
            content_block: Block::started(answer),
        },
        Step::Delta(index) => Event::ContentBlockDelta {
            index: 0,
            delta: Delta::new(answer, index),
        },
        Step::BlockStop => Event::ContentBlockStop { index: 0 },
        Step::MessageStop => Event::MessageDelta {
            delta: End {
                stop_reason: answer.stop_reason(),
                stop_sequence: None,
            },
            usage: OutputUsage {
                output_tokens: answer.tokens,
            },
        },
        Step::Metadata => Event::MessageStop {
            invocation_metrics: InvocationMetrics::new(reply, took),
        },
    })
}

// === impl Message ===

impl<'a> Message<'a> {
    pub(super) fn new(reply: &'a Reply) -> Self {
        Self {
            content: vec![Block::whole(&reply.answer)],
            stop_reason: Some(reply.answer.stop_reason()),
            usage: Usage::new(reply, reply.answer.tokens),
            ..Self::started(reply)
        }
    }

    /// The message as its stream announces it.
    fn started(reply: &'a Reply) -> Self {
        Self {
            model: &reply.model_id,
            id: &reply.message_id,
            r#type: "message",
            role: "assistant",
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage::new(reply, 0),
        }
    }
}

impl<'a> Block<'a> {
    fn whole(answer: &'a Answer) -> Self {
        match &answer.tool {
            Some(tool) => Self::ToolUse {
                id: &tool.id,
                name: &tool.name,
                input: Input::Whole(&tool.input),
            },
            None => Self::Text {
                text: answer.text(),
            },
        }
    }

    /// The block as its stream announces it, with nothing in it.
    fn started(answer: &'a Answer) -> Self {
        match &answer.tool {
            Some(tool) => Self::ToolUse {
                id: &tool.id,
                name: &tool.name,
                input: Input::Empty {},
            },
            None => Self::Text {
                text: String::new(),
            },
        }
    }
}

impl Delta {
    fn new(answer: &Answer, index: u64) -> Self {
        let piece = answer.delta(index);
        match answer.tool {
            Some(_) => Self::InputJsonDelta {
                partial_json: piece,
            },
            None => Self::TextDelta { text: piece },
        }
    }
}

impl Usage {
    fn new(reply: &Reply, output_tokens: u64) -> Self {
        Self {
            input_tokens: reply.input.plain,
            cache_creation_input_tokens: reply.input.cache_write(),
            cache_read_input_tokens: reply.input.cache_read,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: reply.input.cache_write_5m,
                ephemeral_1h_input_tokens: reply.input.cache_write_1h,
            },
            output_tokens,
        }
    }
}
