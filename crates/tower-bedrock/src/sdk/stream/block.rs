//! A content block that grows by deltas.

use aws_sdk_bedrockruntime::{
    primitives::Blob,
    types::{
        Citation, CitationGeneratedContent, CitationSourceContent, CitationsContentBlock,
        CitationsDelta, ContentBlock, ContentBlockDelta, ContentBlockStart, ImageBlock,
        ImageBlockDelta, ImageBlockStart, ReasoningContentBlock, ReasoningContentBlockDelta,
        ReasoningTextBlock, ToolResultBlock, ToolResultBlockDelta, ToolResultBlockStart,
        ToolResultContentBlock, ToolUseBlock, ToolUseBlockStart,
    },
};
use aws_smithy_types::{Document, Number};
use serde_json::Value;

#[derive(Clone)]
pub(super) enum Block {
    Text {
        text: String,
        citations: Vec<Citation>,
    },
    ToolUse {
        start: ToolUseBlockStart,
        input: String,
    },
    ToolResult {
        start: ToolResultBlockStart,
        content: Vec<ToolResultContentBlock>,
    },
    Image {
        start: ImageBlockStart,
        delta: Option<ImageBlockDelta>,
    },
    Reasoning {
        text: String,
        signature: Option<String>,
    },
    Redacted(Vec<u8>),
}

impl Block {
    /// The block that `start` announces, as far as its kind is known.
    pub(super) fn starting(start: &ContentBlockStart) -> Option<Self> {
        Some(match start {
            ContentBlockStart::ToolUse(start) => Self::ToolUse {
                start: start.clone(),
                input: String::new(),
            },
            ContentBlockStart::ToolResult(start) => Self::ToolResult {
                start: start.clone(),
                content: Vec::new(),
            },
            ContentBlockStart::Image(start) => Self::Image {
                start: start.clone(),
                delta: None,
            },
            _ => return None,
        })
    }

    /// A block that begins with `delta`, of a kind that needs no announcement.
    pub(super) fn of(delta: &ContentBlockDelta) -> Option<Self> {
        let mut block = match delta {
            ContentBlockDelta::Text(_) | ContentBlockDelta::Citation(_) => Self::Text {
                text: String::new(),
                citations: Vec::new(),
            },
            ContentBlockDelta::ReasoningContent(ReasoningContentBlockDelta::RedactedContent(_)) => {
                Self::Redacted(Vec::new())
            }
            ContentBlockDelta::ReasoningContent(_) => Self::Reasoning {
                text: String::new(),
                signature: None,
            },
            _ => return None,
        };
        block.append(delta).then_some(block)
    }

    /// Whether `delta` belongs to a block of this kind; then it is in it.
    pub(super) fn append(&mut self, delta: &ContentBlockDelta) -> bool {
        match (self, delta) {
            (Self::Text { text, .. }, ContentBlockDelta::Text(more)) => text.push_str(more),
            (Self::Text { citations, .. }, ContentBlockDelta::Citation(more)) => {
                citations.push(citation(more));
            }
            (Self::ToolUse { input, .. }, ContentBlockDelta::ToolUse(more)) => {
                input.push_str(more.input());
            }
            (Self::ToolResult { content, .. }, ContentBlockDelta::ToolResult(more)) => {
                for part in more {
                    append_result(content, part);
                }
            }
            (Self::Image { delta, .. }, ContentBlockDelta::Image(more)) => {
                *delta = Some(more.clone());
            }
            (block, ContentBlockDelta::ReasoningContent(more)) => return block.think(more),
            _ => return false,
        }
        true
    }

    fn think(&mut self, delta: &ReasoningContentBlockDelta) -> bool {
        match (self, delta) {
            (Self::Reasoning { text, .. }, ReasoningContentBlockDelta::Text(more)) => {
                text.push_str(more);
            }
            (Self::Reasoning { signature, .. }, ReasoningContentBlockDelta::Signature(more)) => {
                signature.get_or_insert_default().push_str(more);
            }
            (Self::Redacted(bytes), ReasoningContentBlockDelta::RedactedContent(more)) => {
                bytes.extend_from_slice(more.as_ref());
            }
            _ => return false,
        }
        true
    }

