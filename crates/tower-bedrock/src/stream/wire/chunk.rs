//! The chunks of InvokeModelWithResponseStream, in the formats of the models' makers.
//!
//! | format | its end | its counts |
//! |---|---|---|
//! | Anthropic messages | `message_stop` | input in `message_start`, output in `message_delta` |
//! | Anthropic text | `stop_reason` | – |
//! | Nova | `messageStop` | `metadata` |
//! | Llama | `stop_reason` | `prompt_token_count`, `generation_token_count` |
//! | Mistral text | `outputs[].stop_reason` | – |
//! | chat completions (Mistral, OpenAI, AI21, DeepSeek, Qwen) | `choices[].finish_reason` or `stop_reason` | `usage` |
//! | Cohere Command | `is_finished`, `generations[].finish_reason` | – |
//! | Titan text | `completionReason` | `inputTextTokenCount`, `totalOutputTextTokenCount` |
//!
//! In every format Bedrock adds `amazon-bedrock-invocationMetrics` to the last chunk (BEDROCK.md
//! §5.3): it ends a stream whatever its format, and has the counts. A format that is not in the table
//! ends with it, or when the connection is closed in good order.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    super::facts::{EventFacts, TokenCounts},
    converse::{self, ContentBlockDelta, text_bytes},
};

/// What a chunk tells: the bytes that are in it, without Base64.
pub(crate) fn facts(chunk: &[u8]) -> EventFacts {
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(chunk) else {
        return EventFacts {
            is_content: true,
            output_bytes: chunk.len() as u64,
            ..EventFacts::default()
        };
    };
    if chunk.error.is_some() {
        return EventFacts {
            is_error: true,
            ..known()
        };
    }
    let mut facts = chunk
        .anthropic()
        .or_else(|| chunk.nova())
        .or_else(|| chunk.llama())
        .or_else(|| chunk.completion())
        .or_else(|| chunk.cohere())
        .or_else(|| chunk.titan())
        .unwrap_or(EventFacts {
            is_content: chunk.metrics.is_none(),
            ..EventFacts::default()
        });
    if let Some(metrics) = chunk.metrics {
        facts.is_end = true;
        facts.counts_are_final = true;
        facts.counts = Some(metrics.into());
    }
    facts
}

/// The text of the answer that is in a chunk.
pub(crate) fn text(chunk: &[u8]) -> Option<String> {
    let chunk = serde_json::from_slice::<Chunk<'_>>(chunk).ok()?;
    let of_choice = parse::<Choices<'_>>(chunk.choices()).and_then(|choices| choices.text);
    let of_cohere = chunk.text.filter(|_| chunk.is_finished == Some(false));
    let of_nova = parse::<ContentBlockDelta<'_>>(chunk.content_block_delta);
    let text = parse::<Delta<'_>>(chunk.delta)
        .and_then(|delta| delta.text)
        .or_else(|| of_nova?.text())
        .or(chunk.generation)
        .or(chunk.completion)
        .or(of_choice)
        .or(of_cohere)
        .or(chunk.output_text);
    serde_json::from_str(text?.get()).ok()
}

