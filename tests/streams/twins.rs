//! Twins: what an error means as an answer, it means within a stream.

use std::num::NonZeroU32;

use bedrock_sim::{
    ErrorSpec, ErrorText, Exception, FaultSpec, ModelSpec, Operation, Recording, Scenario,
    ScenarioBuilder, SimService,
};
use serde::Deserialize;
use tower::ServiceExt;
use tower_bedrock::{Bedrock, Cause, Error, Request, RetryLayer};
use tower_bedrock_tests::{MODEL, REGION, converse, in_process};

use crate::{
    outcome::End,
    player::play_each,
    recordings::begun,
    row::Calls,
    stack::{Gauges, stack},
};

/// The errors that the classifier knows, as they were seen on the wire.
#[derive(Deserialize)]
struct Corpus {
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    code: Option<String>,
    cause: String,
    errors: Vec<Seen>,
}

#[derive(Deserialize)]
struct Seen {
    message: Option<String>,
    original: Option<u16>,
}

/// An error, and the cause that it has as an answer.
#[derive(Debug)]
struct Known {
    code: String,
    message: Option<String>,
    original_status: Option<u16>,
    cause: String,
}

/// Those that have nothing but their status to tell what they are, and that their frames lack.
const TOLD_BY_STATUS: [&str; 2] = ["SomethingNewException", "invalid_api_key"];

/// All of the corpus that a frame can tell: with a code, and without an original status where no
/// stream declares one.
fn corpus() -> Vec<Known> {
    let corpus = include_str!("../../crates/tower-bedrock/src/classify/corpus.toml");
    let corpus: Corpus = toml::from_str(corpus).expect("the corpus");
    let groups = corpus.group.into_iter();
    let known = groups.filter_map(|group| Some((group.code?, group.cause, group.errors)));
    known
        .flat_map(|(code, cause, errors)| {
            errors.into_iter().map(move |seen| Known {
                code: code.clone(),
                message: seen.message,
                original_status: seen.original,
                cause: cause.clone(),
            })
        })
        .filter(|known| !TOLD_BY_STATUS.contains(&&*known.code))
        .filter(|known| known.original_status.is_none() || known.code.contains("Stream"))
        .collect()
}

impl Known {
    /// The code as a stream spells it: a member of its union, in camel case.
    fn member(&self) -> String {
        let mut letters = self.code.chars();
        let first = letters.next().into_iter().flat_map(char::to_lowercase);
        first.chain(letters).collect()
    }

    fn in_stream(&self, recording: Recording) -> Recording {
        let mut payload = serde_json::Map::new();
        if let Some(message) = &self.message {
            payload.insert("message".to_owned(), message.as_str().into());
        }
        if let Some(status) = self.original_status {
            payload.insert("originalStatusCode".to_owned(), status.into());
        }
        let payload = serde_json::Value::from(payload).to_string();
        recording.exception(self.member(), payload)
    }
}

/// Every error that was seen as an answer has the same cause as the first frame of a stream, and as a
/// frame after the first words.
#[tokio::test(start_paused = true)]
async fn errors_mean_within_streams_what_they_mean_as_answers() {
    let corpus = corpus();
    assert!(corpus.len() > 100, "{}", corpus.len());
    for calls in [Calls::Converse, Calls::Claude] {
        let first = corpus.iter().map(|known| known.in_stream(Recording::new()));
        let mut wrong = Vec::new();
        play_each(calls, first.collect(), |number, outcome| {
            let known = &corpus[number];
            match outcome.end {
                End::Refused(cause) if cause.as_str() == known.cause => {}
                end => wrong.push(format!("{end:?}: {known:?}")),
            }
        })
        .await;
        assert!(wrong.is_empty(), "as first frames:\n{}", wrong.join("\n"));
    }
    let later = corpus.iter().map(|known| known.in_stream(begun()));
    let mut wrong = Vec::new();
    play_each(Calls::Converse, later.collect(), |number, outcome| {
        let known = &corpus[number];
        match outcome.end {
            End::Broken(cause) if cause.as_str() == known.cause => {}
            end => wrong.push(format!("{end:?}: {known:?}")),
        }
    })
    .await;
    assert!(wrong.is_empty(), "after content:\n{}", wrong.join("\n"));
}

/// What the SDK makes of an error that is an answer, for each of these.
async fn as_answers(errors: &[ErrorSpec]) -> Vec<Error> {
    let model = ModelSpec::new(MODEL).regions([REGION]);
    let scenario = errors
        .iter()
        .cloned()
        .map(|error| {
            FaultSpec::error(error)
                .count(1)
                .operation(Operation::Converse)
        })
        .fold(Scenario::builder().model(model), ScenarioBuilder::fault)
        .build()
        .expect("a sound scenario");
    let sim = SimService::new(scenario);
    let bedrock = Bedrock::from_builder(in_process(&sim));
    let mut answers = Vec::new();
    for _ in errors {
        let gauges = Gauges::of(MODEL);
        let retries = RetryLayer::new().with_max_attempts(NonZeroU32::MIN);
        let call = stack(retries, bedrock.clone(), &gauges).oneshot(Request::from(converse(MODEL)));
        answers.push(call.await.expect_err("a refusal"));
    }
    answers
}

/// Every exception that comes within streams is the twin of the one that is an answer: the same cause,
/// code, message and original status. The status alone is missing, which a frame does not have.
#[tokio::test(start_paused = true)]
async fn exceptions_within_streams_are_twins() {
    let texts = [
        ErrorText::TokensPerDay,
        ErrorText::TokensPerMinute,
        ErrorText::RequestsPerMinute,
        ErrorText::RequestsPerMinuteLong,
        ErrorText::RequestRate,
        ErrorText::Overloaded,
        ErrorText::TooManyConnections,
        ErrorText::ServiceUnavailable,
        ErrorText::UnableToProcess,
        ErrorText::ModelThrottled,
        ErrorText::InternalServer,
        ErrorText::ModelTimeout,
        ErrorText::ProfileRequired,
        ErrorText::UnknownModel,
        ErrorText::InputTooLong,
        ErrorText::DataRetention,
    ];
    let broken = ErrorSpec::from(Exception::ModelStreamError);
    let mut errors: Vec<_> = texts.into_iter().map(ErrorSpec::from).collect();
    errors.extend([400, 429, 503].map(|status| broken.clone().original_status(status)));
    errors.push(broken);

    let answers = as_answers(&errors).await;
    let frames = answers.iter().zip(&errors).map(|(answer, error)| {
        let known = Known {
            code: answer.code().expect("a code").to_owned(),
            message: answer.message().map(str::to_owned),
            original_status: error.original_status,
            cause: answer.cause().to_string(),
        };
        known.in_stream(Recording::new())
    });
    let says = |error: &Error| {
        (
            error.cause(),
            error.code().map(str::to_ascii_lowercase),
            error.message().map(str::to_owned),
            error.original_status(),
        )
    };
    play_each(Calls::Claude, frames.collect(), |number, outcome| {
        let (answer, frame) = (&answers[number], outcome.error.expect("a refusal"));
        // Converse does not declare it: the SDK does not read its original status from an answer.
        if errors[number].exception == Exception::ModelStreamError {
            assert_eq!(frame.cause(), Cause::StreamFailed);
            assert_eq!(frame.original_status(), errors[number].original_status);
        } else {
            assert_eq!(says(&frame), says(answer));
        }
        assert!(answer.status().is_some() && frame.status().is_none());
        assert!(frame.request_id().is_some(), "{frame:?}");
    })
    .await;
}
