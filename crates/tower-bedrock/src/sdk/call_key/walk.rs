//! What is read of a conversation to tell it from others: all that is long in it, and all numbers.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
};

use aws_sdk_bedrockruntime::types::{
    AudioSource, ContentBlock, DocumentBlock, DocumentContentBlock, DocumentSource,
    GuardrailContentBlock, GuardrailConverseContentBlock, GuardrailConverseImageSource,
    GuardrailImageSource, ImageSource, InferenceConfiguration, Message, PromptVariableValues,
    ReasoningContentBlock, SystemContentBlock, Tool, ToolConfiguration, ToolInputSchema,
    ToolResultContentBlock, VideoSource,
};
use aws_smithy_types::{Blob, Document, Number};

/// Feeds a hasher. What it leaves out is compared all the same.
pub(in crate::sdk) struct Walk<'a, H>(pub(in crate::sdk) &'a mut H);

impl<H: Hasher> Walk<'_, H> {
    fn text(&mut self, text: &str) {
        text.hash(self.0);
    }

    fn bytes(&mut self, bytes: &Blob) {
        bytes.as_ref().hash(self.0);
    }

    pub(super) fn conversation(
        &mut self,
        messages: &[Message],
        system: &[SystemContentBlock],
        tools: Option<&ToolConfiguration>,
    ) {
        for block in system {
            match block {
                SystemContentBlock::Text(text) => self.text(text),
                SystemContentBlock::GuardContent(block) => self.guarded_in_converse(block),
                _ => {}
            }
        }
        for message in messages {
            self.message(message);
        }
        for tool in tools.map_or(&[][..], ToolConfiguration::tools) {
            if let Tool::ToolSpec(tool) = tool {
                self.text(tool.name());
                tool.description().hash(self.0);
                if let Some(ToolInputSchema::Json(schema)) = tool.input_schema() {
                    self.document(schema);
                }
            }
        }
    }

    pub(in crate::sdk) fn message(&mut self, message: &Message) {
        self.text(message.role().as_str());
        for block in message.content() {
            self.content(block);
        }
    }

    /// As JSON writes them: 0 is another number than -0 there.
    pub(super) fn inference_config(&mut self, config: &InferenceConfiguration) {
        config.max_tokens().hash(self.0);
        config.temperature().map(f32::to_bits).hash(self.0);
        config.top_p().map(f32::to_bits).hash(self.0);
        config.stop_sequences().hash(self.0);
    }

    fn content(&mut self, block: &ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.text(text),
            ContentBlock::Image(image) => {
                if let Some(ImageSource::Bytes(bytes)) = image.source() {
                    self.bytes(bytes);
                }
            }
            ContentBlock::Video(video) => {
                if let Some(VideoSource::Bytes(bytes)) = video.source() {
                    self.bytes(bytes);
                }
            }
            ContentBlock::Audio(audio) => {
                if let Some(AudioSource::Bytes(bytes)) = audio.source() {
                    self.bytes(bytes);
                }
            }
            ContentBlock::Document(document) => self.document_block(document),
            ContentBlock::GuardContent(block) => self.guarded_in_converse(block),
            ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(block)) => {
                self.text(block.text());
            }
            ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(bytes)) => {
                self.bytes(bytes);
            }
            ContentBlock::SearchResult(result) => {
                self.text(result.source());
                for content in result.content() {
                    self.text(content.text());
                }
            }
            ContentBlock::ToolUse(tool) => {
                self.text(tool.tool_use_id());
                self.text(tool.name());
                self.document(tool.input());
            }
            ContentBlock::ToolResult(result) => {
                self.text(result.tool_use_id());
                for block in result.content() {
                    self.tool_result(block);
                }
            }
            ContentBlock::CitationsContent(block) => {
                for content in block.content() {
                    if let Ok(text) = content.as_text() {
                        self.text(text);
                    }
                }
            }
            _ => {}
        }
    }

    fn tool_result(&mut self, block: &ToolResultContentBlock) {
        match block {
            ToolResultContentBlock::Text(text) => self.text(text),
            ToolResultContentBlock::Json(json) => self.document(json),
            ToolResultContentBlock::Image(image) => {
                if let Some(ImageSource::Bytes(bytes)) = image.source() {
                    self.bytes(bytes);
                }
            }
            ToolResultContentBlock::Video(video) => {
                if let Some(VideoSource::Bytes(bytes)) = video.source() {
                    self.bytes(bytes);
                }
            }
            ToolResultContentBlock::Document(document) => self.document_block(document),
            ToolResultContentBlock::SearchResult(result) => {
                for content in result.content() {
                    self.text(content.text());
                }
            }
            _ => {}
        }
    }

    fn document_block(&mut self, document: &DocumentBlock) {
        self.text(document.name());
        match document.source() {
            Some(DocumentSource::Bytes(bytes)) => self.bytes(bytes),
            Some(DocumentSource::Text(text)) => self.text(text),
            Some(DocumentSource::Content(blocks)) => {
                for block in blocks {
                    if let DocumentContentBlock::Text(text) = block {
                        self.text(text);
                    }
                }
            }
            _ => {}
        }
    }

    fn guarded_in_converse(&mut self, block: &GuardrailConverseContentBlock) {
        match block {
            GuardrailConverseContentBlock::Text(block) => self.text(block.text()),
            GuardrailConverseContentBlock::Image(image) => {
                if let Some(GuardrailConverseImageSource::Bytes(bytes)) = image.source() {
                    self.bytes(bytes);
                }
            }
            _ => {}
        }
    }

    pub(super) fn guarded(&mut self, block: &GuardrailContentBlock) {
        match block {
            GuardrailContentBlock::Text(block) => self.text(block.text()),
            GuardrailContentBlock::Image(image) => {
                if let Some(GuardrailImageSource::Bytes(bytes)) = image.source() {
                    self.bytes(bytes);
                }
            }
            _ => {}
        }
    }

    pub(in crate::sdk) fn document(&mut self, document: &Document) {
        match document {
            Document::Object(fields) => self.unordered(fields, Self::document),
            Document::Array(items) => {
                items.len().hash(self.0);
                for item in items {
                    self.document(item);
                }
            }
            Document::Number(Number::PosInt(number)) => (0_u8, number).hash(self.0),
            Document::Number(Number::NegInt(number)) => (1_u8, number).hash(self.0),
            Document::Number(Number::Float(number)) => (2_u8, number.to_bits()).hash(self.0),
            Document::String(text) => self.text(text),
            Document::Bool(value) => value.hash(self.0),
            Document::Null => self.0.write_u8(3),
        }
    }

    pub(super) fn variables(&mut self, variables: &HashMap<String, PromptVariableValues>) {
        self.unordered(variables, |walk, value| {
            if let PromptVariableValues::Text(text) = value {
                walk.text(text);
            }
        });
    }

    /// Fields come in any order, and mean the same in each.
    fn unordered<V>(&mut self, fields: &HashMap<String, V>, mut value: impl FnMut(&mut Self, &V)) {
        let mut fields: Vec<_> = fields.iter().collect();
        fields.sort_unstable_by_key(|(name, _)| *name);
        fields.len().hash(self.0);
        for (name, field) in fields {
            self.text(name);
            value(self, field);
        }
    }
}

