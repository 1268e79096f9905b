//! What goes wrong after the first content: the caller has the beginning of an answer, so nobody
//! tries again, and the error says what it was.

use bedrock_sim::{Recording, RecordingEnd};
use tower_bedrock::Cause;

use super::{BEGUN, CLAUDE_BEGUN, CLAUDE_HELLO, HELLO};
use crate::{
    outcome::End::{Broken, Whole},
    recordings::{ClaudeEvents, ConverseEvents, begun, claude_begun},
    row::Row,
};

pub(super) fn rows() -> Vec<Row> {
    let broken = |exception, text| begun().refusal(exception, text);
    vec![
        Row::new(
            "an internal error half way",
            "BerriAI/litellm#24608",
            "an internal error, not a bad request",
        )
        .plays(broken(
            "internalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ))
        .gives(BEGUN, Broken(Cause::Internal))
        .costs(&[HELLO]),
        Row::new(
            "an exception whose name is in camel case",
            "aws/aws-sdk-java-v2#6575",
            "the same error as outside of a stream",
        )
        .plays(broken(
            "throttlingException",
            "Too many requests, please wait before trying again.",
        ))
        .gives(BEGUN, Broken(Cause::RequestRate))
        .costs(&[HELLO]),
        Row::new(
            "a service that is gone half way, and a caller that waits for ever",
            "DayuanJiang/next-ai-draw-io PR#92",
            "an error as soon as it comes",
        )
        .plays(
            broken(
                "serviceUnavailableException",
                "Service temporarily unavailable, please try again.",
            )
            .end(RecordingEnd::Stall),
        )
        .gives(BEGUN, Broken(Cause::ServiceUnavailable))
        .costs(&[HELLO]),
        Row::new(
            "a stream of the model that broke, with the model's own status",
            "vercel/ai#19034",
            "the exception with what it says, not a finish",
        )
        .plays(begun().exception(
            "modelStreamErrorException",
            r#"{"message":"The model stream broke.","originalStatusCode":503,"originalMessage":"busy"}"#,
        ))
        .gives(BEGUN, Broken(Cause::StreamFailed))
        .with_original_status(503)
        .costs(&[HELLO]),
        Row::new(
            "a model that took too long",
            "maximhq/bifrost PR#4808",
            "the exception's own type, not an internal error",
        )
        .of_claude()
        .plays(claude_begun().refusal(
            "modelTimeoutException",
            "Model has timed out in processing the request. Try your request again.",
        ))
        .gives(CLAUDE_BEGUN, Broken(Cause::ModelTimeout))
        .costs(&[CLAUDE_HELLO]),
        Row::new(
            "an exception frame that nobody looks for",
            "Mingye-Lu/AgenticCrawler PR#128",
            "an error, not an early end",
        )
        .plays(broken("validationException", "The request cannot be processed."))
        .gives(BEGUN, Broken(Cause::InvalidRequest))
        .costs(&[HELLO]),
        Row::new(
            "an exception that nobody knows yet",
            "anomalyco/opencode PR#45004",
            "an error, although new events are passed over",
        )
        .plays(broken("somethingNewException", "Something new."))
        .gives(BEGUN, Broken(Cause::Unknown))
        .costs(&[HELLO]),
        Row::new(
            "an exception after the last event",
            "METR/hawk PR#1245",
            "an error; but the answer is whole: it is given, and what it used is estimated",
        )
        .plays(
            begun()
                .block_stop()
                .stop()
                .refusal("internalServerException", "Try your request again."),
        )
        .gives(&["start", "text:Hel", "text:lo", "block-stop", "stop"], Whole)
        .costs(&[HELLO]),
        Row::new(
            "an undeclared error half way",
            "anthropics/anthropic-sdk-java PR#391",
            "a failure with its code and message",
        )
        .plays(begun().error("ThrottlingException", "Too many tokens, please wait."))
        .gives(BEGUN, Broken(Cause::TokenRate))
        .costs(&[HELLO]),
        Row::new(
            "an overload half way, in the model's own format",
            "anthropics/anthropic-sdk-typescript#387",
            "enough to tell whether to try again",
        )
        .of_claude()
        .plays(claude_begun().claude_error("overloaded_error", "Overloaded"))
        .gives(CLAUDE_BEGUN, Broken(Cause::ModelOverloaded))
        .costs(&[CLAUDE_HELLO]),
        Row::new(
            "a retry after part of the answer was shown",
            "HKUDS/nanobot#4038",
            "no retry, so no text comes twice",
        )
        .plays(begun().end(RecordingEnd::Cut))
        .plays(Recording::new().start().text("Hello again"))
        .gives(BEGUN, Broken(Cause::StreamTruncated))
        .costs(&[HELLO]),
    ]
}
