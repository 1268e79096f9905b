//! What came of a call.

use std::{fmt::Debug, future::Future};

use tower_bedrock::{Cause, Error, ResponseStream, StreamEvent};
use tower_bedrock_tests::PROMPT;

use crate::words::InAWord;

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// What the caller got, each in a word.
    pub(crate) events: Vec<String>,
    pub(crate) attempts: Option<u32>,
    /// What ended it, if not its end.
    pub(crate) error: Option<Error>,
    /// Whether something of the prompt or of the answer is in what can be logged.
    pub(crate) leaks: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the whole answer.
    Whole,
    /// With an error after some of the answer.
    Broken(Cause),
    /// With an error in the place of an answer.
    Refused(Cause),
    /// The caller had enough.
    Left,
}

/// How a stream is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader {
    ToTheEnd,
    /// Up to this event, and then dropped.
    Until(&'static str),
}

impl Reader {
    fn has_enough(self, event: &str) -> bool {
        match self {
            Self::ToTheEnd => false,
            Self::Until(last) => event == last,
        }
    }
}

impl Outcome {
    /// Waits for a call to be answered, and reads the answer.
    pub(crate) async fn of<E: StreamEvent + InAWord>(
        call: impl Future<Output = Result<ResponseStream<E>, Error>>,
        reader: Reader,
    ) -> Self {
        let mut stream = match call.await {
            Ok(stream) => stream,
            Err(error) => {
                return Self {
                    end: End::Refused(error.cause()),
                    events: Vec::new(),
                    attempts: error.attempts(),
                    leaks: says_too_much(&error),
                    error: Some(error),
                };
            }
        };
        let mut outcome = Self {
            end: End::Whole,
            events: Vec::new(),
            attempts: Some(stream.served().attempts),
            error: None,
            leaks: says_too_much(&stream),
        };
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => outcome.events.push(event.in_a_word()),
                Err(error) => {
                    outcome.end = End::Broken(error.cause());
                    outcome.leaks |= says_too_much(&error);
                    outcome.error = Some(error);
                    assert!(stream.next().await.is_none(), "an error is the end");
                    break;
                }
            }
            let last = outcome.events.last().map_or("", String::as_str);
            if reader.has_enough(last) {
                outcome.end = End::Left;
                return outcome;
            }
        }
        assert_eq!(stream.is_complete(), outcome.end == End::Whole);
        outcome
    }
}

/// Whether the prompt, or an answer as these tests have it, can be read in what is shown.
fn says_too_much(shown: &impl Debug) -> bool {
    let shown = format!("{shown:?}");
    shown.contains(PROMPT) || shown.contains("Hel")
}
