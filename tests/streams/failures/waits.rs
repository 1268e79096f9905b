//! Streams that make one wait.

use std::time::Duration;

use bedrock_sim::{FaultKind, Recording, RecordingEnd};
use tower_bedrock::{Cause, StreamLimits};

use super::{BEGUN, CLAUDE_HELLO, CLAUDE_WHOLE, HELLO, USED, WHOLE};
use crate::{
    outcome::End::{Broken, Whole},
    recordings::{ClaudeEvents, ConverseEvents, begun, claude_begun, whole},
    row::{
        Charge::{Estimated, Hold},
        Row,
    },
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn rows() -> Vec<Row> {
    let pings = (0..10).fold(Recording::new().claude_start(11), |recording, _| {
        recording.pause(seconds(60)).claude_ping()
    });
    let mut pinged = vec!["message_start"];
    pinged.extend(["ping"; 10]);
    pinged.extend(&CLAUDE_WHOLE[1..]);
    vec![
        Row::new(
            "a stream that falls silent for ever",
            "anthropics/claude-code#29344",
            "an end to the wait, with an error",
        )
        .plays(begun().end(RecordingEnd::Stall))
        .in_virtual_time()
        .gives(BEGUN, Broken(Cause::StreamStalled))
        .costs(&[HELLO]),
        Row::new(
            "a stalled socket, and retries that never come to it",
            "Bike4Mind/bike4mind PR#2253",
            "a limit to inactivity, however long the answer",
        )
        .meets(FaultKind::NoAnswer)
        .plays(whole())
        .in_virtual_time()
        .gives(WHOLE, Whole)
        .costs(&[Hold, USED]),
        Row::new(
            "a first token that never comes, although the head of the answer did",
            "jferreiros/vortex PR#198",
            "the call is made again, with the same limit",
        )
        .plays(Recording::new().end(RecordingEnd::Stall))
        .plays(whole())
        .with_limits(StreamLimits::new().with_first_event(seconds(20)))
        .in_virtual_time()
        .gives(WHOLE, Whole)
        .costs(&[Hold, USED]),
        Row::new(
            "a start, and then silence before the first word",
            "remorses/ai-fallback PR#22",
            "the call is made again: only what announces the answer has come",
        )
        .plays(Recording::new().start().end(RecordingEnd::Stall))
        .plays(whole())
        .in_virtual_time()
        .gives(WHOLE, Whole)
        .costs(&[Hold, USED]),
        Row::new(
            "a model that thinks for two minutes before its first word",
            "BlockRunAI/Franklin#74",
            "the answer",
        )
        .plays(
            Recording::new()
                .pause(seconds(120))
                .start()
                .text("Hello")
                .stop()
                .usage(11, 7),
        )
        .in_virtual_time()
        .gives(&["start", "text:Hello", "stop", "metadata"], Whole)
        .costs(&[USED]),
        Row::new(
            "a model that thinks between two words",
            "bagofwords1/bagofwords PR#746",
            "the answer, in spite of a gap of more than a minute",
        )
        .plays(begun().pause(seconds(100)).text("!").stop().usage(11, 7))
        .in_virtual_time()
        .gives(
            &["start", "text:Hel", "text:lo", "text:!", "stop", "metadata"],
            Whole,
        )
        .costs(&[USED]),
        Row::new(
            "a limit that is too short for the model, and cannot be set",
            "langchain-ai/openwiki#485",
            "the limit that the caller sets",
        )
        .plays(begun().pause(seconds(600)).stop().usage(11, 7))
        .with_limits(StreamLimits::none())
        .in_virtual_time()
        .gives(&["start", "text:Hel", "text:lo", "stop", "metadata"], Whole)
        .costs(&[USED]),
        Row::new(
            "silence within the arguments of a tool",
            "aws/aws-sdk-java-v2#7136",
            "an error, not arguments that end half way",
        )
        .plays(
            Recording::new()
                .start()
                .tool("weather")
                .tool_input("")
                .end(RecordingEnd::Stall),
        )
        .in_virtual_time()
        .gives(
            &["start", "tool:weather", "input:"],
            Broken(Cause::StreamStalled),
        )
        // The name of the tool.
        .costs(&[Estimated { output: 3 }]),
        Row::new(
            "ten minutes of pings, and then the answer",
            "manaflow-ai/subrouter PR#270",
            "whatever comes keeps the stream alive",
        )
        .of_claude()
        .plays(
            pings
                .claude_text("Hel")
                .claude_text("lo")
                .claude_stop(11, 7),
        )
        .in_virtual_time()
        .gives(&pinged, Whole)
        .costs(&[USED]),
        Row::new(
            "a last event that keeps the caller waiting for its usage",
            "Effect-TS/effect PR#6272",
            "the usage if it comes, and no wait for ever if it does not",
        )
        .plays(begun().block_stop().stop().end(RecordingEnd::Stall))
        .in_virtual_time()
        .gives(
            &["start", "text:Hel", "text:lo", "block-stop", "stop"],
            Whole,
        )
        .costs(&[HELLO]),
        Row::new(
            "a silence that begins in real time",
            "anthropics/claude-code#64556",
            "an end to the wait, with an error",
        )
        .of_claude()
        .plays(claude_begun().end(RecordingEnd::Stall))
        .with_limits(StreamLimits::new().with_between_events(seconds(2)))
        .gives(&CLAUDE_WHOLE[..3], Broken(Cause::StreamStalled))
        .costs(&[CLAUDE_HELLO]),
    ]
}
