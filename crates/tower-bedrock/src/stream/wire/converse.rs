//! The events of ConverseStream (BEDROCK.md §5.3). Nova's own stream has them too, each under its
//! name.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::facts::{EventFacts, TokenCounts};
use crate::route::ServiceTier;

pub(super) fn facts(event_type: &str, payload: &[u8]) -> EventFacts {
    let mut facts = EventFacts {
        has_known_end: true,
        ..EventFacts::default()
    };
    match event_type {
        "contentBlockStart" | "contentBlockStop" => facts.is_content = true,
        "contentBlockDelta" => {
            facts.is_content = true;
            let delta = serde_json::from_slice::<ContentBlockDelta<'_>>(payload);
            facts.output_bytes = delta.map_or(0, |event| event.bytes());
        }
        "messageStop" => facts.is_end = true,
        "metadata" => {
            let metadata = serde_json::from_slice::<Metadata<'_>>(payload).unwrap_or_default();
            facts.counts = metadata.usage.map(Into::into);
            facts.counts_are_final = true;
            facts.tier = metadata.service_tier.and_then(|tier| tier_of(tier.r#type));
        }
        _ => {}
    }
    facts
}

#[derive(Deserialize)]
pub(super) struct ContentBlockDelta<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
}

#[derive(Deserialize)]
struct ToolUse<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_text: Option<ReasoningText<'a>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    usage: Option<Usage>,
    #[serde(borrow)]
    service_tier: Option<Tier<'a>>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow)]
    r#type: &'a str,
}

/// The tokens of `metadata`. InvokeModel streams of Nova have the caches under longer names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    #[serde(alias = "cacheReadInputTokenCount")]
    cache_read_input_tokens: Option<u64>,
    #[serde(alias = "cacheWriteInputTokenCount")]
    cache_write_input_tokens: Option<u64>,
}

impl<'a> ContentBlockDelta<'a> {
    pub(super) fn text(&self) -> Option<&'a RawValue> {
        self.delta.as_ref()?.text
    }

    pub(super) fn bytes(&self) -> u64 {
        let Some(delta) = &self.delta else {
            return 0;
        };
        let reasoning = delta.reasoning_content.as_ref();
        [
            delta.text,
            delta.tool_use.as_ref().and_then(|tool| tool.input),
            reasoning.and_then(|reasoning| reasoning.text),
            reasoning
                .and_then(|reasoning| reasoning.reasoning_text.as_ref())
                .and_then(|reasoning| reasoning.text),
        ]
        .into_iter()
        .flatten()
        .map(text_bytes)
        .sum()
    }
}

impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input_tokens,
            output: usage.output_tokens,
            cache_read: usage.cache_read_input_tokens,
            cache_write: usage.cache_write_input_tokens,
            total: usage.total_tokens,
        }
    }
}

/// How long a JSON string is in UTF-8, without making it: an escape counts as the one byte that
/// most stand for. What is no string counts as it is written.
pub(super) fn text_bytes(value: &RawValue) -> u64 {
    let json = value.get();
    let Some(text) = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return json.len() as u64;
    };
    let mut bytes = 0;
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        // `\n` is two bytes on the wire, `\u00e9` six.
        let skipped = match (first, tail.first()) {
            (b'\\', Some(b'u')) => 5,
            (b'\\', Some(_)) => 1,
            _ => 0,
        };
        rest = tail.get(skipped..).unwrap_or_default();
        bytes += 1;
    }
    bytes
}

fn tier_of(tier: &str) -> Option<ServiceTier> {
    [
        ServiceTier::Default,
        ServiceTier::Priority,
        ServiceTier::Flex,
        ServiceTier::Reserved,
    ]
    .into_iter()
    .find(|known| known.as_str() == tier)
}
