//! The events of ConverseStream put together to what Converse would have answered.

use std::{collections::BTreeMap, fmt};

use aws_sdk_bedrockruntime::{
    operation::converse::ConverseOutput,
    types::{
        self, ContentBlock, ContentBlockDelta, ContentBlockStart, ConversationRole,
        ConverseStreamOutput, Message,
    },
};

use super::block::Block;

/// Puts the events of a ConverseStream together to a message, and to what Converse would have
/// answered.
///
/// For those who show an answer as it comes and then need it whole, as the history of a conversation
/// does. Who does not look at the events takes
/// [`ResponseStream::into_response`](crate::ResponseStream::into_response).
///
/// * Text, reasoning and arguments of tools are put together by their content block.
/// * Arguments that are no JSON, because the answer was cut at `maxTokens`, stay the text that they
///   are: a [`Document::String`](aws_smithy_types::Document::String).
/// * A block without any content is left out: the service refuses it when it is sent back.
/// * What this version of the SDK does not know of is left out.
///
/// `Debug` shows nothing of the content.
///
/// # Example
///
/// ```
/// use aws_sdk_bedrockruntime::types::{
///     ContentBlock, ContentBlockDelta, ContentBlockDeltaEvent, ConverseStreamOutput,
/// };
/// use tower_bedrock::MessageAssembler;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut answer = MessageAssembler::new();
/// for text in ["Hello", ", world"] {
///     let event = ContentBlockDeltaEvent::builder()
///         .content_block_index(0)
///         .delta(ContentBlockDelta::Text(text.to_owned()))
///         .build()?;
///     answer.push(&ConverseStreamOutput::ContentBlockDelta(event));
/// }
/// let message = answer.into_message().ok_or("there is content")?;
/// assert_eq!(message.content(), [ContentBlock::Text("Hello, world".to_owned())]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MessageAssembler {
    role: Option<ConversationRole>,
    /// By content block; a block whose kind changes half way is more than one.
    blocks: BTreeMap<i32, Vec<Block>>,
    stop: Option<types::MessageStopEvent>,
    metadata: Option<types::ConverseStreamMetadataEvent>,
}

impl MessageAssembler {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what the next event says.
    pub fn push(&mut self, event: &ConverseStreamOutput) {
        match event {
            ConverseStreamOutput::MessageStart(event) => self.role = Some(event.role().clone()),
            ConverseStreamOutput::ContentBlockStart(event) => {
                if let Some(start) = event.start() {
                    self.start(event.content_block_index(), start);
                }
            }
            ConverseStreamOutput::ContentBlockDelta(event) => {
                if let Some(delta) = event.delta() {
                    self.append(event.content_block_index(), delta);
                }
            }
            ConverseStreamOutput::MessageStop(event) => self.stop = Some(event.clone()),
            ConverseStreamOutput::Metadata(event) => self.metadata = Some(event.clone()),
            _ => {}
        }
    }

    /// The message as far as it has come; `None` if nothing has.
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        let content: Vec<ContentBlock> = self
            .blocks
            .into_values()
            .flatten()
            .filter_map(Block::into_content)
            .collect();
        if content.is_empty() {
            return None;
        }
        Message::builder()
            .role(self.role.unwrap_or(ConversationRole::Assistant))
            .set_content(Some(content))
            .build()
            .ok()
    }

    /// What Converse would have answered; `None` if the answer is not whole.
    ///
    /// Its request id is not in it: that of the stream is in
    /// [`Served`](crate::Served::request_id).
    #[must_use]
    pub fn into_output(mut self) -> Option<ConverseOutput> {
        let stop = self.stop.take()?;
        let metadata = self.metadata.take();
        let role = self.role.clone().unwrap_or(ConversationRole::Assistant);
        let message = self.into_message().or_else(|| {
            let empty = Message::builder().role(role).set_content(Some(Vec::new()));
            empty.build().ok()
        });
        let mut output = ConverseOutput::builder()
            .set_output(message.map(types::ConverseOutput::Message))
            .stop_reason(stop.stop_reason)
            .set_additional_model_response_fields(stop.additional_model_response_fields);
        if let Some(metadata) = metadata {
            let metrics = metadata.metrics.and_then(|metrics| {
                let metrics = types::ConverseMetrics::builder().latency_ms(metrics.latency_ms());
                metrics.build().ok()
            });
            let trace = metadata.trace.map(|trace| {
                types::ConverseTrace::builder()
                    .set_guardrail(trace.guardrail)
                    .set_prompt_router(trace.prompt_router)
                    .build()
            });
            output = output
                .set_usage(metadata.usage)
                .set_metrics(metrics)
                .set_trace(trace)
                .set_performance_config(metadata.performance_config)
                .set_service_tier(metadata.service_tier);
        }
        output.build().ok()
    }

    fn start(&mut self, index: i32, start: &ContentBlockStart) {
        self.blocks
            .entry(index)
            .or_default()
            .extend(Block::starting(start));
    }

    fn append(&mut self, index: i32, delta: &ContentBlockDelta) {
        let blocks = self.blocks.entry(index).or_default();
        let is_taken = blocks.last_mut().is_some_and(|block| block.append(delta));
        if !is_taken {
            blocks.extend(Block::of(delta));
        }
    }
}

impl fmt::Debug for MessageAssembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stop_reason = self.stop.as_ref().map(types::MessageStopEvent::stop_reason);
        f.debug_struct("MessageAssembler")
            .field("blocks", &self.blocks.len())
            .field("stop_reason", &stop_reason)
            .finish_non_exhaustive()
    }
}
