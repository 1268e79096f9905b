//! What goes wrong with streams.

use std::time::Duration;

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::streams::{PACE, decode, events, header, json_of, names, reply, run};
use crate::{
    engine::{ErrorText, Refusal, StreamFault},
    wire::{
        request::Dialect,
        script::{Act, Script},
    },
};

fn with_fault(fault: StreamFault) -> (Vec<(Duration, Bytes)>, Option<Act>, Script) {
    let mut script = Script::new(reply(Dialect::Converse, 10, None), PACE, Some(fault));
    let (sent, end) = run(&mut script);
    (sent, end, script)
}

// A cut comes between two frames; what was sent before it is whole.
#[test]
fn cut_comes_between_frames() {
    for events in 0..=7 {
        let (sent, end, script) = with_fault(StreamFault::CutAfter { events });
        assert_eq!(decode(&sent).len(), events as usize);
        assert!(matches!(end, Some(Act::Cut)));
        assert!(!script.is_complete());
    }
}

// A cut that lies beyond the end never comes.
#[test]
fn cut_beyond_the_end_is_none() {
    let (sent, end, script) = with_fault(StreamFault::CutAfter { events: 8 });
    assert_eq!(decode(&sent).len(), 7);
    assert!(matches!(end, Some(Act::End)));
    assert!(script.is_complete());
}

// A body that ends inside a frame has all frames before it, and then less than one.
#[test]
fn body_ends_inside_a_frame() {
    let (sent, end, script) = with_fault(StreamFault::CloseInsideFrame { events: 2 });
    assert!(matches!(end, Some(Act::End)));
    assert_eq!(decode(&sent[..2]).len(), 2);
    assert_eq!(sent.len(), 3);
    let mut rest = BytesMut::from(&sent[2].1[..]);
    let decoded = MessageFrameDecoder::new()
        .decode_frame(&mut rest)
        .expect("no error yet");
    assert!(matches!(decoded, DecodedFrame::Incomplete));
    // Half a delta was not sent.
    assert_eq!(script.tokens_sent(), 3);
    assert!(!script.is_complete());
}

// A stall holds everything behind it back by its length, or for ever.
#[test]
fn stall_holds_the_rest_back() {
    let long = Duration::from_secs(60);
    let (calm, ..) = with_fault(StreamFault::CutAfter { events: 99 });
    let (sent, end, script) = with_fault(StreamFault::StallAfter {
        events: 2,
        lasts: Some(long),
    });
    for (index, ((calm, _), (due, _))) in calm.iter().zip(&sent).enumerate() {
        let stalled = if index < 2 { Duration::ZERO } else { long };
        assert_eq!(*due, *calm + stalled, "event {index}");
    }
    assert!(matches!(end, Some(Act::End)) && script.is_complete());

    let (sent, end, script) = with_fault(StreamFault::StallAfter {
        events: 2,
        lasts: None,
    });
    assert_eq!(sent.len(), 2);
    assert!(end.is_none() && !script.is_complete());
}

// An exception frame has the camel-case name of its member, and ends the stream in good order.
#[test]
fn exception_ends_the_stream() {
    let refusal = Refusal::known(ErrorText::TokensPerMinute, "", 0);
    let (sent, end, script) = with_fault(StreamFault::ExceptionAfter { events: 2, refusal });
    assert!(matches!(end, Some(Act::End)));
    let messages = decode(&sent);
    assert_eq!(messages.len(), 3);
    let last = &messages[2];
    assert_eq!(header(last, ":message-type"), "exception");
    assert_eq!(header(last, ":exception-type"), "throttlingException");
    assert_eq!(
        json_of(last),
        json!({"message": "Too many tokens, please wait before trying again."})
    );
    assert_eq!(script.tokens_sent(), 3);
    assert!(!script.is_complete());
}

// A wrong checksum befalls one frame, which is otherwise whole.
#[test]
fn checksum_is_wrong_once() {
    let (sent, _, _) = with_fault(StreamFault::BadCrcAfter { events: 2 });
    assert_eq!(decode(&sent[..2]).len(), 2);
    let mut wrong = BytesMut::from(&sent[2].1[..]);
    assert!(MessageFrameDecoder::new().decode_frame(&mut wrong).is_err());
    assert_eq!(decode(&sent[3..]).len(), 4);
}

// A payload that is not JSON befalls one frame, whose checksum is right.
#[test]
fn payload_is_no_json_once() {
    let (sent, _, _) = with_fault(StreamFault::InvalidJsonAfter { events: 2 });
    let messages = decode(&sent);
    let sound = messages
        .iter()
        .map(|m| serde_json::from_slice::<Value>(m.payload()).is_ok());
    assert_eq!(
        sound.collect::<Vec<_>>(),
        [true, true, false, true, true, true, true]
    );
}

// A stream without its end has all of the content, but neither stop nor usage.
#[test]
fn end_is_missing() {
    let (sent, end, script) = with_fault(StreamFault::NoMessageStop);
    assert_eq!(
        names(&events(&sent)),
        ["messageStart", "contentBlockDelta", "contentBlockStop"]
    );
    assert!(matches!(end, Some(Act::End)));
    assert!(!script.is_complete());
    assert_eq!(script.tokens_sent(), 10);
}
