//! Replies: the bodies and events that answer a request, in its format.

mod anthropic;
mod converse;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{answer::Answer, cache::InputTokens, request::Dialect};

/// A whole reply, before it is written.
pub(crate) struct Reply {
    pub(crate) dialect: Dialect,
    /// Whether a stream of it wraps the model's own events in `chunk`s.
    pub(crate) model_id: String,
    /// The id of the message, where the format has one.
    pub(crate) message_id: String,
    pub(crate) input: InputTokens,
    pub(crate) answer: Answer,
    /// `serviceTier`, repeated from the request.
    pub(crate) tier: Option<String>,
    /// `performanceConfig.latency`, repeated from the request.
    pub(crate) latency_mode: Option<String>,
}

/// An event of a stream, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    MessageStart,
    BlockStart,
    /// A delta, counted from 0.
    Delta(u64),
    BlockStop,
    MessageStop,
    Metadata,
}

/// How long a reply took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    pub(crate) to_first_token: Duration,
    pub(crate) total: Duration,
}

impl Took {
    pub(crate) fn latency_ms(self) -> u64 {
        millis(self.total)
    }
}

impl Reply {
    /// The body of a reply that is not streamed.
    pub(crate) fn body(&self, took: Took) -> Vec<u8> {
        match self.dialect {
            Dialect::Converse => to_json(&converse::Body::new(self, took)),
            Dialect::Nova => to_json(&converse::NovaBody::new(self)),
            Dialect::Anthropic => to_json(&anthropic::Message::new(self)),
        }
    }

    /// The step after this one, in a stream of this reply.
    pub(crate) fn step_after(&self, step: Step) -> Option<Step> {
        let deltas = self.answer.deltas();
        Some(match step {
            Step::MessageStart if self.announces_block() => Step::BlockStart,
            Step::MessageStart | Step::BlockStart => Step::Delta(0),
            Step::Delta(index) if index + 1 < deltas => Step::Delta(index + 1),
            Step::Delta(_) => Step::BlockStop,
            Step::BlockStop => Step::MessageStop,
            Step::MessageStop => Step::Metadata,
            Step::Metadata => return None,
        })
    }

    /// `contentBlockStart` is left out for text (BEDROCK.md §5.3), but not by Anthropic.
    fn announces_block(&self) -> bool {
        self.dialect == Dialect::Anthropic || self.answer.tool.is_some()
    }

    /// The name and payload of an event.
    pub(crate) fn event(&self, step: Step, took: Took) -> (&'static str, Vec<u8>) {
        let own_event = match self.dialect {
            Dialect::Converse => return converse::event(self, step, took),
            Dialect::Nova => converse::nova_event(self, step, took),
            Dialect::Anthropic => anthropic::event(self, step, took),
        };
        let chunk = Chunk {
            bytes: STANDARD.encode(own_event),
        };
        ("chunk", to_json(&chunk))
    }

    fn total_tokens(&self) -> u64 {
        self.input.total().saturating_add(self.answer.tokens)
    }
}

/// The payload of a `chunk` event.
#[derive(Serialize)]
struct Chunk {
    bytes: String,
}

/// What Bedrock adds to the last chunk of a model's stream (BEDROCK.md §5.3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InvocationMetrics {
    input_token_count: u64,
    output_token_count: u64,
    invocation_latency: u64,
    first_byte_latency: u64,
    cache_read_input_token_count: u64,
    cache_write_input_token_count: u64,
}

impl InvocationMetrics {
    fn new(reply: &Reply, took: Took) -> Self {
        Self {
            input_token_count: reply.input.plain,
            output_token_count: reply.answer.tokens,
            invocation_latency: took.latency_ms(),
            first_byte_latency: millis(took.to_first_token),
            cache_read_input_token_count: reply.input.cache_read,
            cache_write_input_token_count: reply.input.cache_write(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Writes JSON. Nothing that is written here can fail: no maps but of strings, no foreign types.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
