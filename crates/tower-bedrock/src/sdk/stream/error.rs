//! What goes wrong in the SDK's streams, as a [`RawError`].

use std::error::Error as StdError;

use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::event_stream::RawMessage;

use crate::{
    error::{ErrorDetails, RawError},
    sdk::error::original_status,
};

/// Keeps what the error tells. The frame that it came in is dropped, and so is whatever would quote
/// it.
pub(super) fn raw<E>(error: SdkError<E, RawMessage>) -> RawError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let code = exception_type(context.raw());
            let error = context.into_err();
            let mut details = ErrorDetails {
                code: code.or_else(|| error.code().map(str::to_owned)),
                message: error.message().map(str::to_owned),
                original_status: original_status(&error),
                source: Some(error.into()),
                ..ErrorDetails::default()
            };
            details.cut_secrets();
            RawError::Answered(Box::new(details))
        }
        // The connection ended within a frame.
        SdkError::ResponseError(context) if is_rest(context.raw()) => {
            RawError::Truncated(Box::new(ErrorDetails {
                message: Some("it ended within an event".to_owned()),
                ..ErrorDetails::default()
            }))
        }
        // What the parser says of an event quotes it.
        SdkError::ResponseError(context) => RawError::Garbled(Box::new(ErrorDetails {
            message: Some(match context.raw() {
                RawMessage::Decoded(_) => "an event is not what the operation sends".to_owned(),
                RawMessage::Invalid(_) => "a frame is damaged".to_owned(),
                _ => "an event cannot be read".to_owned(),
            }),
            ..ErrorDetails::default()
        })),
        other => {
            let source = other
                .into_source()
                .unwrap_or_else(|other| other.to_string().into());
            RawError::Truncated(Box::new(ErrorDetails {
                message: Some("the connection broke".to_owned()),
                source: Some(source),
                ..ErrorDetails::default()
            }))
        }
    }
}

/// The exception as the frame names it. The SDK's error does not have it.
fn exception_type(frame: &RawMessage) -> Option<String> {
    let RawMessage::Decoded(message) = frame else {
        return None;
    };
    let header = message
        .headers()
        .iter()
        .find(|header| header.name().as_str() == ":exception-type")?;
    let name = header.value().as_string().ok()?;
    Some(name.as_str().to_owned())
}

/// Whether it is what was left when the connection ended.
const fn is_rest(frame: &RawMessage) -> bool {
    matches!(frame, RawMessage::Invalid(Some(_)))
}