/// A chunk of any format: no two of them call different things by one name in one place.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Option<InvocationMetrics>,
    /// Anthropic's messages, and chat completions.
    #[serde(borrow)]
    error: Option<&'a RawValue>,

    // Anthropic's messages.
    #[serde(borrow)]
    r#type: Option<&'a str>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    /// Anthropic, and chat completions.
    #[serde(borrow)]
    usage: Option<&'a RawValue>,

    // Nova.
    #[serde(borrow, rename = "messageStart")]
    message_start: Option<&'a RawValue>,
    #[serde(borrow, rename = "contentBlockStart")]
    content_block_start: Option<&'a RawValue>,
    #[serde(borrow, rename = "contentBlockDelta")]
    content_block_delta: Option<&'a RawValue>,
    #[serde(borrow, rename = "contentBlockStop")]
    content_block_stop: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageStop")]
    message_stop: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,

    // Llama, and Anthropic's text.
    #[serde(borrow)]
    generation: Option<&'a RawValue>,
    #[serde(borrow)]
    completion: Option<&'a RawValue>,
    prompt_token_count: Option<u64>,
    generation_token_count: Option<u64>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,

    // Mistral, chat completions, Cohere.
    #[serde(borrow)]
    outputs: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    generations: Option<&'a RawValue>,

    // Cohere.
    is_finished: Option<bool>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,

    // Titan.
    #[serde(borrow, rename = "outputText")]
    output_text: Option<&'a RawValue>,
    #[serde(borrow, rename = "completionReason")]
    completion_reason: Option<&'a RawValue>,
    #[serde(rename = "inputTextTokenCount")]
    input_text_token_count: Option<u64>,
    #[serde(rename = "totalOutputTextTokenCount")]
    total_output_text_token_count: Option<u64>,
}

/// What Bedrock adds to the last chunk.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvocationMetrics {
    input_token_count: Option<u64>,
    output_token_count: Option<u64>,
    cache_read_input_token_count: Option<u64>,
    cache_write_input_token_count: Option<u64>,
}

/// The usage of Anthropic's format and of chat completions.
#[derive(Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
    output_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

/// What holds usage: Anthropic's first message, Nova's metadata.
#[derive(Deserialize)]
struct Holder<U> {
    usage: Option<U>,
}

/// What a delta may hold: text, a tool's arguments, what the model thinks.
#[derive(Default, Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    message: Option<Delta<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

/// What the choices of a chunk come to. There is one in almost every event: none is kept.
#[derive(Default)]
struct Choices<'a> {
    bytes: u64,
    has_end: bool,
    /// That of the first.
    text: Option<&'a RawValue>,
}

impl<'a> Chunk<'a> {
    fn choices(&self) -> Option<&'a RawValue> {
        self.outputs.or(self.choices).or(self.generations)
    }

    fn anthropic(&self) -> Option<EventFacts> {
        let mut facts = known();
        match self.r#type? {
            "message_start" => {
                let message = parse::<Holder<Usage>>(self.message);
                let usage = message.and_then(|message| message.usage);
                // What it says of the output is a beginning, not a count.
                facts.counts = usage.map(|usage| TokenCounts {
                    output: None,
                    ..usage.into()
                });
            }
            "ping" => {}
            "content_block_start" | "content_block_stop" => {
                facts.is_content = true;
            }
            "content_block_delta" => {
                facts.is_content = true;
                facts.output_bytes =
                    parse::<Delta<'_>>(self.delta).map_or(0, |delta| delta.bytes());
            }
            "message_delta" => facts.counts = parse::<Usage>(self.usage).map(Into::into),
            "message_stop" => facts.is_end = true,
            _ => return None,
        }
        Some(facts)
    }

    fn nova(&self) -> Option<EventFacts> {
        let mut facts = known();
        if let Some(metadata) = parse::<Holder<converse::Usage>>(self.metadata) {
            facts.counts = metadata.usage.map(Into::into);
            facts.counts_are_final = true;
        } else if self.message_stop.is_some() {
            facts.is_end = true;
        } else if let Some(delta) = self.content_block_delta {
            facts.is_content = true;
            facts.output_bytes =
                parse::<ContentBlockDelta<'_>>(Some(delta)).map_or(0, |delta| delta.bytes());
        } else if self.content_block_start.is_some() || self.content_block_stop.is_some() {
            facts.is_content = true;
        } else {
            self.message_start?;
        }
        Some(facts)
    }

    fn llama(&self) -> Option<EventFacts> {
        let generation = self.generation.or(self.completion)?;
        Some(EventFacts {
            is_content: true,
            output_bytes: text_bytes(generation),
            is_end: self.stop_reason.is_some(),
            counts: Some(TokenCounts {
                input: self.prompt_token_count,
                output: self.generation_token_count,
                ..TokenCounts::default()
            }),
            ..known()
        })
    }

    /// Completions of text and chats. The counts may come in a chunk of their own after the last
    /// choice.
    fn completion(&self) -> Option<EventFacts> {
        let choices: Choices<'_> = parse(self.choices())?;
        Some(EventFacts {
            is_content: choices.bytes > 0,
            output_bytes: choices.bytes,
            is_end: choices.has_end,
            counts: parse::<Usage>(self.usage).map(Into::into),
            ..known()
        })
    }

    fn cohere(&self) -> Option<EventFacts> {
        let is_end = self.is_finished?;
        Some(EventFacts {
            is_content: true,
            // The last event repeats the whole text.
            output_bytes: self.text.filter(|_| !is_end).map_or(0, text_bytes),
            is_end,
            ..known()
        })
    }

    fn titan(&self) -> Option<EventFacts> {
        Some(EventFacts {
            is_content: true,
            output_bytes: text_bytes(self.output_text?),
            is_end: self.completion_reason.is_some(),
            counts: Some(TokenCounts {
                input: self.input_text_token_count,
                output: self.total_output_text_token_count,
                ..TokenCounts::default()
            }),
            ..known()
        })
    }
}

