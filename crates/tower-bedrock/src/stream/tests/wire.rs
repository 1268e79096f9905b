use super::super::wire;
use super::*;

/// What comes of a stream of chunks: bytes generated, whether it ended, the counts, whether a cut
/// would be noticed.
fn read(chunks: &[&str]) -> (u64, bool, Option<Usage>, bool) {
    let (mut bytes, mut is_end, mut known) = (0, false, false);
    let mut counts = TokenCounts::default();
    for chunk in chunks {
        assert!(!is_end || !wire::chunk_facts(chunk.as_bytes()).is_content);
        let facts = wire::chunk_facts(chunk.as_bytes());
        bytes += facts.output_bytes;
        is_end |= facts.is_end;
        known |= facts.has_known_end;
        if let Some(more) = &facts.counts {
            counts.update(more);
        }
    }
    (bytes, is_end, counts.usage(None), known)
}

const fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage {
        input,
        output,
        cache_read: 0,
        cache_write: 0,
    })
}

/// Each family's own stream: its text is measured, its end is seen, its counts are taken; and
/// without its last chunk it has not ended.
#[test]
fn every_family_has_its_own_end() {
    let metrics = r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":5,"invocationLatency":1,"firstByteLatency":1}}"#;
    let families: &[(&str, &[&str], u64, Option<Usage>)] = &[
        (
            "Anthropic messages",
            &[
                r#"{"type":"message_start","message":{"model":"m","role":"assistant","content":[],"usage":{"input_tokens":7,"output_tokens":1}}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"ping"}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
                r#"{"type":"content_block_stop","index":0}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}}"#,
                r#"{"type":"message_stop"}"#,
            ],
            2 + 5 + 5,
            usage(7, 5),
        ),
        (
            "Anthropic text",
            &[
                r#"{"completion":" Hello","stop_reason":null,"stop":null}"#,
                r#"{"completion":".","stop_reason":"stop_sequence","stop":"\n\nHuman:"}"#,
            ],
            7,
            None,
        ),
        (
            "Nova",
            &[
                r#"{"messageStart":{"role":"assistant"}}"#,
                r#"{"contentBlockDelta":{"delta":{"text":"Hello"},"contentBlockIndex":0}}"#,
                r#"{"contentBlockDelta":{"delta":{"reasoningContent":{"reasoningText":{"text":"Hm"}}},"contentBlockIndex":0}}"#,
                r#"{"contentBlockStop":{"contentBlockIndex":0}}"#,
                r#"{"messageStop":{"stopReason":"end_turn"}}"#,
            ],
            7,
            None,
        ),
        (
            "Llama",
            &[
                r#"{"generation":"","prompt_token_count":7,"generation_token_count":1,"stop_reason":null}"#,
                r#"{"generation":"Hello","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}"#,
                r#"{"generation":"","prompt_token_count":null,"generation_token_count":5,"stop_reason":"stop"}"#,
            ],
            5,
            usage(7, 5),
        ),
        (
            "Mistral text",
            &[
                r#"{"outputs":[{"text":"Hello","stop_reason":null}]}"#,
                r#"{"outputs":[{"text":"","stop_reason":"stop"}]}"#,
            ],
            5,
            None,
        ),
        (
            "chat completions",
            &[
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"Hello","reasoning":null,"reasoning_content":null},"finish_reason":null,"stop_reason":null}]}"#,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}"#,
            ],
            5,
            usage(7, 5),
        ),
        (
            "chat completions of Mistral",
            &[
                r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"stop_reason":null}]}"#,
                r#"{"choices":[{"index":0,"message":{"role":"assistant","content":""},"stop_reason":"stop"}]}"#,
            ],
            5,
            None,
        ),
        (
            "Cohere",
            &[
                r#"{"event_type":"text-generation","text":"Hello","is_finished":false}"#,
                r#"{"event_type":"stream-end","text":"Hello","is_finished":true,"finish_reason":"COMPLETE"}"#,
            ],
            5,
            None,
        ),
        (
            "Cohere at once",
            &[r#"{"generations":[{"id":"1","text":"Hello","finish_reason":"COMPLETE"}]}"#],
            5,
            None,
        ),
        (
            "Titan",
            &[
                r#"{"outputText":"Hello","index":0,"totalOutputTextTokenCount":null,"completionReason":null,"inputTextTokenCount":7}"#,
                r#"{"outputText":"","index":0,"totalOutputTextTokenCount":5,"completionReason":"FINISH","inputTextTokenCount":null}"#,
            ],
            5,
            usage(7, 5),
        ),
    ];
    for (name, chunks, bytes, counts) in families {
        assert_eq!(read(chunks), (*bytes, true, *counts, true), "{name}");
        if let [cut @ .., _] = chunks
            && !cut.is_empty()
        {
            let (_, is_end, _, is_known) = read(cut);
            assert_eq!((is_end, is_known), (false, true), "{name}, cut");
        }
        // What Bedrock adds ends every format, and its counts are the last word.
        let with_metrics: Vec<_> = chunks.iter().copied().chain([metrics]).collect();
        assert_eq!(
            read(&with_metrics),
            (*bytes, true, usage(7, 5), true),
            "{name}"
        );
    }
}

