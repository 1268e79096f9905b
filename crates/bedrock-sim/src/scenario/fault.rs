//! Faults: what goes wrong, where and when.

use std::{borrow::Cow, time::Duration};

use crate::{ErrorText, Exception, ModelSpec, Operation, Recording, Refusal, RetryAfterHint};

/// A fault script: what goes wrong, where, and when.
///
/// The conditions of time and chance combine. Of the calls that match in place and time, the first
/// `skip` pass; of the rest every `every`-th is a candidate; a candidate is hit with `probability`;
/// and after `count` hits the fault is spent.
///
/// ```
/// use std::time::Duration;
/// use bedrock_sim::{ErrorText, FaultSpec, Operation};
///
/// // The first three streams of the second minute are throttled.
/// let fault = FaultSpec::error(ErrorText::TokensPerMinute)
///     .operation(Operation::ConverseStream)
///     .from(Duration::from_secs(60))
///     .until(Duration::from_secs(120))
///     .count(3);
/// # assert_eq!(fault.count, Some(3));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FaultSpec {
    /// What goes wrong.
    pub what: FaultKind,
    /// The models it befalls, by an id or alias of one of the scenario's models; empty for all.
    pub models: Vec<String>,
    /// The regions; empty for all.
    pub regions: Vec<String>,
    /// The operations; empty for all, or for all that stream if the fault is one of streams.
    pub operations: Vec<Operation>,
    /// From when, since the start of the engine.
    pub from: Duration,
    /// Until when, exclusive; `None` for ever.
    pub until: Option<Duration>,
    /// How many matching calls pass before it can fire.
    pub skip: u64,
    /// Every how many matching calls it can fire. 1 by default.
    pub every: u64,
    /// How often it fires; `None` for any number of times.
    pub count: Option<u64>,
    /// How probably it fires, 0 to 1. 1 by default.
    pub probability: f64,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The call is refused.
    Error(ErrorSpec),
    /// The connection is reset before the headers.
    Reset,
    /// The request stays open and nothing ever comes.
    NoAnswer,
    /// The first token comes that much later.
    SlowFirstToken {
        /// How much later.
        delay: Duration,
    },
    /// The service is gone, until the fault's `until`.
    Down {
        /// What callers see of it.
        answer: DownAnswer,
    },
    /// The connection is cut in the middle of a stream, between two frames.
    StreamCut {
        /// Events sent before.
        after_events: u32,
    },
    /// A stream falls silent.
    StreamStall {
        /// Events sent before.
        after_events: u32,
        /// How long; `None` for ever.
        lasts: Option<Duration>,
    },
    /// A stream ends with an exception.
    StreamException {
        /// Events sent before; with 0 the exception is the first frame.
        after_events: u32,
        /// The exception.
        error: ErrorSpec,
    },
    /// A frame's checksum is wrong.
    BadCrc {
        /// Events sent before.
        after_events: u32,
    },
    /// A frame's payload is not JSON.
    InvalidJson {
        /// Events sent before.
        after_events: u32,
    },
    /// The stream ends in good order, but without `messageStop`.
    NoMessageStop,
    /// The body ends in the middle of a frame.
    CloseInsideFrame {
        /// Events sent before.
        after_events: u32,
    },
    /// The stream is a recording.
    Recording(Recording),
}

impl FaultKind {
    /// The fault's name, as in a scenario file; for an error the code of its exception.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Error(error) => error.exception.code(),
            Self::Reset => "reset",
            Self::NoAnswer => "no-answer",
            Self::SlowFirstToken { .. } => "slow-first-token",
            Self::Down { .. } => "down",
            Self::StreamCut { .. } => "stream-cut",
            Self::StreamStall { .. } => "stream-stall",
            Self::StreamException { .. } => "stream-exception",
            Self::BadCrc { .. } => "bad-crc",
            Self::InvalidJson { .. } => "invalid-json",
            Self::NoMessageStop => "no-message-stop",
            Self::CloseInsideFrame { .. } => "close-inside-frame",
            Self::Recording(_) => "recording",
        }
    }

    /// Whether it needs a stream to happen in.
    #[must_use]
    pub const fn is_of_streams(&self) -> bool {
        match self {
            Self::StreamCut { .. }
            | Self::StreamStall { .. }
            | Self::StreamException { .. }
            | Self::BadCrc { .. }
            | Self::InvalidJson { .. }
            | Self::NoMessageStop
            | Self::CloseInsideFrame { .. }
            | Self::Recording(_) => true,
            Self::Error(_)
            | Self::Reset
            | Self::NoAnswer
            | Self::SlowFirstToken { .. }
            | Self::Down { .. } => false,
        }
    }
}

