//! Events in a word.

use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ContentBlockStart, ConverseStreamOutput, ResponseStream as InvokeModelEvent,
};

/// An event in a word, with what it says.
pub(crate) trait InAWord {
    fn in_a_word(&self) -> String;
}

impl InAWord for ConverseStreamOutput {
    fn in_a_word(&self) -> String {
        match self {
            Self::MessageStart(_) => "start".to_owned(),
            Self::ContentBlockStart(event) => match event.start() {
                Some(ContentBlockStart::ToolUse(tool)) => format!("tool:{}", tool.name()),
                _ => "block".to_owned(),
            },
            Self::ContentBlockDelta(event) => match event.delta() {
                Some(ContentBlockDelta::Text(text)) => format!("text:{text}"),
                Some(ContentBlockDelta::ToolUse(tool)) => format!("input:{}", tool.input()),
                _ => "delta".to_owned(),
            },
            Self::ContentBlockStop(_) => "block-stop".to_owned(),
            Self::MessageStop(_) => "stop".to_owned(),
            Self::Metadata(_) => "metadata".to_owned(),
            _ => "unknown".to_owned(),
        }
    }
}

impl InAWord for InvokeModelEvent {
    fn in_a_word(&self) -> String {
        let Self::Chunk(part) = self else {
            return "unknown".to_owned();
        };
        let bytes = part.bytes().map_or(&[][..], AsRef::as_ref);
        let event: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or("unknown");
        let delta = &event["delta"];
        match delta["text"].as_str().or(delta["partial_json"].as_str()) {
            Some(text) => format!("{kind}:{text}"),
            None => kind.to_owned(),
        }
    }
}