/// The counts of Nova come after its end, in metadata; those of a chat in a chunk without choices.
#[test]
fn counts_may_come_after_the_end() {
    let nova = wire::chunk_facts(
        br#"{"metadata":{"usage":{"inputTokens":7,"outputTokens":5,"totalTokens":24,"cacheReadInputTokenCount":12,"cacheWriteInputTokenCount":0},"metrics":{},"trace":{}},"amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":5,"cacheReadInputTokenCount":12}}"#,
    );
    let expected = Usage {
        cache_read: 12,
        ..USAGE
    };
    assert_eq!(nova.counts.unwrap().usage(None), Some(expected));
    assert!(nova.counts_are_final);

    let chat = wire::chunk_facts(
        br#"{"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":5,"total_tokens":24,"prompt_tokens_details":{"cached_tokens":12}}}"#,
    );
    assert_eq!(chat.counts.unwrap().usage(None), Some(expected));
    assert!(!chat.is_content);
}

/// What Anthropic says of the output when a message starts is no count of it.
#[test]
fn a_message_that_starts_has_no_output_yet() {
    let start = wire::chunk_facts(
        br#"{"type":"message_start","message":{"usage":{"input_tokens":7,"cache_read_input_tokens":2,"output_tokens":1}}}"#,
    );
    let counts = start.counts.unwrap();
    assert_eq!((counts.input, counts.output), (Some(7), None));
    assert_eq!(counts.cache_read, Some(2));
    assert!(!start.is_content);
}

/// A chunk of a format that nobody knows is content without an end; only Bedrock's metrics end it.
#[test]
fn an_unknown_format_ends_with_the_metrics() {
    for chunk in [
        r#"{"image":"iVBORw0KGgo="}"#,
        "not json",
        "",
        "[]",
        r#"{"type":"something_new"}"#,
        r#"{"choices":"of another form"}"#,
    ] {
        let facts = wire::chunk_facts(chunk.as_bytes());
        assert!(facts.is_content && !facts.is_end, "{chunk}");
        assert!(!facts.has_known_end, "{chunk}");
    }
    let last = wire::chunk_facts(
        br#"{"image":"iVBORw0KGgo=","amazon-bedrock-invocationMetrics":{"inputTokenCount":7,"outputTokenCount":5}}"#,
    );
    assert!(last.is_end && last.counts_are_final);
}

