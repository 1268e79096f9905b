//! Frames that come in pieces, in heaps, damaged, or as nobody expects them.

use bedrock_sim::{FaultKind, Recording};
use tower_bedrock::Cause;

use super::{USED, WHOLE};
use crate::{
    outcome::End::{Broken, Whole},
    recordings::{ClaudeEvents, ConverseEvents, begun, claude_begun, whole},
    row::{
        Charge::{Estimated, Nothing},
        Row,
    },
};

pub(super) fn rows() -> Vec<Row> {
    let large = "0123456789".repeat(100_000);
    vec![
        Row::new(
            "a frame whose prelude comes alone",
            "agentgateway/agentgateway PR#2113",
            "one frame, of the size that it says",
        )
        .plays(whole().in_chunks_of(1))
        .gives(WHOLE, Whole)
        .costs(&[USED]),
        Row::new(
            "frames that are cut anywhere",
            "Yeachan-Heo/gajae-code PR#3619",
            "the same events, wherever the cuts are",
        )
        .plays(whole().in_chunks_of(13))
        .gives(WHOLE, Whole)
        .costs(&[USED]),
        Row::new(
            "many frames in one piece",
            "smithy-lang/smithy-rs PR#736",
            "all of them, and none left in the buffer at the end",
        )
        .plays(whole().in_chunks_of(100_000))
        .gives(WHOLE, Whole)
        .costs(&[USED]),
        Row::new(
            "a frame larger than what is read at a time",
            "lifion/lifion-kinesis#91",
            "one frame, when all of it is there",
        )
        .plays(
            Recording::new()
                .start()
                .text(&large)
                .stop()
                .usage(11, 7)
                .in_chunks_of(16_341),
        )
        .gives(
            &["start", &format!("text:{large}"), "stop", "metadata"],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "characters that are cut between two pieces",
            "BasedHardware/omi PR#9638",
            "the characters, not what stands for broken ones",
        )
        .plays(
            Recording::new()
                .start()
                .text("a—b")
                .text("北京")
                .text("👩\u{200d}🚀")
                .stop()
                .usage(11, 7)
                .in_chunks_of(5),
        )
        .gives(
            &[
                "start",
                "text:a—b",
                "text:北京",
                "text:👩\u{200d}🚀",
                "stop",
                "metadata",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "padding in every event",
            "aws-amplify/amplify-backend PR#2453",
            "no trouble with a field that the model of the service does not have",
        )
        .plays(
            Recording::new()
                .event("messageStart", r#"{"p":"abcdefgh","role":"assistant"}"#)
                .event(
                    "contentBlockDelta",
                    r#"{"contentBlockIndex":0,"delta":{"text":"Hel"},"p":"abcd"}"#,
                )
                .text("lo")
                .event("contentBlockStop", r#"{"contentBlockIndex":0,"p":"abc"}"#)
                .event("messageStop", r#"{"p":"ab","stopReason":"end_turn"}"#)
                .event(
                    "metadata",
                    r#"{"metrics":{"latencyMs":5},"p":"abc","usage":{"inputTokens":11,"outputTokens":7,"serverToolUsage":{},"totalTokens":18}}"#,
                ),
        )
        .gives(WHOLE, Whole)
        .costs(&[USED]),
        Row::new(
            "a frame whose checksum is wrong",
            "vercel/ai#18994",
            "an error, not a stream that is silent for ever",
        )
        .meets(FaultKind::BadCrc { after_events: 2 })
        .gives(
            &["start", "text:This is a simula"],
            Broken(Cause::StreamFailed),
        )
        .costs(&[Estimated { output: 6 }]),
        Row::new(
            "a frame whose payload is not JSON",
            "maximhq/bifrost PR#841",
            "an error, not a silent cut",
        )
        .meets(FaultKind::InvalidJson { after_events: 2 })
        .gives(
            &["start", "text:This is a simula"],
            Broken(Cause::StreamFailed),
        )
        .costs(&[Estimated { output: 6 }]),
        Row::new(
            "a chunk that is not the JSON of its model",
            "theopenco/llmgateway PR#3676",
            "the chunks after it, too",
        )
        .of_claude()
        .plays(claude_begun().chunk("{'type':").claude_stop(11, 7))
        .gives(
            &[
                "message_start",
                "content_block_delta:Hel",
                "content_block_delta:lo",
                "unknown",
                "message_delta",
                "message_stop",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "events that nobody knows",
            "aws/aws-sdk-go PR#3334",
            "events of an unknown kind, and the answer",
        )
        .plays(
            Recording::new()
                .start()
                .event("heartbeat", "{}")
                .text("Hel")
                .text("lo")
                .block_stop()
                .stop()
                .usage(11, 7),
        )
        .gives(
            &[
                "start",
                "unknown",
                "text:Hel",
                "text:lo",
                "block-stop",
                "stop",
                "metadata",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "a heartbeat, and then a refusal",
            "maximhq/bifrost PR#5850",
            "a heartbeat is no content: the call is retried",
        )
        .plays(
            Recording::new()
                .event("heartbeat", "{}")
                .start()
                .event("heartbeat", "{}")
                .refusal("throttlingException", "Too many requests, please wait"),
        )
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Nothing, USED]),
        Row::new(
            "deltas in which nothing stands",
            "BerriAI/litellm PR#33315",
            "no harm",
        )
        .plays(
            Recording::new()
                .start()
                .text("")
                .event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":""}}}"#)
                .event("contentBlockDelta", r#"{"contentBlockIndex":0}"#)
                .text("Hello")
                .stop()
                .usage(11, 7),
        )
        .gives(
            &[
                "start",
                "text:",
                "delta",
                "delta",
                "text:Hello",
                "stop",
                "metadata",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "a tool whose arguments are empty",
            "microsoft/autogen PR#6979",
            "the tool, although no delta tells its arguments",
        )
        .plays(
            begun()
                .block_stop()
                .tool("now")
                .block_stop()
                .stop()
                .usage(11, 7),
        )
        .gives(
            &[
                "start",
                "text:Hel",
                "text:lo",
                "block-stop",
                "tool:now",
                "block-stop",
                "stop",
                "metadata",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "arguments of a tool in pieces that are not JSON",
            "langchain-ai/langchain-aws PR#843",
            "the pieces, whole and in order",
        )
        .plays(
            Recording::new()
                .start()
                .tool("weather")
                .tool_input("{\"ci")
                .tool_input("ty\":\"Pa")
                .tool_input("ris\"}")
                .block_stop()
                .stop()
                .usage(11, 7)
                .in_chunks_of(31),
        )
        .gives(
            &[
                "start",
                "tool:weather",
                "input:{\"ci",
                "input:ty\":\"Pa",
                "input:ris\"}",
                "block-stop",
                "stop",
                "metadata",
            ],
            Whole,
        )
        .costs(&[USED]),
    ]
}
