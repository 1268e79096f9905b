//! The frames of an event stream, read beside whoever they are for.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bytes::{Buf, Bytes};
use bytes_utils::SegmentedBuf;

use crate::{
    call::Operation,
    error::{ErrorDetails, RawError},
    stream::{EventFacts, wire},
};

/// What comes in frames, as far as it has been read. Shares the bytes that it is given.
pub(super) struct Frames {
    operation: Operation,
    decoder: MessageFrameDecoder,
    unread: SegmentedBuf<Bytes>,
    /// The frames are damaged: what follows means nothing.
    is_garbled: bool,
    /// A frame has begun. The decoder takes its prelude before the rest is there.
    is_within_frame: bool,
}

/// What a frame is.
pub(super) enum Heard {
    Event(EventFacts),
    /// An exception, or a frame that cannot be read. Nothing follows.
    Broken(RawError),
}

impl Frames {
    pub(super) fn of(operation: Operation) -> Self {
        Self {
            operation,
            decoder: MessageFrameDecoder::default(),
            unread: SegmentedBuf::new(),
            is_garbled: false,
            is_within_frame: false,
        }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        if !self.is_garbled {
            self.unread.push(chunk);
        }
    }

    /// The next frame that is whole.
    pub(super) fn next(&mut self) -> Option<Heard> {
        if self.is_garbled {
            return None;
        }
        let has_unread = self.unread.has_remaining();
        match self.decoder.decode_frame(&mut self.unread) {
            Ok(DecodedFrame::Complete(message)) => {
                self.is_within_frame = false;
                Some(heard(self.operation, &message))
            }
            Ok(_) => {
                self.is_within_frame |= has_unread;
                None
            }
            // What the decoder says of a frame quotes it.
            Err(_) => {
                self.is_garbled = true;
                self.unread = SegmentedBuf::new();
                Some(Heard::Broken(RawError::Garbled(Box::new(ErrorDetails {
                    message: Some("a frame is damaged".to_owned()),
                    ..ErrorDetails::default()
                }))))
            }
        }
    }

    /// Whether the last byte that came ended a frame.
    pub(super) fn is_at_end_of_frame(&self) -> bool {
        !self.is_within_frame && !self.unread.has_remaining()
    }
}

fn heard(operation: Operation, message: &Message) -> Heard {
    let header = |name: &str| {
        let mut headers = message.headers().iter();
        let header = headers.find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|value| value.as_str())
    };
    match header(":message-type") {
        Some("exception") => {
            let name = header(":exception-type").unwrap_or_default();
            Heard::Broken(wire::exception(name, message.payload()))
        }
        Some("error") => {
            let mut details = ErrorDetails {
                code: header(":error-code").map(str::to_owned),
                message: header(":error-message").map(str::to_owned),
                ..ErrorDetails::default()
            };
            details.cut();
            Heard::Broken(RawError::Answered(Box::new(details)))
        }
        _ => {
            let name = header(":event-type").unwrap_or_default();
            let facts = wire::facts(operation, name, message.payload());
            if facts.is_error {
                return Heard::Broken(wire::error(message.payload()));
            }
            Heard::Event(facts)
        }
    }
}