/// Whether any of `messages` shows an object in S3, which may be another by the next call.
pub(super) fn refers_elsewhere(messages: &[Message]) -> bool {
    let mut contents = messages.iter().flat_map(Message::content);
    contents.any(|block| match block {
        ContentBlock::Image(image) => is_elsewhere(image.source()),
        ContentBlock::Video(video) => is_elsewhere(video.source()),
        ContentBlock::Audio(audio) => is_elsewhere(audio.source()),
        ContentBlock::Document(document) => is_elsewhere(document.source()),
        ContentBlock::ToolResult(result) => result.content().iter().any(|block| match block {
            ToolResultContentBlock::Image(image) => is_elsewhere(image.source()),
            ToolResultContentBlock::Video(video) => is_elsewhere(video.source()),
            ToolResultContentBlock::Document(document) => is_elsewhere(document.source()),
            _ => false,
        }),
        _ => false,
    })
}

/// Where bytes or text come from, as far as they are in the input itself.
trait Source {
    fn is_here(&self) -> bool;
}

macro_rules! sources {
    ($($source:ident: $($here:ident)|*;)*) => {
        $(impl Source for $source {
            fn is_here(&self) -> bool {
                matches!(self, $(Self::$here(_))|*)
            }
        })*
    };
}

sources! {
    ImageSource: Bytes;
    VideoSource: Bytes;
    AudioSource: Bytes;
    DocumentSource: Bytes | Content | Text;
}

fn is_elsewhere(source: Option<&impl Source>) -> bool {
    source.is_some_and(|source| !source.is_here())
}
