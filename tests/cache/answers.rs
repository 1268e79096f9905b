//! Which answers are whole, and what they hold.

use aws_sdk_bedrockruntime::{
    operation::{converse::ConverseOutput, invoke_model::InvokeModelOutput},
    primitives::Blob,
    types::{
        ContentBlockDelta, ContentBlockDeltaEvent, ConverseOutput as Output, ConverseStreamOutput,
        MessageStopEvent, PayloadPart, ResponseStream, StopReason,
    },
};
use tower_bedrock::AnswerPart;
use tower_bedrock_tests::message;

/// A conversation is whole if the model was done, and in no other case: not with a reason that is not known
/// yet either.
#[test]
fn a_conversation_is_whole_if_the_model_was_done() {
    for (reason, is_done) in [
        ("end_turn", true),
        ("stop_sequence", true),
        ("tool_use", true),
        ("max_tokens", false),
        ("model_context_window_exceeded", false),
        ("guardrail_intervened", false),
        ("content_filtered", false),
        ("malformed_model_output", false),
        ("malformed_tool_use", false),
        ("a reason of tomorrow", false),
    ] {
        let reason = StopReason::from(reason);
        let output = ConverseOutput::builder().stop_reason(reason.clone());
        assert_eq!(output.build().unwrap().is_whole(), is_done, "{reason}");
        let stop = MessageStopEvent::builder().stop_reason(reason.clone());
        let stop = ConverseStreamOutput::MessageStop(stop.build().unwrap());
        assert_eq!(stop.is_whole(), is_done, "{reason}");
    }
}

/// In a model's own format the reason stands under many names, as it does in what it is part of.
#[test]
fn a_body_is_whole_unless_it_says_otherwise() {
    for (body, is_whole) in [
        // Anthropic
        (
            r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#,
            true,
        ),
        (
            r#"{"type":"message","content":[],"stop_reason":"max_tokens"}"#,
            false,
        ),
        (
            r#"{"type":"message","content":[],"stop_reason":"refusal"}"#,
            false,
        ),
        (
            r#"{"type":"message_start","message":{"stop_reason":null}}"#,
            true,
        ),
        (
            r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}"#,
            false,
        ),
        // Nova
        (r#"{"output":{},"stopReason":"end_turn"}"#, true),
        (r#"{"messageStop":{"stopReason":"max_tokens"}}"#, false),
        // Llama, Mistral
        (r#"{"generation":"","stop_reason":"stop"}"#, true),
        (r#"{"generation":"","stop_reason":"length"}"#, false),
        (
            r#"{"outputs":[{"text":"","stop_reason":"stop"},{"text":"","stop_reason":"length"}]}"#,
            false,
        ),
        // Chat completions
        (r#"{"choices":[{"finish_reason":"stop"}]}"#, true),
        (r#"{"choices":[{"finish_reason":"length"}]}"#, false),
        // Cohere
        (r#"{"generations":[{"finish_reason":"COMPLETE"}]}"#, true),
        (r#"{"generations":[{"finish_reason":"MAX_TOKENS"}]}"#, false),
        // AI21
        (
            r#"{"completions":[{"finishReason":{"reason":"endoftext"}}]}"#,
            true,
        ),
        (
            r#"{"completions":[{"finishReason":{"reason":"length","length":9}}]}"#,
            false,
        ),
        // Titan
        (r#"{"results":[{"completionReason":"FINISH"}]}"#, true),
        (r#"{"results":[{"completionReason":"LENGTH"}]}"#, false),
        // Stability
        (r#"{"images":["…"],"finish_reasons":[null]}"#, true),
        (
            r#"{"images":["…"],"finish_reasons":["Filter reason: prompt"]}"#,
            false,
        ),
        // No reason
        (r#"{"embedding":[0.1,0.2],"inputTextTokenCount":3}"#, true),
        ("not JSON", true),
        ("", true),
    ] {
        let output = InvokeModelOutput::builder()
            .body(Blob::new(body))
            .content_type("application/json");
        assert_eq!(output.build().unwrap().is_whole(), is_whole, "{body}");
        let part = PayloadPart::builder().bytes(Blob::new(body)).build();
        assert_eq!(ResponseStream::Chunk(part).is_whole(), is_whole, "{body}");
    }
}

/// An answer holds at least its text.
#[test]
fn an_answer_weighs_what_it_says() {
    let text = "x".repeat(1000);
    let output = ConverseOutput::builder()
        .output(Output::Message(message(&text)))
        .stop_reason(StopReason::EndTurn);
    let bytes = output.build().unwrap().held_bytes();
    assert!((1000..1100).contains(&bytes), "{bytes}");
    let event = ContentBlockDeltaEvent::builder()
        .content_block_index(0)
        .delta(ContentBlockDelta::Text(text.clone()));
    let event = ConverseStreamOutput::ContentBlockDelta(event.build().unwrap());
    assert_eq!(event.held_bytes(), 1000);
    let output = InvokeModelOutput::builder()
        .body(Blob::new(text))
        .content_type("text/plain");
    assert_eq!(output.build().unwrap().held_bytes(), 1000);
}