/// A part of a chunk; `None` if it is of another form than the format has.
fn parse<'a, T: Deserialize<'a>>(part: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(part?.get()).ok()
}

/// An event of a format in the table.
fn known() -> EventFacts {
    EventFacts {
        has_known_end: true,
        ..EventFacts::default()
    }
}

impl Delta<'_> {
    fn bytes(&self) -> u64 {
        [
            self.text,
            self.partial_json,
            self.thinking,
            self.content,
            self.reasoning,
            self.reasoning_content,
            self.tool_calls,
        ]
        .into_iter()
        .flatten()
        .map(text_bytes)
        .sum()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum<'a>(PhantomData<Choices<'a>>);

        impl<'de: 'a, 'a> Visitor<'de> for Sum<'a> {
            type Value = Choices<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut choices: A) -> Result<Self::Value, A::Error> {
                let mut sum = Choices::default();
                let mut is_first = true;
                while let Some(choice) = choices.next_element::<Choice<'a>>()? {
                    sum.bytes += choice.bytes();
                    sum.has_end |= choice.is_end();
                    if std::mem::take(&mut is_first) {
                        sum.text = choice.into_text();
                    }
                }
                Ok(sum)
            }
        }

        deserializer.deserialize_seq(Sum(PhantomData))
    }
}

impl<'a> Choice<'a> {
    fn into_text(self) -> Option<&'a RawValue> {
        let delta = self.delta.or(self.message);
        self.text.or_else(|| delta?.content)
    }

    fn bytes(&self) -> u64 {
        let delta = self.delta.as_ref().or(self.message.as_ref());
        delta.map_or(0, Delta::bytes) + self.text.map_or(0, text_bytes)
    }

    const fn is_end(&self) -> bool {
        self.stop_reason.is_some() || self.finish_reason.is_some()
    }
}

impl From<InvocationMetrics> for TokenCounts {
    fn from(metrics: InvocationMetrics) -> Self {
        Self {
            input: metrics.input_token_count,
            output: metrics.output_token_count,
            cache_read: metrics.cache_read_input_token_count,
            cache_write: metrics.cache_write_input_token_count,
            total: None,
        }
    }
}

impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        let details = usage.prompt_tokens_details;
        let cached = details.and_then(|details| details.cached_tokens);
        Self {
            input: usage.input_tokens.or(usage.prompt_tokens),
            output: usage.output_tokens.or(usage.completion_tokens),
            cache_read: usage.cache_read_input_tokens.or(cached),
            cache_write: usage.cache_creation_input_tokens,
            total: usage.total_tokens,
        }
    }
}
