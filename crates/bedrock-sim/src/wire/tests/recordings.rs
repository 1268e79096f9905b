//! Recorded streams.

use std::time::Duration;

use bytes::Bytes;

use super::streams::{PACE, decode, header, json_of, names, reply};
use crate::{
    Recording, RecordingEnd,
    engine::StreamFault,
    wire::{
        request::Dialect,
        script::{Act, Course},
    },
};

const TOKENS: u64 = 10;

fn play(recording: Recording) -> Course {
    let fault = StreamFault::Recording(recording);
    Course::new(reply(Dialect::Converse, TOKENS, None), PACE, Some(fault)).expect("sound frames")
}

/// Plays a recording to its end: what is sent when, and how it ends.
fn run(course: &mut Course) -> (Vec<(Duration, Bytes)>, Option<Act>) {
    let mut sent = Vec::new();
    while let Some(due) = course.due() {
        match course.act(due).expect("recorded frames are written before") {
            Act::Send(bytes) => sent.push((due, bytes)),
            end => return (sent, Some(end)),
        }
    }
    (sent, None)
}

// Each kind of frame has the headers that the service gives it, and its payload as it was recorded.
#[test]
fn frames_are_what_was_recorded() {
    let mut course = play(
        Recording::new()
            .event("messageStart", r#"{"role":"assistant"}"#)
            .chunk("hi")
            .exception("throttlingException", r#"{"message":"slow down"}"#)
            .error("InternalFailure", "oh"),
    );
    let (sent, end) = run(&mut course);
    assert!(matches!(end, Some(Act::End)));
    let messages = decode(&sent);
    let [event, chunk, exception, error] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert_eq!(header(event, ":message-type"), "event");
    assert_eq!(header(event, ":event-type"), "messageStart");
    assert_eq!(event.payload().as_ref(), br#"{"role":"assistant"}"#);
    assert_eq!(header(chunk, ":event-type"), "chunk");
    assert_eq!(json_of(chunk)["bytes"], "aGk=");
    assert_eq!(header(exception, ":message-type"), "exception");
    assert_eq!(header(exception, ":exception-type"), "throttlingException");
    assert_eq!(header(error, ":message-type"), "error");
    assert_eq!(header(error, ":error-code"), "InternalFailure");
    assert_eq!(header(error, ":error-message"), "oh");
    assert!(error.payload().is_empty());
}

// Cut into pieces of any size, the bytes are the same, and no piece but the last is shorter.
#[test]
fn chunks_have_their_size() {
    let recording = Recording::new()
        .event("messageStart", r#"{"role":"assistant"}"#)
        .bytes([7; 5])
        .event("messageStop", "{}");
    let whole = |chunks: &[(Duration, Bytes)]| {
        let chunks: Vec<_> = chunks.iter().map(|(_, chunk)| chunk.clone()).collect();
        chunks.concat()
    };
    let (frames, _) = run(&mut play(recording.clone()));
    assert_eq!(frames.len(), 3);
    for size in [1, 7, 12, 1000] {
        let (chunks, _) = run(&mut play(recording.clone().in_chunks_of(size)));
        assert_eq!(whole(&chunks), whole(&frames));
        let (last, others) = chunks.split_last().expect("bytes");
        assert!(others.iter().all(|(_, chunk)| chunk.len() == size));
        assert!((1..=size).contains(&last.1.len()));
    }
}

// A recording begins with the model's first token; a pause delays what comes after it, and no chunk
// spans one.
#[test]
fn pauses_delay_the_rest() {
    let pause = Duration::from_secs(3);
    let mut course = play(
        Recording::new()
            .event("messageStart", "{}")
            .pause(pause)
            .event("messageStop", "{}")
            .pause(pause)
            .in_chunks_of(1000),
    );
    let first = PACE.first_token_after;
    let (sent, end) = run(&mut course);
    let times: Vec<_> = sent.iter().map(|(due, _)| *due).collect();
    assert_eq!(times, [first, first + pause]);
    assert_eq!(course.due(), Some(first + pause * 2));
    assert!(matches!(end, Some(Act::End)));
}

// An end in good order is an answer of the model's length; a cut and a silence are no answer.
#[test]
fn only_a_good_end_is_an_answer() {
    for (end, is_complete) in [
        (RecordingEnd::Close, true),
        (RecordingEnd::Cut, false),
        (RecordingEnd::Stall, false),
    ] {
        let mut course = play(Recording::new().event("messageStart", "{}").end(end));
        assert!(!course.is_complete());
        let (sent, act) = run(&mut course);
        assert_eq!(names(&super::streams::events(&sent)), ["messageStart"]);
        assert_eq!(course.is_complete(), is_complete);
        assert_eq!(course.tokens_sent(), if is_complete { TOKENS } else { 0 });
        match end {
            RecordingEnd::Close => assert!(matches!(act, Some(Act::End))),
            RecordingEnd::Cut => assert!(matches!(act, Some(Act::Cut))),
            RecordingEnd::Stall => assert!(act.is_none()),
        }
    }
}
