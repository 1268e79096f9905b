//! What goes wrong before the first content: the call fails as a whole, and is made again.

use bedrock_sim::{FaultKind, Recording, RecordingEnd};
use tower_bedrock::Cause;

use super::{CLAUDE_WHOLE, USED, WHOLE};
use crate::{
    outcome::End::{Refused, Whole},
    recordings::{ClaudeEvents, ConverseEvents, claude_whole, whole},
    row::{
        Charge::{Hold, Input, Nothing},
        Row,
    },
};

pub(super) fn rows() -> Vec<Row> {
    let throttled = |text| Recording::new().refusal("throttlingException", text);
    vec![
        Row::new(
            "a throttle in the first frame",
            "boto/botocore#3126",
            "retried like a throttle that is an answer",
        )
        .plays(throttled(
            "Too many tokens, please wait before trying again.",
        ))
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Nothing, USED]),
        Row::new(
            "retries that are configured, and never made for streams",
            "maximhq/bifrost#2480",
            "as many as for any other call",
        )
        .plays(Recording::new().refusal(
            "serviceUnavailableException",
            "Bedrock is unable to process your request.",
        ))
        .plays(throttled(
            "Too many requests, please wait before trying again.",
        ))
        .plays(Recording::new().refusal("internalServerException", "Try your request again."))
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Nothing, Nothing, Input, USED]),
        Row::new(
            "an overload after the message has started, before it says anything",
            "manaflow-ai/subrouter PR#233",
            "retried, for nothing of the answer is with the caller",
        )
        .plays(
            Recording::new()
                .start()
                .refusal("serviceUnavailableException", "Try your request again."),
        )
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Nothing, USED]),
        Row::new(
            "a retry after the start was seen",
            "zirkelc/ai-retry#51",
            "one start, that of the answer that is given",
        )
        .plays(Recording::new().start().end(RecordingEnd::Cut))
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Hold, USED]),
        Row::new(
            "a rate limit as the first chunk, in the model's own format",
            "anthropics/anthropic-sdk-python#1472",
            "an error with its type, not an event without a message",
        )
        .of_claude()
        .plays(Recording::new().claude_error("rate_limit_error", "Rate limited"))
        .plays(claude_whole())
        .gives(CLAUDE_WHOLE, Whole)
        .costs(&[Nothing, USED]),
        Row::new(
            "an overload in the model's own format, after its start and a ping",
            "anthropics/anthropic-sdk-typescript PR#1021",
            "an error whose type can be told, so that it is retried",
        )
        .of_claude()
        .plays(
            Recording::new()
                .claude_start(11)
                .claude_ping()
                .claude_error("overloaded_error", "Overloaded"),
        )
        .plays(claude_whole())
        .gives(CLAUDE_WHOLE, Whole)
        .costs(&[Nothing, USED]),
        Row::new(
            "an error that the operation does not declare",
            "smithy-lang/smithy-rs#1171",
            "its code and its message, not a frame that cannot be parsed",
        )
        .plays(Recording::new().error("InternalFailure", "An internal error occurred."))
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Input, USED]),
        Row::new(
            "a stream in which nothing comes",
            "earendil-works/pi#4210",
            "an error that is retried, not an empty answer",
        )
        .plays(Recording::new())
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Hold, USED]),
        Row::new(
            "a model's complaint about the request, under status 200",
            "Portkey-AI/gateway#1142",
            "an error, at once: the request is at fault",
        )
        .plays(Recording::new().refusal(
            "validationException",
            "The model returned the following errors: messages.1.content.0.type: Expected \
             `thinking` or `redacted_thinking`, but found `text`.",
        ))
        .gives(&[], Refused(Cause::InvalidRequest))
        .costs(&[Nothing]),
        Row::new(
            "status 200 and a JSON body in the place of a stream",
            "a2aproject/a2a-rs#197",
            "an error, not an answer without events",
        )
        .plays(Recording::new().bytes(*br#"{"message":"upstream is not available"}"#))
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Hold, USED]),
        Row::new(
            "a connection that is reset before the head of the answer",
            "BerriAI/litellm PR#26067",
            "retried like any other call: the stream has not begun",
        )
        .meets(FaultKind::Reset)
        .plays(whole())
        .gives(WHOLE, Whole)
        .costs(&[Nothing, USED]),
    ]
}
