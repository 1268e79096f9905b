//! Frames of `application/vnd.amazon.eventstream` (BEDROCK.md §5.3).

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::{
    event_stream::{Header, HeaderValue, Message},
    str_bytes::StrBytes,
};
use bytes::{Bytes, BytesMut};

/// Why a frame could not be written: its payload exceeds what the format allows.
pub(crate) type FrameError = aws_smithy_eventstream::error::Error;

/// Room for the prelude, both checksums and the headers of an event.
const OVERHEAD: usize = 128;

/// A frame with an event.
pub(crate) fn event(name: impl Into<StrBytes>, payload: Vec<u8>) -> Result<BytesMut, FrameError> {
    let headers = vec![
        header(":event-type", name),
        header(":content-type", "application/json"),
        header(":message-type", "event"),
    ];
    encode(headers, payload)
}

/// A frame with an exception; `member` is its name in the stream's union, in camel case.
pub(crate) fn exception(
    member: impl Into<StrBytes>,
    payload: Vec<u8>,
) -> Result<BytesMut, FrameError> {
    let headers = vec![
        header(":exception-type", member),
        header(":content-type", "application/json"),
        header(":message-type", "exception"),
    ];
    encode(headers, payload)
}

/// A frame with an error that the operation does not declare.
pub(crate) fn error(
    code: impl Into<StrBytes>,
    message: impl Into<StrBytes>,
) -> Result<BytesMut, FrameError> {
    let headers = vec![
        header(":error-code", code),
        header(":error-message", message),
        header(":message-type", "error"),
    ];
    encode(headers, Vec::new())
}

/// The same frame with a checksum that does not fit.
pub(crate) fn corrupt(mut frame: BytesMut) -> Bytes {
    if let Some(last) = frame.last_mut() {
        *last ^= 0xff;
    }
    frame.freeze()
}

/// The first half of a frame.
pub(crate) fn half(frame: BytesMut) -> Bytes {
    let half = frame.len() / 2;
    frame.freeze().split_to(half)
}

fn header(name: &'static str, value: impl Into<StrBytes>) -> Header {
    let value = HeaderValue::String(value.into());
    Header::new(StrBytes::from(name), value)
}

fn encode(headers: Vec<Header>, payload: Vec<u8>) -> Result<BytesMut, FrameError> {
    let mut frame = BytesMut::with_capacity(OVERHEAD + payload.len());
    write_message_to(&Message::new_from_parts(headers, payload), &mut frame)?;
    Ok(frame)
}
