//! What goes wrong in the SDK's streams, as a [`RawError`].

use std::error::Error as StdError;

use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::event_stream::RawMessage;

use crate::{
    error::{ErrorDetails, RawError},
    sdk::error::original_status,
    stream::wire,
};

/// Keeps what the error tells. The frame that it came in is dropped, and so is whatever would quote
/// it.
pub(super) fn raw<E>(error: SdkError<E, RawMessage>) -> RawError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            // The SDK's error does not have the exception's name.
            let code = header(context.raw(), ":exception-type").map(wire::exception_code);
            let error = context.into_err();
            let mut details = ErrorDetails {
                code: code.or_else(|| error.code().map(str::to_owned)),
                message: error.message().map(str::to_owned),
                original_status: original_status(&error),
                source: Some(error.into()),
                ..ErrorDetails::default()
            };
            details.cut();
            RawError::Answered(Box::new(details))
        }
        // The connection ended within a frame.
        SdkError::ResponseError(context) if is_rest(context.raw()) => {
            RawError::Truncated(Box::new(ErrorDetails {
                message: Some("it ended within an event".to_owned()),
                ..ErrorDetails::default()
            }))
        }
        // The protocol has errors that no operation models; the SDK does not read them.
        SdkError::ResponseError(context)
            if header(context.raw(), ":message-type") == Some("error") =>
        {
            let said = |name| header(context.raw(), name).map(str::to_owned);
            let mut details = ErrorDetails {
                code: said(":error-code"),
                message: said(":error-message"),
                ..ErrorDetails::default()
            };
            details.cut();
            RawError::Answered(Box::new(details))
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

/// A header of the frame, if it is a string.
fn header<'a>(frame: &'a RawMessage, name: &str) -> Option<&'a str> {
    let RawMessage::Decoded(message) = frame else {
        return None;
    };
    let headers = message.headers();
    let header = headers
        .iter()
        .find(|header| header.name().as_str() == name)?;
    header.value().as_string().ok().map(|value| value.as_str())
}

/// Whether it is what was left when the connection ended.
const fn is_rest(frame: &RawMessage) -> bool {
    matches!(frame, RawMessage::Invalid(Some(_)))
}
