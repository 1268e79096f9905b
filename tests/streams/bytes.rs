//! Streams byte by byte: what others recorded of the service, and the vectors that AWS publishes,
//! through the SDK's decoder as the layers use it.

use std::ops::Range;

use bedrock_sim::{Recording, RecordingEnd};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tower_bedrock::Cause;

use crate::{outcome::End, player::play_each, recordings::begun, row::Calls};

/// A stream as the service sent it.
struct Recorded {
    calls: Calls,
    bytes: &'static [u8],
    /// What its events are, each in a word.
    events: &'static [&'static str],
    /// Which is the first with content, and which the last of the answer.
    answer: Range<usize>,
}

impl Recorded {
    /// Where each frame ends.
    fn ends(&self) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut rest = self.bytes;
        while let Some((length, _)) = rest.split_first_chunk() {
            rest = &rest[u32::from_be_bytes(*length) as usize..];
            ends.push(self.bytes.len() - rest.len());
        }
        ends
    }

    /// What is to come of a stream that is sound up to its frame `frames`, and fails with `cause`.
    fn broken_after(&self, frames: usize, cause: Cause) -> (End, &'static [&'static str]) {
        if frames >= self.answer.end {
            (End::Whole, &self.events[..frames])
        } else if frames > self.answer.start {
            (End::Broken(cause), &self.events[..frames])
        } else {
            (End::Refused(cause), &[])
        }
    }
}

// What these are stands in `recorded/README.md`.

fn nova_text() -> Recorded {
    Recorded {
        calls: Calls::Converse,
        bytes: include_bytes!("recorded/nova_text.bin"),
        events: &[
            "start",
            "text:Hello",
            "text:",
            "block-stop",
            "stop",
            "metadata",
        ],
        answer: 1..5,
    }
}

fn nova_tool() -> Recorded {
    Recorded {
        calls: Calls::Converse,
        bytes: include_bytes!("recorded/nova_tool.bin"),
        events: &[
            "start",
            "tool:get_weather",
            "input:{\"city\":\"Paris\"}",
            "block-stop",
            "stop",
            "metadata",
        ],
        answer: 1..5,
    }
}

fn pi() -> Recorded {
    Recorded {
        calls: Calls::Converse,
        bytes: include_bytes!("recorded/pi.bin"),
        events: &[
            "start",
            "text:Pi (π) is a mathematical constant that represents the \
             circumference-to-diameter ratio of a circle. It's approximately 3.14159.",
            "block-stop",
            "stop",
            "metadata",
        ],
        answer: 1..4,
    }
}

fn claude() -> Recorded {
    Recorded {
        calls: Calls::Claude,
        bytes: include_bytes!("recorded/claude.bin"),
        events: &[
            "message_start",
            "content_block_start",
            "content_block_delta:Hi",
            "content_block_delta:!",
            "content_block_delta: ",
            "content_block_delta:👋 How",
            "content_block_delta: are you doing today?",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ],
        answer: 1..10,
    }
}

fn of_bytes(bytes: &[u8]) -> Recording {
    Recording::new().bytes(bytes)
}

/// What the service sent is what the caller gets, in pieces of any size.
#[tokio::test(start_paused = true)]
async fn recorded_streams_are_read_in_pieces_of_any_size() {
    for stream in [nova_text(), nova_tool(), pi(), claude()] {
        let sizes = (1..=64).chain([127, 500, 5000]);
        let recordings = sizes.map(|size| of_bytes(stream.bytes).in_chunks_of(size));
        let recordings = recordings.collect();
        play_each(stream.calls, recordings, |_, outcome| {
            assert_eq!(outcome.end, End::Whole, "{:?}", outcome.error);
            assert_eq!(outcome.events, stream.events);
        })
        .await;
    }
}

/// Cut at any byte, however politely, a stream is whole only if its end was there; else it is cut
/// short, and what came before is delivered.
#[tokio::test(start_paused = true)]
async fn a_cut_at_any_byte_is_no_end() {
    for stream in [nova_text(), claude()] {
        let ends = stream.ends();
        let recordings = (0..=stream.bytes.len()).map(|cut| {
            let recording = of_bytes(&stream.bytes[..cut]);
            match cut % 3 {
                0 => recording,
                // The last bytes come alone.
                1 => recording.in_chunks_of(cut.div_ceil(2)),
                _ => recording.end(RecordingEnd::Cut),
            }
        });
        play_each(stream.calls, recordings.collect(), |cut, outcome| {
            let frames = ends.iter().filter(|&&end| end <= cut).count();
            let (end, events) = stream.broken_after(frames, Cause::StreamTruncated);
            assert_eq!(outcome.end, end, "cut at {cut}: {:?}", outcome.error);
            assert_eq!(outcome.events, events, "cut at {cut}");
        })
        .await;
    }
}

