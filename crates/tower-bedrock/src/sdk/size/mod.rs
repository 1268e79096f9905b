//! How large the SDK's inputs are.

mod body;
#[cfg(test)]
mod tests;

use aws_sdk_bedrockruntime::types::{
    ContentBlock, DocumentBlock, DocumentContentBlock, DocumentSource,
    GuardrailConverseContentBlock, Message, ReasoningContentBlock, SystemContentBlock, Tool,
    ToolConfiguration, ToolInputSchema, ToolResultContentBlock,
};
use aws_smithy_types::{Document, Number};

pub(super) use body::of_body;

use crate::size::InputSize;

/// The size of a conversation. Walks its blocks once; text and bytes are asked for their length, not
/// read.
pub(super) fn of_conversation(
    messages: &[Message],
    system: &[SystemContentBlock],
    tools: Option<&ToolConfiguration>,
) -> InputSize {
    let mut size = InputSize::default();
    for block in system {
        size.add_system(block);
    }
    for message in messages {
        size.parts += 1;
        for block in message.content() {
            size.parts += 1;
            size.add_content(block);
        }
    }
    for tool in tools.map_or(&[][..], ToolConfiguration::tools) {
        size.add_tool(tool);
    }
    size
}

impl InputSize {
    fn add_text(&mut self, text: &str) {
        self.text_bytes += text.len() as u64;
    }

    fn add_system(&mut self, block: &SystemContentBlock) {
        match block {
            SystemContentBlock::Text(text) => self.add_text(text),
            SystemContentBlock::GuardContent(block) => self.add_guarded(block),
            _ => return,
        }
        self.parts += 1;
    }

    fn add_guarded(&mut self, block: &GuardrailConverseContentBlock) {
        match block {
            GuardrailConverseContentBlock::Text(block) => self.add_text(block.text()),
            GuardrailConverseContentBlock::Image(_) => self.images += 1,
            _ => {}
        }
    }

    /// Blocks that this version does not know, and those that point to something elsewhere, count as
    /// a part and no more.
    fn add_content(&mut self, block: &ContentBlock) {
        match block {
            ContentBlock::Text(text) => self.add_text(text),
            ContentBlock::Image(_) => self.images += 1,
            ContentBlock::Document(document) => self.add_document(document),
            ContentBlock::GuardContent(block) => self.add_guarded(block),
            ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(block)) => {
                self.add_text(block.text());
            }
            ContentBlock::SearchResult(result) => {
                self.add_text(result.title());
                for content in result.content() {
                    self.add_text(content.text());
                }
            }
            ContentBlock::ToolUse(tool) => {
                self.add_text(tool.name());
                self.text_bytes += json_bytes(tool.input());
            }
            ContentBlock::ToolResult(result) => {
                for block in result.content() {
                    self.add_tool_result(block);
                }
            }
            ContentBlock::CitationsContent(block) => {
                for content in block.content() {
                    if let Ok(text) = content.as_text() {
                        self.add_text(text);
                    }
                }
            }
            _ => {}
        }
    }

    fn add_tool_result(&mut self, block: &ToolResultContentBlock) {
        match block {
            ToolResultContentBlock::Text(text) => self.add_text(text),
            ToolResultContentBlock::Json(json) => self.text_bytes += json_bytes(json),
            ToolResultContentBlock::Image(_) => self.images += 1,
            ToolResultContentBlock::Document(document) => self.add_document(document),
            ToolResultContentBlock::SearchResult(result) => {
                for content in result.content() {
                    self.add_text(content.text());
                }
            }
            _ => {}
        }
    }

    fn add_document(&mut self, document: &DocumentBlock) {
        self.add_text(document.name());
        if let Some(context) = document.context() {
            self.add_text(context);
        }
        match document.source() {
            Some(DocumentSource::Bytes(bytes)) => {
                self.document_bytes += bytes.as_ref().len() as u64;
            }
            Some(DocumentSource::Text(text)) => self.document_bytes += text.len() as u64,
            Some(DocumentSource::Content(blocks)) => {
                for block in blocks {
                    if let DocumentContentBlock::Text(text) = block {
                        self.document_bytes += text.len() as u64;
                    }
                }
            }
            _ => {}
        }
    }

    fn add_tool(&mut self, tool: &Tool) {
        let Tool::ToolSpec(tool) = tool else {
            return;
        };
        self.tool_bytes += tool.name().len() as u64;
        self.tool_bytes += tool.description().map_or(0, str::len) as u64;
        if let Some(ToolInputSchema::Json(schema)) = tool.input_schema() {
            self.tool_bytes += json_bytes(schema);
        }
    }
}

/// How long a document is as compact JSON, but for escapes.
fn json_bytes(document: &Document) -> u64 {
    const QUOTES: u64 = 2;
    const BRACKETS: u64 = 2;
    const COLON: u64 = 1;
    let commas = |items: usize| (items as u64).saturating_sub(1);
    match document {
        Document::Object(fields) => {
            let fields_bytes: u64 = fields
                .iter()
                .map(|(name, value)| name.len() as u64 + QUOTES + COLON + json_bytes(value))
                .sum();
            BRACKETS + commas(fields.len()) + fields_bytes
        }
        Document::Array(items) => {
            let items_bytes: u64 = items.iter().map(json_bytes).sum();
            BRACKETS + commas(items.len()) + items_bytes
        }
        Document::Number(Number::PosInt(number)) => digits(*number),
        Document::Number(Number::NegInt(number)) => 1 + digits(number.unsigned_abs()),
        // Most floats in schemas and tool calls are short.
        Document::Number(Number::Float(_)) => 5,
        Document::String(text) => text.len() as u64 + QUOTES,
        Document::Bool(true) | Document::Null => 4,
        Document::Bool(false) => 5,
    }
}

fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}