    /// The block as it stands in a message; `None` if there is nothing in it.
    pub(super) fn into_content(self) -> Option<ContentBlock> {
        Some(match self {
            Self::Text { text, citations } if citations.is_empty() => {
                ContentBlock::Text(Some(text).filter(|text| !text.is_empty())?)
            }
            Self::Text { text, citations } => ContentBlock::CitationsContent(
                CitationsContentBlock::builder()
                    .content(CitationGeneratedContent::Text(text))
                    .set_citations(Some(citations))
                    .build(),
            ),
            Self::ToolUse { start, input } => {
                let tool = ToolUseBlock::builder()
                    .tool_use_id(start.tool_use_id)
                    .name(start.name)
                    .input(arguments(input))
                    .set_type(start.r#type);
                ContentBlock::ToolUse(tool.build().ok()?)
            }
            Self::ToolResult { start, content } => {
                let result = ToolResultBlock::builder()
                    .tool_use_id(start.tool_use_id)
                    .set_type(start.r#type)
                    .set_status(start.status)
                    .set_content(Some(content));
                ContentBlock::ToolResult(result.build().ok()?)
            }
            Self::Image { start, delta } => {
                let delta = delta?;
                let image = ImageBlock::builder()
                    .format(start.format)
                    .set_source(delta.source)
                    .set_error(delta.error);
                ContentBlock::Image(image.build().ok()?)
            }
            Self::Reasoning {
                text,
                signature: None,
            } if text.is_empty() => return None,
            Self::Reasoning { text, signature } => {
                let reasoning = ReasoningTextBlock::builder()
                    .text(text)
                    .set_signature(signature);
                ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(
                    reasoning.build().ok()?,
                ))
            }
            Self::Redacted(bytes) if bytes.is_empty() => return None,
            Self::Redacted(bytes) => ContentBlock::ReasoningContent(
                ReasoningContentBlock::RedactedContent(Blob::new(bytes)),
            ),
        })
    }
}

fn append_result(content: &mut Vec<ToolResultContentBlock>, delta: &ToolResultBlockDelta) {
    match (content.last_mut(), delta) {
        (Some(ToolResultContentBlock::Text(text)), ToolResultBlockDelta::Text(more)) => {
            text.push_str(more);
        }
        (_, ToolResultBlockDelta::Text(text)) => {
            content.push(ToolResultContentBlock::Text(text.clone()));
        }
        (_, ToolResultBlockDelta::Json(json)) => {
            content.push(ToolResultContentBlock::Json(json.clone()));
        }
        _ => {}
    }
}

fn citation(delta: &CitationsDelta) -> Citation {
    let source_content = delta.source_content.as_ref().map(|parts| {
        let texts = parts.iter().filter_map(|part| part.text.clone());
        texts.map(CitationSourceContent::Text).collect()
    });
    Citation::builder()
        .set_title(delta.title.clone())
        .set_source(delta.source.clone())
        .set_source_content(source_content)
        .set_location(delta.location.clone())
        .build()
}

/// The arguments of a tool. None at all are an empty object, as Converse has it.
fn arguments(json: String) -> Document {
    if json.trim().is_empty() {
        return Document::Object(Default::default());
    }
    serde_json::from_str(&json).map_or(Document::String(json), document)
}

fn document(value: Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(value) => Document::Bool(value),
        Value::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Number::PosInt(number),
            (None, Some(number)) => Number::NegInt(number),
            (None, None) => Number::Float(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Value::String(text) => Document::String(text),
        Value::Array(values) => Document::Array(values.into_iter().map(document).collect()),
        Value::Object(members) => Document::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, document(value)))
                .collect(),
        ),
    }
}
