//! Events as they are on the wire, before the SDK makes types of them.

mod chunk;
mod converse;
mod refusal;

use aws_smithy_types::base64;
use serde::Deserialize;

pub(crate) use self::{
    chunk::{facts as chunk_facts, text as chunk_text},
    refusal::chunk_error,
};
use super::facts::EventFacts;
use crate::{
    call::Operation,
    error::{ErrorDetails, RawError},
};

/// What an event frame tells: whose answer it is in, its `:event-type` and its payload. An event that
/// is not known, or not the operation's, or cannot be read, tells nothing: that is for whoever reads it
/// to complain about.
pub(crate) fn facts(operation: Operation, event_type: &str, payload: &[u8]) -> EventFacts {
    if operation != Operation::InvokeModelWithResponseStream {
        return converse::facts(event_type, payload);
    }
    let chunk = (event_type == "chunk").then(|| chunk(payload)).flatten();
    chunk.map_or_else(EventFacts::default, |bytes| chunk_facts(&bytes))
}

/// The error that an event frame is whose facts say so.
pub(crate) fn error(payload: &[u8]) -> RawError {
    chunk_error(&chunk(payload).unwrap_or_default())
}

/// What is in a chunk, without Base64.
fn chunk(payload: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        bytes: &'a str,
    }

    let chunk: Chunk<'_> = serde_json::from_slice(payload).ok()?;
    base64::decode(chunk.bytes).ok()
}

/// The error that an exception frame is: its `:exception-type` and its payload.
pub(crate) fn exception(exception_type: &str, payload: &[u8]) -> RawError {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Exception {
        #[serde(alias = "Message")]
        message: Option<String>,
        original_status_code: Option<u16>,
    }

    let said: Exception = serde_json::from_slice(payload).unwrap_or_default();
    let mut details = ErrorDetails {
        code: Some(exception_code(exception_type)),
        message: said.message,
        original_status: said.original_status_code,
        ..ErrorDetails::default()
    };
    details.cut();
    RawError::Answered(Box::new(details))
}

/// The code of an exception as it stands everywhere but in a frame: `throttlingException` is the
/// `ThrottlingException` of an answer with a status of its own.
pub(crate) fn exception_code(exception_type: &str) -> String {
    let mut code = exception_type.to_owned();
    if let Some(first) = code.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    code
}
