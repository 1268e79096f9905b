//! The wire of an event stream.

use aws_sdk_bedrockruntime::{
    operation::{
        converse_stream::ConverseStreamInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    primitives::{Blob, event_stream::EventReceiver},
};
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_types::{
    base64,
    event_stream::{Header, HeaderValue, Message},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use tower_bedrock::{Cause, Error, Request, ResponseStream, StreamEvent};

use super::wire::{Answer, MODEL, Rig};

/// What the letters of the first line say; its digits are how many bytes come at a time.
struct Plan {
    /// `i`: InvokeModelWithResponseStream, not ConverseStream.
    invokes: bool,
    /// `f`: the rest is lines that become frames, not the wire itself.
    is_framed: bool,
    /// `r`: the connection breaks at the end.
    breaks: bool,
    piece: usize,
}

/// How reading came to its end.
#[derive(Debug)]
enum End {
    /// `None` and no error: the answer is whole.
    Whole,
    Failed(Option<Cause>),
}

/// What is really on the wire.
#[derive(Debug, Default)]
struct Truth {
    frames: usize,
    /// A last event came, and no exception before it.
    has_end: bool,
    /// All of it is sound frames.
    is_sound: bool,
}

/// Any wire is read to an end, above the SDK and inside of it. No more events come than there are
/// frames; an answer that counts as whole has its last event; one that fails has a cause.
pub fn event_streams(data: &[u8]) {
    let (head, rest) = match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => return,
    };
    let plan = Plan::of(head);
    let wire = if plan.is_framed {
        framed(rest, plan.invokes)
    } else {
        rest.to_vec()
    };
    let truth = truth(&wire, plan.invokes);

    let mut headers = HeaderMap::new();
    let content_type = http::HeaderValue::from_static("application/vnd.amazon.eventstream");
    headers.insert("content-type", content_type);
    let piece = if plan.piece == 0 {
        wire.len().max(1)
    } else {
        plan.piece
    };
    let answer = Answer {
        status: StatusCode::OK,
        headers,
        pieces: wire.chunks(piece).map(Bytes::copy_from_slice).collect(),
        breaks: plan.breaks,
    };
    let (above, inside) = Rig::answering(answer, |rig| {
        rig.runtime.block_on(async {
            if plan.invokes {
                (invoked_above(rig).await, invoked_inside(rig).await)
            } else {
                (conversed_above(rig).await, conversed_inside(rig).await)
            }
        })
    });
    for (face, (end, events)) in [("above", &above), ("inside", &inside)] {
        assert!(
            *events <= truth.frames,
            "{events} events {face} of {truth:?}"
        );
        match end {
            // A format that is not known ends where its connection is closed in good order.
            End::Whole => assert!(
                truth.has_end || plan.invokes && truth.is_sound && !plan.breaks,
                "{end:?} {face} of {truth:?}"
            ),
            End::Failed(cause) => {
                assert!(
                    cause.is_none_or(|cause| !cause.is_own_refusal()),
                    "{end:?} {face}"
                );
            }
        }
    }
}

impl Plan {
    fn of(head: &[u8]) -> Self {
        let digits = head.iter().filter(|byte| byte.is_ascii_digit());
        Self {
            invokes: head.contains(&b'i'),
            is_framed: head.contains(&b'f'),
            breaks: head.contains(&b'r'),
            piece: digits.fold(0, |piece, digit| {
                (piece * 10 + usize::from(digit - b'0')) % 10_000
            }),
        }
    }
}

// === the wire ===

/// Frames of lines: an event's type, a blank and its payload. An exception begins with `!`, an error
/// that no operation has with `?`, and what comes as it is with `~`. Chunks are what is in them.
fn framed(lines: &[u8], invokes: bool) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let (kind, line) = match line.split_first() {
            Some((b'~', raw)) => {
                wire.extend_from_slice(raw);
                continue;
            }
            Some((b'!', line)) => ("exception", line),
            Some((b'?', line)) => ("error", line),
            _ => ("event", line),
        };
        let (name, payload) = match line.iter().position(|&byte| byte == b' ') {
            Some(end) => (&line[..end], &line[end + 1..]),
            None => (line, &line[line.len()..]),
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let payload = if invokes && name == "chunk" {
            format!(r#"{{"bytes":"{}"}}"#, base64::encode(payload)).into_bytes()
        } else {
            payload.to_vec()
        };
        let named = match kind {
            "error" => ":error-code",
            "exception" => ":exception-type",
            _ => ":event-type",
        };
        let mut message = Message::new(payload);
        for (header, value) in [
            (":message-type", kind.to_owned()),
            (named, name),
            (":content-type", "application/json".to_owned()),
        ] {
            message = message.add_header(Header::new(header, HeaderValue::String(value.into())));
        }
        // What no frame can hold is left out.
        let mut frame = Vec::new();
        if write_message_to(&message, &mut frame).is_ok() {
            wire.extend_from_slice(&frame);
        }
    }
    wire
}

/// Reads the whole wire at once, with nothing of what is tested.
fn truth(wire: &[u8], invokes: bool) -> Truth {
    let mut truth = Truth::default();
    let mut has_broken = false;
    let mut decoder = MessageFrameDecoder::new();
    let mut rest = wire;
    loop {
        let had = rest.len();
        match decoder.decode_frame(&mut rest) {
            Ok(DecodedFrame::Complete(message)) => {
                truth.frames += 1;
                truth.is_sound = rest.is_empty();
                let (name, is_event) = named(&message);
                has_broken |= !is_event;
                truth.has_end |= !has_broken
                    && if invokes {
                        ends(message.payload())
                    } else {
                        name == "messageStop"
                    };
            }
            Ok(_) => {
                truth.is_sound = had == 0;
                return truth;
            }
            Err(_) => {
                truth.is_sound = false;
                return truth;
            }
        }
    }
}

fn named(message: &Message) -> (&str, bool) {
    let header = |name: &str| {
        let mut headers = message.headers().iter();
        let header = headers.find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|value| value.as_str())
    };
    let is_event = !matches!(header(":message-type"), Some("exception" | "error"));
    (header(":event-type").unwrap_or_default(), is_event)
}

