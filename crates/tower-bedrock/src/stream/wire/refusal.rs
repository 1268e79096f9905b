//! Errors that models report in formats of their own, within a stream that the service calls sound.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::{ErrorDetails, RawError};

/// The error that a chunk is: the bytes that are in it, without Base64.
///
/// Anthropic's format names its kind in `type`, and so do chat completions.
pub(crate) fn chunk_error(chunk: &[u8]) -> RawError {
    #[derive(Default, Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        error: Told<'a>,
    }

    #[derive(Default, Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        r#type: Option<Cow<'a, str>>,
        #[serde(borrow)]
        message: Option<Cow<'a, str>>,
    }

    let Told { r#type, message } = serde_json::from_slice::<Chunk<'_>>(chunk)
        .unwrap_or_default()
        .error;
    let mut details = ErrorDetails {
        code: r#type.map(Cow::into_owned),
        message: message.map(Cow::into_owned),
        ..ErrorDetails::default()
    };
    details.cut();
    RawError::Answered(Box::new(details))
}
