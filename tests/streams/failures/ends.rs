//! Ends that are none, and ends without a word about what was used.

use bedrock_sim::{FaultKind, Recording, RecordingEnd};
use tower_bedrock::Cause;

use super::{BEGUN, HELLO, USED, WHOLE};
use crate::{
    outcome::End::{Broken, Left, Whole},
    recordings::{ClaudeEvents, ConverseEvents, begun},
    row::{
        Charge::{Estimated, Used},
        Row,
    },
};

const WITHOUT_USAGE: &[&str] = &["start", "text:Hel", "text:lo", "block-stop", "stop"];

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "a stream that ends in good order before its last event",
            "NousResearch/hermes-agent#109988",
            "an incomplete answer is an error",
        )
        .plays(begun().block_stop())
        .gives(
            &["start", "text:Hel", "text:lo", "block-stop"],
            Broken(Cause::StreamTruncated),
        )
        .costs(&[HELLO]),
        Row::new(
            "a stream that the service ends without its last events",
            "BerriAI/litellm#32686",
            "no made-up reason to stop, and no made-up usage",
        )
        .meets(FaultKind::NoMessageStop)
        .gives(
            &[
                "start",
                "text:This is a simula",
                "text:ted answer. No m",
                "text:odel has read th",
                "text:e question, so t",
                "text:he words mean no",
                "block-stop",
            ],
            Broken(Cause::StreamTruncated),
        )
        // 80 bytes, at three to a token.
        .costs(&[Estimated { output: 27 }]),
        Row::new(
            "a connection that is cut within the arguments of a tool",
            "BerriAI/litellm PR#32159",
            "an error, not arguments that end half way",
        )
        .of_claude()
        .plays(
            Recording::new()
                .claude_start(11)
                .claude_tool_input(r#"{"city":"#)
                .claude_tool_input(r#""Par"#)
                .end(RecordingEnd::Cut),
        )
        .gives(
            &[
                "message_start",
                "content_block_delta:{\"city\":",
                "content_block_delta:\"Par",
            ],
            Broken(Cause::StreamTruncated),
        )
        // 12 bytes, at four to a token.
        .costs(&[Used {
            input: 11,
            output: 3,
        }]),
        Row::new(
            "usage without an end",
            "anomalyco/opencode PR#46065",
            "an incomplete answer: usage is no end",
        )
        .plays(begun().block_stop().usage(11, 7))
        .gives(
            &["start", "text:Hel", "text:lo", "block-stop", "metadata"],
            Broken(Cause::StreamTruncated),
        )
        .costs(&[USED]),
        Row::new(
            "usage before the end",
            "anomalyco/opencode PR#46065",
            "whole, and the usage is the service's",
        )
        .plays(begun().block_stop().usage(11, 7).stop())
        .gives(
            &[
                "start",
                "text:Hel",
                "text:lo",
                "block-stop",
                "metadata",
                "stop",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "an end without usage",
            "google-gemini/gemini-cli#28683",
            "no zero that looks as if it had been counted",
        )
        .plays(begun().block_stop().stop())
        .gives(WITHOUT_USAGE, Whole)
        .costs(&[HELLO]),
        Row::new(
            "usage in which nothing stands",
            "d-kuro/kirocc#83",
            "what comes in the place of usage that is missing",
        )
        .plays(
            begun()
                .block_stop()
                .stop()
                .event("metadata", r#"{"metrics":{"latencyMs":5}}"#),
        )
        .gives(WHOLE, Whole)
        .costs(&[HELLO]),
        Row::new(
            "usage, and then metrics without usage",
            "anomalyco/opencode PR#38712",
            "the usage that was told",
        )
        .plays(
            begun()
                .block_stop()
                .usage(11, 7)
                .stop()
                .event("metadata", r#"{"metrics":{"latencyMs":5}}"#),
        )
        .gives(
            &[
                "start",
                "text:Hel",
                "text:lo",
                "block-stop",
                "metadata",
                "stop",
                "metadata",
            ],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "a caller that stops at the last event of the answer",
            "lastmile-ai/mcp-agent PR#634",
            "the usage that comes after it",
        )
        .plays(begun().block_stop().stop().usage(11, 7))
        .read_until("stop")
        .gives(WITHOUT_USAGE, Left)
        .costs(&[USED]),
        Row::new(
            "a body that ends within a frame",
            "vercel/ai#19035",
            "an error, not an end",
        )
        .meets(FaultKind::CloseInsideFrame { after_events: 3 })
        .gives(
            &["start", "text:This is a simula", "text:ted answer. No m"],
            Broken(Cause::StreamTruncated),
        )
        .costs(&[Estimated { output: 11 }]),
        Row::new(
            "answers that end abruptly, half of them",
            "maximhq/bifrost#597",
            "an error where the end is missing",
        )
        .meets(FaultKind::StreamCut { after_events: 3 })
        .gives(
            &["start", "text:This is a simula", "text:ted answer. No m"],
            Broken(Cause::StreamTruncated),
        )
        .costs(&[Estimated { output: 11 }]),
        Row::new(
            "a connection that breaks within a frame",
            "aws-samples/sample-multi-agent-orchestration-chat-on-agentcore PR#11",
            "an error that can be told from others",
        )
        .plays(begun().bytes([0, 0, 0, 200, 0, 0]).end(RecordingEnd::Cut))
        .gives(BEGUN, Broken(Cause::StreamTruncated))
        .costs(&[HELLO]),
    ]
}
