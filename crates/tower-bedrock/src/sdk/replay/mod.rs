//! The SDK's outputs and events, as they are kept and given again.

mod stop;

use std::hash::Hasher;

use aws_sdk_bedrockruntime::{
    operation::{
        apply_guardrail::ApplyGuardrailOutput, converse::ConverseOutput,
        count_tokens::CountTokensOutput, invoke_model::InvokeModelOutput,
    },
    types::{
        self, ContentBlockDelta, ConverseStreamOutput, ImageSource,
        ResponseStream as InvokeModelEvent, StopReason,
    },
};

use super::{call_key::Walk, stream::generated_bytes};
use crate::replay::AnswerPart;

impl AnswerPart for ConverseOutput {
    fn held_bytes(&self) -> usize {
        let mut count = Count::default();
        if let Some(types::ConverseOutput::Message(message)) = self.output() {
            Walk(&mut count).message(message);
        }
        if let Some(fields) = self.additional_model_response_fields() {
            Walk(&mut count).document(fields);
        }
        count.0
    }

    fn is_whole(&self) -> bool {
        is_done(self.stop_reason())
    }
}

impl AnswerPart for ConverseStreamOutput {
    fn held_bytes(&self) -> usize {
        match self {
            Self::ContentBlockDelta(event) => match event.delta() {
                Some(ContentBlockDelta::Image(image)) => match image.source() {
                    Some(ImageSource::Bytes(bytes)) => bytes.as_ref().len(),
                    _ => 0,
                },
                Some(delta) => generated_bytes(delta),
                None => 0,
            },
            _ => 0,
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::MessageStop(event) => is_done(event.stop_reason()),
            _ => true,
        }
    }
}

/// A reason that is not known yet is no reason to keep an answer.
fn is_done(reason: &StopReason) -> bool {
    matches!(
        reason,
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse
    )
}

impl AnswerPart for InvokeModelOutput {
    fn held_bytes(&self) -> usize {
        self.body().as_ref().len()
    }

    fn is_whole(&self) -> bool {
        stop::is_whole(self.body().as_ref())
    }
}

impl AnswerPart for InvokeModelEvent {
    fn held_bytes(&self) -> usize {
        match self {
            Self::Chunk(part) => part.bytes().map_or(0, |bytes| bytes.as_ref().len()),
            _ => 0,
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Chunk(part) => part
                .bytes()
                .is_none_or(|bytes| stop::is_whole(bytes.as_ref())),
            _ => true,
        }
    }
}

impl AnswerPart for CountTokensOutput {
    fn held_bytes(&self) -> usize {
        0
    }
}

/// What it says of the guardrail's findings is small; the text that it lets through is not.
impl AnswerPart for ApplyGuardrailOutput {
    fn held_bytes(&self) -> usize {
        self.outputs()
            .iter()
            .filter_map(types::GuardrailOutputContent::text)
            .map(str::len)
            .sum()
    }
}

/// A hasher that does nothing but count.
#[derive(Default)]
struct Count(usize);

impl Hasher for Count {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }

    fn finish(&self) -> u64 {
        0
    }
}