/// A byte that changes on its way is noticed wherever it stands: nothing of its frame, and nothing
/// after it, is delivered. A length that became larger waits for what never comes.
#[tokio::test(start_paused = true)]
async fn a_byte_that_changes_is_noticed() {
    for stream in [nova_tool(), pi()] {
        let ends = stream.ends();
        let recordings = (0..stream.bytes.len()).map(|at| {
            let mut bytes = stream.bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            of_bytes(&bytes)
        });
        play_each(stream.calls, recordings.collect(), |at, outcome| {
            let frames = ends.iter().filter(|&&end| end <= at).count();
            let failed = stream.broken_after(frames, Cause::StreamFailed);
            let truncated = stream.broken_after(frames, Cause::StreamTruncated);
            let is_one_of = [failed, truncated]
                .iter()
                .any(|(end, events)| outcome.end == *end && outcome.events == *events);
            assert!(is_one_of, "byte {at}: {outcome:?}");
        })
        .await;
    }
}

/// What `chance` makes of a stream: frames and bytes that are lost, doubled, moved or changed, and
/// noise.
fn garble(stream: &Recorded, chance: &mut StdRng) -> Vec<u8> {
    let mut starts = vec![0];
    starts.extend(stream.ends());
    let mut frames: Vec<_> = starts
        .windows(2)
        .map(|frame| stream.bytes[frame[0]..frame[1]].to_vec())
        .collect();
    for _ in 0..chance.random_range(1..4) {
        let (at, other) = (
            chance.random_range(0..frames.len()),
            chance.random_range(0..frames.len()),
        );
        match chance.random_range(0..4) {
            0 => frames.swap(at, other),
            1 => frames[at] = frames[other].clone(),
            2 => frames[at].truncate(chance.random_range(0..50)),
            _ => {
                frames[at] = (0..chance.random_range(0..50))
                    .map(|_| chance.random())
                    .collect()
            }
        }
    }
    frames.concat()
}

/// Whatever comes, nothing panics or hangs; nothing is delivered but what was sent, and without its
/// last event no answer is whole.
#[tokio::test(start_paused = true)]
async fn no_noise_passes_for_an_answer() {
    let mut chance = StdRng::seed_from_u64(19);
    for (stream, last) in [(nova_text(), "stop"), (claude(), "message_stop")] {
        let recordings = (0..500).map(|_| of_bytes(&garble(&stream, &mut chance)));
        let (mut whole, mut broken) = (0, 0);
        play_each(stream.calls, recordings.collect(), |number, outcome| {
            let mut events = outcome.events.iter().map(String::as_str);
            assert!(events.all(|event| stream.events.contains(&event)));
            let has_last = outcome.events.iter().any(|event| event == last);
            assert_eq!(outcome.end == End::Whole, has_last, "{number}: {outcome:?}");
            whole += u32::from(has_last);
            broken += u32::from(!has_last);
        })
        .await;
        // Two frames that changed places do no harm.
        assert!(whole > 10 && broken > 100, "{whole} whole, {broken} broken");
    }
}

/// The vectors that the SDKs of AWS share (aws/aws-sdk-go, smithy-lang/smithy-typescript,
/// awslabs/amazon-transcribe-streaming-sdk): frames that are sound, though none of Bedrock's.
const SOUND: [&[u8]; 9] = [
    b"\0\0\0\x10\0\0\0\0\x05\xc2H\xeb}\x98\xc8\xff",
    b"\0\0\0\x17\0\0\0\x07)\x86\x01X\x04byte\x02\xff\xc2\xf8i\xdc",
    b"\0\0\0\x19\0\0\0\tq\x0e\x92>\x05short\x03\xff\xff\xb2|\xb6\xcc",
    b"\0\0\0\x1d\0\0\0\r\x83\xe3\xf0\xe7\x07integer\x04\xff\xff\xff\xff\x8b\x8e\x12\xeb",
    b"\0\0\0\x1e\0\0\0\x0e]J\xdb\x8d\x04long\x05\xff\xff\xff\xff\xff\xff\xff\xffK\xc22\xda",
    b"\0\0\0\x1d\0\0\0\0\xfdR\x8cZ{'foo':'bar'}\xc3e96",
    b"\0\0\0=\0\0\0 \x07\xfd\x83\x96\x0ccontent-type\x07\0\x10application/json{'foo':'bar'}\
      \x8d\x9c\x08\xb1",
    b"\0\0\0\x2d\0\0\0\x10A\xc4$\xb8\nevent-type\x04\0\0\xa0\x0c{'foo':'bar'}6\xf4\x80\xa0",
    b"\0\0\0b\0\0\0R\x03\xb5\xcb\x9c\x010\0\x011\x01\x012\x02\x02\x013\x03\0\x03\x014\x04\0\0\0\x04\
      \x015\x05\0\0\0\0\0\0\0\x05\x016\x06\0\x05bytes\x017\x07\0\x04utf8\x018\x08\0\0\0\0\0\0\0\x08\
      \x019\x090123456789abcdefc56q",
];

