//! Streams: their events, their pace, and what goes wrong with them.

use std::time::Duration;

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::plain;
use crate::wire::{
    answer::{Answer, ToolCall},
    reply::Reply,
    request::Dialect,
    script::{Act, Pace, Script},
};

const FIRST: Duration = Duration::from_secs(2);
const PER_TOKEN: Duration = Duration::from_millis(10);
pub(super) const PACE: Pace = Pace {
    first_token_after: FIRST,
    per_token: PER_TOKEN,
};

pub(super) fn reply(dialect: Dialect, tokens: u64, tool: Option<ToolCall>) -> Reply {
    Reply {
        dialect,
        model_id: "model".to_owned(),
        message_id: "msg_bdrk_1".to_owned(),
        input: plain(7),
        answer: Answer {
            tokens,
            hit_max_tokens: false,
            bytes_per_token: 4.0,
            tool,
        },
        tier: None,
        latency_mode: None,
    }
}

fn weather() -> ToolCall {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "größe": {"type": "integer"}}});
    ToolCall::new("tooluse_1".to_owned(), "weather".to_owned(), &schema)
}

/// Runs a script to its end: what is sent when, and how it ends.
pub(super) fn run(script: &mut Script) -> (Vec<(Duration, Bytes)>, Option<Act>) {
    let mut sent = Vec::new();
    while let Some(due) = script.due() {
        match script.act(due).expect("a frame that can be written") {
            Act::Send(bytes) => sent.push((due, bytes)),
            end => return (sent, Some(end)),
        }
    }
    (sent, None)
}

pub(super) fn decode(frames: &[(Duration, Bytes)]) -> Vec<Message> {
    let mut bytes = BytesMut::new();
    frames
        .iter()
        .for_each(|(_, frame)| bytes.extend_from_slice(frame));
    let mut decoder = MessageFrameDecoder::new();
    let mut messages = Vec::new();
    while let DecodedFrame::Complete(message) =
        decoder.decode_frame(&mut bytes).expect("a sound frame")
    {
        messages.push(message);
    }
    assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
    messages
}

pub(super) fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    let header = message
        .headers()
        .iter()
        .find(|header| header.name().as_str() == name);
    header
        .and_then(|header| header.value().as_string().ok())
        .map_or("", |value| value.as_str())
}

pub(super) fn json_of(message: &Message) -> Value {
    serde_json::from_slice(message.payload()).expect("JSON")
}

/// Name and payload of each event; of `chunk`s, what is inside.
pub(super) fn events(frames: &[(Duration, Bytes)]) -> Vec<(String, Value)> {
    let unwrap = |message: &Message| {
        assert_eq!(header(message, ":message-type"), "event");
        assert_eq!(header(message, ":content-type"), "application/json");
        let payload = json_of(message);
        let name = header(message, ":event-type");
        if name != "chunk" {
            return (name.to_owned(), payload);
        }
        let bytes = STANDARD
            .decode(payload["bytes"].as_str().expect("base64"))
            .expect("base64");
        let event: Value = serde_json::from_slice(&bytes).expect("JSON");
        let name = match event["type"].as_str() {
            Some(name) => name.to_owned(),
            None => event
                .as_object()
                .and_then(|event| event.keys().find(|key| !key.contains('-')))
                .expect("a name")
                .clone(),
        };
        (name, event)
    };
    decode(frames).iter().map(unwrap).collect()
}

pub(super) fn names(events: &[(String, Value)]) -> Vec<&str> {
    let mut names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    names
}

// The events of every format come in their order, the usage last of all.
#[test]
fn events_keep_their_order() {
    for (dialect, expected) in [
        (
            Dialect::Converse,
            [
                "messageStart",
                "contentBlockDelta",
                "contentBlockStop",
                "messageStop",
                "metadata",
            ]
            .as_slice(),
        ),
        (
            Dialect::Nova,
            &[
                "messageStart",
                "contentBlockDelta",
                "contentBlockStop",
                "messageStop",
                "metadata",
            ],
        ),
        (
            Dialect::Anthropic,
            &[
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ],
        ),
    ] {
        let mut script = Script::new(reply(dialect, 20, None), PACE, None);
        let (sent, end) = run(&mut script);
        assert!(matches!(end, Some(Act::End)));
        let events = events(&sent);
        assert_eq!(names(&events), expected);
        assert!(script.is_complete());
        let (_, last) = events.last().expect("an event");
        match dialect {
            Dialect::Converse => {
                assert_eq!(last["usage"]["inputTokens"], 7);
                assert_eq!(last["usage"]["outputTokens"], 20);
                assert_eq!(last["usage"]["totalTokens"], 27);
            }
            Dialect::Nova | Dialect::Anthropic => {
                let metrics = &last["amazon-bedrock-invocationMetrics"];
                assert_eq!(metrics["inputTokenCount"], 7);
                assert_eq!(metrics["outputTokenCount"], 20);
                assert_eq!(metrics["firstByteLatency"], 2000);
                assert_eq!(metrics["invocationLatency"], 2000 + 190);
            }
        }
    }
}

