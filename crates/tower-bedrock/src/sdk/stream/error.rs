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
            let code = exception_code(context.raw());
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
        SdkError::ResponseError(context) => unreadable(context.raw()),
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

/// The code of the exception that a frame is.
pub(in crate::sdk) fn exception_code(frame: &RawMessage) -> Option<String> {
    header(frame, ":exception-type").map(wire::exception_code)
}

/// What a frame is that the SDK could not read.
pub(in crate::sdk) fn unreadable(frame: &RawMessage) -> RawError {
    let said = |text: &str| {
        Box::new(ErrorDetails {
            message: Some(text.to_owned()),
            ..ErrorDetails::default()
        })
    };
    // The protocol has errors that no operation models; the SDK does not read them.
    if header(frame, ":message-type") == Some("error") {
        let told = |name| header(frame, name).map(str::to_owned);
        let mut details = ErrorDetails {
            code: told(":error-code"),
            message: told(":error-message"),
            ..ErrorDetails::default()
        };
        details.cut();
        return RawError::Answered(Box::new(details));
    }
    match frame {
        // The connection ended within a frame.
        RawMessage::Invalid(Some(_)) => RawError::Truncated(said("it ended within an event")),
        // What the parser says of an event quotes it.
        RawMessage::Decoded(_) => {
            RawError::Garbled(said("an event is not what the operation sends"))
        }
        RawMessage::Invalid(_) => RawError::Garbled(said("a frame is damaged")),
        _ => RawError::Garbled(said("an event cannot be read")),
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