/// The same, damaged: a header, the length of the headers, the payload.
const DAMAGED: [&[u8]; 5] = [
    b"\0\0\0=\0\0\0 \x07\xfd\x83\x96\x0ccontent+type\x07\0\x10application/json{'foo':'bar'}\
      \x8d\x9c\x08\xb1",
    b"\0\0\0=\0\0\0 \x07\xfd\x83\x96\x0ccontent-type\x07\0\x10application/json{afoo':'bar'}\
      \x8d\x9c\x08\xb1",
    b"\0\0\0=\0\0\0!\x07\xfd\x83\x96\x0ccontent-type\x07\0\x10application/json{'foo':'bar'}\
      \x8d\x9c\x08\xb1",
    b"\0\0\0=\xff\0\x01\x02\x07\xfd\x83\x96\x0ccontent-type\x07\0\x10application/json{'foo':'bar'}\
      \x8d\x9c\x08\xb1",
    b"\0\0\0\x1d\0\0\0\0\xfdR\x8cZ{'foo':'bar'\x8d\xc3e96",
];

/// The same with a length that says more than comes: the decoder checks nothing before all is there.
const TOO_LONG: [&[u8]; 2] = [
    b"\0\0\0>\0\0\0 \x07\xfd\x83\x96\x0ccontent-type\x07\0\x10application/json{'foo':'bar'}\
      \x8d\x9c\x08\xb1",
    b"\x01\0\0\x1d\0\0\0\0\xfdR\x8cZ{'foo':'bar'}\xc3e96",
];

/// A frame that is sound but none of the operation's, one that is damaged, and one that ends too soon
/// all end the stream, and can be told apart; what came before them is delivered.
#[tokio::test(start_paused = true)]
async fn the_published_vectors_are_told_apart() {
    let (failed, truncated) = (Cause::StreamFailed, Cause::StreamTruncated);
    for (vectors, cause, message) in [
        (
            &SOUND[..],
            failed,
            "an event is not what the operation sends",
        ),
        (&DAMAGED[..], failed, "a frame is damaged"),
        (&TOO_LONG[..], truncated, "it ended within an event"),
    ] {
        let recordings = vectors.iter().map(|&vector| begun().bytes(vector));
        let recordings = recordings.collect();
        play_each(Calls::Converse, recordings, |number, outcome| {
            assert_eq!(
                outcome.end,
                End::Broken(cause),
                "vector {number}: {:?}",
                outcome.error
            );
            assert_eq!(outcome.events, ["start", "text:Hel", "text:lo"]);
            let said = outcome
                .error
                .and_then(|error| error.message().map(str::to_owned));
            assert_eq!(said.as_deref(), Some(message), "vector {number}");
        })
        .await;
    }
}

/// Frames that botocore decodes: an event with padding, an exception among headers of every type, and
/// an error that nobody declared. All three say what they say.
#[tokio::test(start_paused = true)]
async fn frames_that_botocore_reads_are_read() {
    let event = b"\0\0\0\x9f\0\0\0W\xc3{\xab\xff\x0b:event-type\x07\0\x11contentBlockDelta\
        \r:content-type\x07\0\x10application/json\r:message-type\x07\0\x05event\
        {\"contentBlockIndex\":0,\"delta\":{\"text\":\"Hi\"},\"p\":\"abcd\"}\xf2\xac\xe5\xff";
    let exception = b"\0\0\0\xae\0\0\0\x87\xd9\xe9\xe8\x1d\x01t\0\x01f\x01\x01b\x02\x7f\
        \x01s\x03\x01\x02\x01i\x04\x01\x02\x03\x04\x01l\x05\x01\x02\x03\x04\x05\x06\x07\x08\
        \x01y\x06\0\x03xyz\x01d\x08\0\0\x01\x92\0\0\0\0\x01u\x09\0\x01\x02\x03\x04\x05\x06\x07\x08\
        \x09\x0a\x0b\x0c\x0d\x0e\x0f\r:message-type\x07\0\x09exception\x0f:exception-type\x07\0\x13\
        throttlingException{\"message\":\"slow down\"}\x82\xd4\xack";
    let error = b"\0\0\0R\0\0\0B\xbf#c~\r:message-type\x07\0\x05error\x0b:error-code\x07\0\x04code\
        \x0e:error-message\x07\0\x07messagekl\xea=";
    let recordings = vec![
        begun().bytes(*event).bytes(*exception),
        begun().bytes(*event).bytes(*error),
    ];
    play_each(Calls::Converse, recordings, |number, outcome| {
        assert_eq!(outcome.events, ["start", "text:Hel", "text:lo", "text:Hi"]);
        let error = outcome.error.expect("an error");
        let says = (error.cause(), error.code(), error.message());
        let expected = [
            (
                Cause::Throttled,
                Some("ThrottlingException"),
                Some("slow down"),
            ),
            (Cause::Unknown, Some("code"), Some("message")),
        ];
        assert_eq!(says, expected[number]);
    })
    .await;
}