// A tool's block is announced, and the pieces of its input make JSON that fits its schema.
#[test]
fn tool_input_arrives_in_pieces() {
    for dialect in [Dialect::Converse, Dialect::Nova, Dialect::Anthropic] {
        let (sent, _) = run(&mut Script::new(
            reply(dialect, 40, Some(weather())),
            PACE,
            None,
        ));
        let events = events(&sent);
        let pieces: Vec<_> = events
            .iter()
            .filter_map(|(name, event)| match (dialect, name.as_str()) {
                (Dialect::Converse, "contentBlockDelta") => {
                    event["delta"]["toolUse"]["input"].as_str()
                }
                (Dialect::Nova, "contentBlockDelta") => {
                    event["contentBlockDelta"]["delta"]["toolUse"]["input"].as_str()
                }
                (Dialect::Anthropic, "content_block_delta") => {
                    event["delta"]["partial_json"].as_str()
                }
                _ => None,
            })
            .collect();
        assert!(pieces.len() > 2);
        let input: Value = serde_json::from_str(&pieces.concat()).expect("JSON");
        assert!(input["city"].is_string() && input["größe"].is_number());
        let start = events
            .iter()
            .find(|(name, _)| name.ends_with("tart") && name.contains("lock"));
        assert!(
            start
                .expect("a start")
                .1
                .to_string()
                .contains(r#""name":"weather""#)
        );
    }
}

// A tool's input fits its schema, where that says what is wanted in one of the plain ways.
#[test]
fn tool_input_fits_its_schema() {
    for (schema, input) in [
        (json!({"const": 7}), json!(7)),
        (json!({"enum": ["c", "f"]}), json!("c")),
        (json!({"type": "string"}), json!("simulated")),
        (json!({"type": ["integer", "null"], "minimum": 3}), json!(3)),
        (
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            json!(null),
        ),
        (json!({"oneOf": [{"type": "boolean"}]}), json!(true)),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!([]),
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!(["simulated"]),
        ),
        (json!({"type": "object"}), json!({})),
    ] {
        let schema = json!({"type": "object", "properties": {"field": schema}});
        let call = ToolCall::new(String::new(), String::new(), &schema);
        assert_eq!(call.input, json!({"field": input}), "{schema}");
    }
}

// The first event comes with the first token, each delta with its last token, and the stream takes as
// long as the whole answer would.
#[test]
fn stream_keeps_the_pace() {
    let (sent, _) = run(&mut Script::new(
        reply(Dialect::Converse, 10, None),
        PACE,
        None,
    ));
    let times: Vec<_> = sent.iter().map(|(due, _)| *due).collect();
    let token = |number: u32| FIRST + PER_TOKEN * (number - 1);
    let expected = [
        FIRST,
        token(3),
        token(6),
        token(10),
        token(10),
        token(10),
        token(10),
    ];
    assert_eq!(times, expected);
    assert_eq!(PACE.due(10), token(10));
}

// A stream counts what it has sent, token by token, for whoever has to settle it.
#[test]
fn tokens_sent_are_counted() {
    let mut script = Script::new(reply(Dialect::Converse, 10, None), PACE, None);
    let mut counts = Vec::new();
    for _ in 0..7 {
        script.act(FIRST).expect("a frame");
        counts.push((script.tokens_sent(), script.is_complete()));
    }
    let expected = [
        (0, false),
        (3, false),
        (6, false),
        (10, false),
        (10, false),
        (10, false),
        (10, true),
    ];
    assert_eq!(counts, expected);
}

// What has been generated by a time is what is due by it.
#[test]
fn pace_is_its_own_inverse() {
    for tokens in 1..20 {
        let due = PACE.due(tokens);
        assert_eq!(PACE.tokens_by(due, 100), tokens);
        assert_eq!(
            PACE.tokens_by(due - Duration::from_nanos(1), 100),
            tokens - 1
        );
    }
    assert_eq!(PACE.tokens_by(PACE.due(50), 20), 20);
    let at_once = Pace {
        first_token_after: FIRST,
        per_token: Duration::ZERO,
    };
    assert_eq!(at_once.tokens_by(FIRST, 20), 20);
    assert_eq!(at_once.tokens_by(FIRST - PER_TOKEN, 20), 0);
}

proptest! {
    // Of whatever length, the deltas make the same text as the whole answer, are bounded in number,
    // and count exactly the tokens that were asked for.
    #[test]
    fn deltas_make_the_answer(tokens in 0_u64..5_000, bytes_per_token in 0.5_f64..8.0) {
        let answer = Answer { tokens, hit_max_tokens: false, bytes_per_token, tool: None };
        let deltas = answer.deltas();
        prop_assert!((1..=256).contains(&deltas));
        let streamed: String = (0..deltas).map(|index| answer.delta(index)).collect();
        prop_assert_eq!(&streamed, &answer.text());
        prop_assert_eq!(streamed.len(), (tokens as f64 * bytes_per_token) as usize);
        prop_assert_eq!(answer.tokens_after(deltas), tokens);
    }
}