impl FaultKind {
    /// Whether it befalls a request before the service reads it, be it sound or not.
    pub(crate) const fn is_before_reading(&self) -> bool {
        matches!(self, Self::Reset | Self::NoAnswer | Self::Down { .. })
    }
}

/// What callers see of a service that is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DownAnswer {
    /// 503 (BEDROCK.md §2.1 #10).
    #[default]
    ServiceUnavailable,
    /// The connection is reset before the headers.
    Reset,
    /// Nothing ever comes.
    NoAnswer,
}

/// An error to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorSpec {
    /// The exception.
    pub exception: Exception,
    /// Its text.
    pub text: Message,
    /// `originalStatusCode`, of `ModelErrorException` and `ModelStreamErrorException`.
    pub original_status: Option<u16>,
    /// A hint when to try again.
    pub retry_after: Option<RetryAfterHint>,
    /// How long the service takes before it answers.
    pub delay: Duration,
}

/// The text of an [`ErrorSpec`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// One that the service is known for.
    Known(ErrorText),
    /// Another.
    Custom(String),
}

impl From<ErrorText> for ErrorSpec {
    fn from(text: ErrorText) -> Self {
        Self {
            exception: text.exception(),
            text: Message::Known(text),
            original_status: None,
            retry_after: None,
            delay: Duration::ZERO,
        }
    }
}

impl From<Exception> for ErrorSpec {
    fn from(exception: Exception) -> Self {
        ErrorText::default_of(exception).into()
    }
}

impl ErrorSpec {
    /// Sets a text of one's own.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.text = Message::Custom(message.into());
        self
    }

    /// Sets the [original status](Self::original_status).
    #[must_use]
    pub fn original_status(mut self, status: u16) -> Self {
        self.original_status = Some(status);
        self
    }

    /// Sets the [hint](Self::retry_after).
    #[must_use]
    pub fn retry_after(mut self, hint: RetryAfterHint) -> Self {
        self.retry_after = Some(hint);
        self
    }

    /// Sets the [time before the answer](Self::delay).
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The answer, for a call of `model`; without one for an operation that has none.
    #[must_use]
    pub fn refusal(&self, model: Option<&ModelSpec>) -> Refusal {
        let (id, max_output) = model.map_or(("", 0), |model| {
            (model.id.as_str(), model.max_output_tokens())
        });
        Refusal {
            exception: self.exception,
            message: match &self.text {
                Message::Known(text) => text.message(id, max_output),
                Message::Custom(text) => Cow::Owned(text.clone()),
            },
            original_status: self.original_status,
            retry_after: self.retry_after,
            after: self.delay,
        }
    }
}

impl FaultSpec {
    /// A fault that befalls every call it can befall.
    #[must_use]
    pub const fn new(what: FaultKind) -> Self {
        Self {
            what,
            models: Vec::new(),
            regions: Vec::new(),
            operations: Vec::new(),
            from: Duration::ZERO,
            until: None,
            skip: 0,
            every: 1,
            count: None,
            probability: 1.0,
        }
    }

    /// A fault that refuses the call.
    #[must_use]
    pub fn error(error: impl Into<ErrorSpec>) -> Self {
        Self::new(FaultKind::Error(error.into()))
    }

    /// Adds a [model](Self::models).
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.models.push(model.into());
        self
    }

    /// Adds a [region](Self::regions).
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.regions.push(region.into());
        self
    }

    /// Adds an [operation](Self::operations).
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// Sets the [start](Self::from).
    #[must_use]
    pub const fn from(mut self, from: Duration) -> Self {
        self.from = from;
        self
    }

    /// Sets the [end](Self::until).
    #[must_use]
    pub const fn until(mut self, until: Duration) -> Self {
        self.until = Some(until);
        self
    }

    /// Sets how many matching calls [pass first](Self::skip).
    #[must_use]
    pub const fn skip(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Lets it fire at [every so many](Self::every) matching calls.
    #[must_use]
    pub const fn every(mut self, calls: u64) -> Self {
        self.every = calls;
        self
    }

    /// Sets how [often](Self::count) it fires.
    #[must_use]
    pub const fn count(mut self, times: u64) -> Self {
        self.count = Some(times);
        self
    }

    /// Sets how [probably](Self::probability) it fires.
    #[must_use]
    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}