/// Whether a chunk says anywhere what ends an answer in some format.
fn ends(payload: &[u8]) -> bool {
    fn says(value: &Value) -> bool {
        const ENDS: [&str; 7] = [
            "messageStop",
            "message_stop",
            "stop_reason",
            "finish_reason",
            "is_finished",
            "completionReason",
            "amazon-bedrock-invocationMetrics",
        ];
        match value {
            Value::String(text) => ENDS.contains(&text.as_str()),
            Value::Array(values) => values.iter().any(says),
            Value::Object(fields) => fields
                .iter()
                .any(|(name, value)| ENDS.contains(&name.as_str()) || says(value)),
            _ => false,
        }
    }
    let payload: Option<Value> = serde_json::from_slice(payload).ok();
    let bytes = payload.and_then(|payload| base64::decode(payload["bytes"].as_str()?).ok());
    let chunk = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    chunk.is_some_and(|chunk: Value| says(&chunk))
}

// === reading it ===

async fn conversed_above(rig: &Rig) -> (End, usize) {
    let input = ConverseStreamInput::builder().model_id(MODEL).build();
    let input = Request::from(input.expect("no field is required"));
    read(rig.layers.clone().oneshot(input).await).await
}

async fn invoked_above(rig: &Rig) -> (End, usize) {
    let input = InvokeModelWithResponseStreamInput::builder()
        .model_id(MODEL)
        .body(Blob::new("{}"))
        .build();
    let input = Request::from(input.expect("no field is required"));
    read(rig.layers.clone().oneshot(input).await).await
}

async fn read<E: StreamEvent>(answer: Result<ResponseStream<E>, Error>) -> (End, usize) {
    let mut stream = match answer {
        Ok(stream) => stream,
        Err(error) => return (End::Failed(Some(error.cause())), 0),
    };
    let mut events = 0;
    while let Some(event) = stream.next().await {
        match event {
            Ok(_) => events += 1,
            Err(error) => {
                assert!(!stream.is_complete());
                assert!(stream.next().await.is_none(), "something after an error");
                return (End::Failed(Some(error.cause())), events);
            }
        }
    }
    assert!(stream.is_complete());
    (End::Whole, events)
}

async fn conversed_inside(rig: &Rig) -> (End, usize) {
    match rig.client.converse_stream().model_id(MODEL).send().await {
        Ok(answer) => received(answer.stream).await,
        Err(error) => (End::Failed(Some(Cause::of_sdk(&error))), 0),
    }
}

async fn invoked_inside(rig: &Rig) -> (End, usize) {
    let call = rig.client.invoke_model_with_response_stream();
    match call.model_id(MODEL).body(Blob::new("{}")).send().await {
        Ok(answer) => received(answer.body).await,
        Err(error) => (End::Failed(Some(Cause::of_sdk(&error))), 0),
    }
}

async fn received<T, E>(mut stream: EventReceiver<T, E>) -> (End, usize)
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut events = 0;
    loop {
        match stream.recv().await {
            Ok(Some(_)) => events += 1,
            Ok(None) => return (End::Whole, events),
            // Of what the SDK itself cannot read, it is the SDK who tells.
            Err(_) => return (End::Failed(None), events),
        }
    }
}
