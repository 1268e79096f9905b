//! What the SDK's events tell.

use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ContentBlockStart, ConverseStreamOutput, ReasoningContentBlockDelta,
    ResponseStream as InvokeModelEvent, TokenUsage, ToolResultBlockDelta,
};

use crate::{
    error::RawError,
    sdk::operation::tier_of,
    stream::{EventFacts, StreamEvent, TokenCounts, wire},
};

impl StreamEvent for ConverseStreamOutput {
    fn facts(&self) -> EventFacts {
        let mut facts = EventFacts {
            has_known_end: true,
            ..EventFacts::default()
        };
        match self {
            Self::ContentBlockStart(event) => {
                facts.is_content = true;
                if let Some(ContentBlockStart::ToolUse(tool)) = event.start() {
                    facts.output_bytes = tool.name().len() as u64;
                }
            }
            Self::ContentBlockDelta(event) => {
                facts.is_content = true;
                facts.output_bytes = event.delta().map_or(0, generated_bytes) as u64;
            }
            Self::ContentBlockStop(_) => facts.is_content = true,
            Self::MessageStop(_) => facts.is_end = true,
            Self::Metadata(event) => {
                facts.counts = event.usage().map(counts_of);
                facts.counts_are_final = true;
                facts.tier = event
                    .service_tier()
                    .map(|tier| tier_of(Some(tier.r#type())));
            }
            _ => {}
        }
        facts
    }
}

impl StreamEvent for InvokeModelEvent {
    fn facts(&self) -> EventFacts {
        match self {
            Self::Chunk(part) => part.bytes().map_or_else(EventFacts::default, |bytes| {
                wire::chunk_facts(bytes.as_ref())
            }),
            _ => EventFacts::default(),
        }
    }

    fn error(&self) -> Option<RawError> {
        match self {
            Self::Chunk(part) => part.bytes().map(|bytes| wire::chunk_error(bytes.as_ref())),
            _ => None,
        }
    }
}

/// The tokens of Converse and of its stream.
pub(in crate::sdk) fn counts_of(usage: &TokenUsage) -> TokenCounts {
    let count = |tokens: i32| u64::try_from(tokens).ok();
    TokenCounts {
        input: count(usage.input_tokens()),
        output: count(usage.output_tokens()),
        cache_read: usage.cache_read_input_tokens().and_then(count),
        cache_write: usage.cache_write_input_tokens().and_then(count),
        total: count(usage.total_tokens()),
    }
}

pub(in crate::sdk) fn generated_bytes(delta: &ContentBlockDelta) -> usize {
    match delta {
        ContentBlockDelta::Text(text) => text.len(),
        ContentBlockDelta::ToolUse(tool) => tool.input().len(),
        ContentBlockDelta::ReasoningContent(ReasoningContentBlockDelta::Text(text)) => text.len(),
        ContentBlockDelta::ToolResult(parts) => parts
            .iter()
            .map(|part| match part {
                ToolResultBlockDelta::Text(text) => text.len(),
                _ => 0,
            })
            .sum(),
        _ => 0,
    }
}