/// Escapes count as what they stand for, near enough.
#[test]
fn escapes_are_not_counted_as_they_are_written() {
    for (json, bytes) in [
        (r#"{"delta":{"text":"plain"}}"#, 5),
        (r#"{"delta":{"text":"a\nb\"c\\"}}"#, 6),
        (r#"{"delta":{"text":"\u00e9\u00e9"}}"#, 2),
        (r#"{"delta":{"text":""}}"#, 0),
        ("{\"delta\":{\"text\":\"é\"}}", 2),
        (r#"{"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#, 7),
        (r#"{"delta":{"reasoningContent":{"text":"Hm"}}}"#, 2),
        (r#"{"delta":{"reasoningContent":{"signature":"abc"}}}"#, 0),
        ("cut", 0),
    ] {
        let facts = wire::facts(
            Operation::ConverseStream,
            "contentBlockDelta",
            json.as_bytes(),
        );
        assert_eq!(facts.output_bytes, bytes, "{json}");
        assert!(facts.is_content && facts.has_known_end);
    }
}

/// Frames of ConverseStream as they are on the wire tell end, usage and tier; one that is not known
/// tells nothing.
#[test]
fn frames_tell_as_events_do() {
    let conversed =
        |name: &str, payload: &[u8]| wire::facts(Operation::ConverseStream, name, payload);
    let invoked = |name: &str, payload: &[u8]| {
        wire::facts(Operation::InvokeModelWithResponseStream, name, payload)
    };
    assert!(conversed("messageStop", b"{}").is_end);
    let start = conversed("messageStart", br#"{"role":"assistant"}"#);
    assert!(!start.is_content && start.has_known_end);
    let metadata = conversed(
        "metadata",
        br#"{"usage":{"inputTokens":7,"outputTokens":5,"totalTokens":12},"metrics":{"latencyMs":1},"serviceTier":{"type":"flex"},"p":"abc"}"#,
    );
    assert_eq!(metadata.counts.unwrap().usage(None), Some(USAGE));
    assert!(metadata.counts_are_final);
    assert_eq!(metadata.tier, Some(crate::route::ServiceTier::Flex));
    // {"type":"message_stop"}
    let chunk = invoked(
        "chunk",
        br#"{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0=","p":"a"}"#,
    );
    assert!(chunk.is_end);
    for (name, payload) in [("chunk", "{}"), ("chunk", r#"{"bytes":"%"}"#)] {
        assert_eq!(
            invoked(name, payload.as_bytes()),
            EventFacts::default(),
            "{payload}"
        );
    }
    // What ends the answer of one operation is no event of the other's.
    assert_eq!(invoked("messageStop", b"{}"), EventFacts::default());
    let end = br#"{"bytes":"eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0="}"#;
    assert!(!conversed("chunk", end).is_end);
}

/// An error that a model reports in a format of its own is no content and no end, and tells what it
/// is.
#[test]
fn an_error_in_a_chunk_is_an_error() {
    for (chunk, code) in [
        (
            r#"{"type":"error","error":{"details":null,"type":"rate_limit_error","message":"slow \"down\""},"request_id":"req_1"}"#,
            "rate_limit_error",
        ),
        (
            r#"{"error":{"message":"slow \"down\"","type":"server_error","param":null,"code":503}}"#,
            "server_error",
        ),
    ] {
        let facts = wire::chunk_facts(chunk.as_bytes());
        assert!(facts.is_error && facts.has_known_end, "{facts:?}");
        assert!(!facts.is_content && !facts.is_end, "{facts:?}");
        let RawError::Answered(details) = wire::chunk_error(chunk.as_bytes()) else {
            panic!("{chunk}");
        };
        assert_eq!(details.code.as_deref(), Some(code));
        assert_eq!(details.message.as_deref(), Some("slow \"down\""));
    }
    let sound = r#"{"choices":[{"delta":{"content":"x"}}],"error":null}"#;
    assert!(!wire::chunk_facts(sound.as_bytes()).is_error);
    // One of another form is an error all the same.
    assert!(wire::chunk_facts(br#"{"error":"slow down"}"#).is_error);
    let raw = wire::chunk_error(br#"{"error":"slow down"}"#);
    assert!(matches!(raw, RawError::Answered(_)));
}

/// An exception frame is the error that it is outside of a stream, code included.
#[test]
fn an_exception_frame_is_an_error() {
    let raw = wire::exception(
        "modelStreamErrorException",
        br#"{"message":"broke","originalStatusCode":503,"originalMessage":"x"}"#,
    );
    let RawError::Answered(details) = raw else {
        panic!("{raw:?}");
    };
    assert_eq!(details.code.as_deref(), Some("ModelStreamErrorException"));
    assert_eq!(details.message.as_deref(), Some("broke"));
    assert_eq!(details.original_status, Some(503));

    let raw = wire::exception("throttlingException", b"not json");
    assert!(matches!(raw, RawError::Answered(_)));
}
