//! What goes into the engine and what comes out.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;

use super::{ErrorText, Exception};
use crate::Recording;

/// A model in a region: what [`Engine::resolve`](super::Engine::resolve) makes of a model id.
///
/// Valid for the engine that made it, also after a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelHandle(pub(super) u32);

/// An operation of the API that the engine can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// `Converse`
    Converse,
    /// `ConverseStream`
    ConverseStream,
    /// `InvokeModel`
    InvokeModel,
    /// `InvokeModelWithResponseStream`
    InvokeModelWithResponseStream,
    /// `CountTokens`; free of charge, draws on no quota.
    CountTokens,
    /// `ApplyGuardrail`; draws on no quota of a model.
    ApplyGuardrail,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] = [
        Self::Converse,
        Self::ConverseStream,
        Self::InvokeModel,
        Self::InvokeModelWithResponseStream,
        Self::CountTokens,
        Self::ApplyGuardrail,
    ];

    /// The operation's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Converse => "Converse",
            Self::ConverseStream => "ConverseStream",
            Self::InvokeModel => "InvokeModel",
            Self::InvokeModelWithResponseStream => "InvokeModelWithResponseStream",
            Self::CountTokens => "CountTokens",
            Self::ApplyGuardrail => "ApplyGuardrail",
        }
    }

    /// Whether the answer is an event stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::ConverseStream | Self::InvokeModelWithResponseStream
        )
    }

    /// Whether the operation generates, and so draws on the quotas of its model.
    #[must_use]
    pub const fn generates(self) -> bool {
        !matches!(self, Self::CountTokens | Self::ApplyGuardrail)
    }
}

/// A request, as far as the engine needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The model that is asked.
    pub model: ModelHandle,
    /// The operation.
    pub operation: Operation,
    /// Input tokens that come neither from the cache nor go into it.
    pub input_tokens: u64,
    /// Tokens read from the prompt cache: held at admission, free in the final charge.
    pub cache_read_tokens: u64,
    /// Tokens written to the prompt cache.
    pub cache_write_tokens: u64,
    /// `maxTokens`; `None` holds the model's maximum.
    pub max_tokens: Option<u64>,
}

impl Call {
    /// A call of that many input tokens, without cache and without `maxTokens`.
    #[must_use]
    pub const fn new(model: ModelHandle, operation: Operation, input_tokens: u64) -> Self {
        Self {
            model,
            operation,
            input_tokens,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            max_tokens: None,
        }
    }

    /// Sets `maxTokens`.
    #[must_use]
    pub const fn max_tokens(mut self, max_tokens: u64) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Everything that the model has to read, from the cache or not.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
    }
}

/// What becomes of a call.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum Admission {
    /// It is answered.
    Admitted(Admitted),
    /// It is refused.
    Refused(Refusal),
    /// The connection is reset before the headers.
    Reset,
    /// The request stays open and nothing ever comes.
    NoAnswer,
}

/// How a call is answered.
#[derive(Debug)]
pub struct Admitted {
    /// Hand it to [`Engine::finish`](super::Engine::finish) when the answer is over, in whatever
    /// way.
    pub ticket: Ticket,
    /// How many tokens to generate.
    pub output_tokens: u64,
    /// Whether the output was cut by `maxTokens` (stop reason `max_tokens`).
    pub hit_max_tokens: bool,
    /// Time from now to the first token.
    pub first_token_after: Duration,
    /// Time from one token to the next; zero for the whole output at once.
    pub per_token: Duration,
    /// What goes wrong in the answer, of a streaming operation.
    pub stream_fault: Option<StreamFault>,
}

impl Admitted {
    /// Time from now to the last token.
    #[must_use]
    pub fn last_token_after(&self) -> Duration {
        let steps = u32::try_from(self.output_tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_token_after
            .saturating_add(self.per_token.saturating_mul(steps))
    }
}

/// The place of an admitted call in the engine. Until it is finished, the call counts as in flight
/// and its tokens are held.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that is never finished stays in flight"]
pub struct Ticket {
    pub(super) slot: usize,
    /// Tells the call from those that had the slot before it.
    pub(super) serial: u64,
}

/// What goes wrong in a stream that began well. `events` are counted from the start of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFault {
    /// The connection is cut between two frames.
    CutAfter {
        /// Events sent before.
        events: u32,
    },
    /// The body ends in the middle of a frame.
    CloseInsideFrame {
        /// Events sent before.
        events: u32,
    },
    /// Nothing comes for a while, then the rest.
    StallAfter {
        /// Events sent before.
        events: u32,
        /// How long; `None` for ever.
        lasts: Option<Duration>,
    },
    /// An exception frame ends the stream.
    ExceptionAfter {
        /// Events sent before; with 0 the exception is the first frame.
        events: u32,
        /// What the frame says.
        refusal: Refusal,
    },
    /// A frame's checksum is wrong.
    BadCrcAfter {
        /// Events sent before.
        events: u32,
    },
    /// A frame's payload is not JSON.
    InvalidJsonAfter {
        /// Events sent before.
        events: u32,
    },
    /// The stream ends in good order, but without its last events: `messageStop` and `metadata`.
    NoMessageStop,
    /// A recording is played in the place of the answer.
    Recording(Recording),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The whole answer was given.
    Complete {
        /// Tokens generated.
        output_tokens: u64,
    },
    /// It broke half way, or the client went away.
    Failed {
        /// Tokens generated up to then; they and the input are charged.
        output_tokens: u64,
    },
}

impl Finish {
    pub(super) const fn output_tokens(self) -> u64 {
        match self {
            Self::Complete { output_tokens } | Self::Failed { output_tokens } => output_tokens,
        }
    }
}

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The exception; tells code and status.
    pub exception: Exception,
    /// Its text.
    pub message: Cow<'static, str>,
    /// `originalStatusCode` of `ModelErrorException` and `ModelStreamErrorException`.
    pub original_status: Option<u16>,
    /// A hint when to try again. Bedrock itself is not known to send one (BEDROCK.md §2.2); proxies
    /// do.
    pub retry_after: Option<RetryAfterHint>,
    /// How long the service takes before it answers.
    pub after: Duration,
}

impl Refusal {
    /// A refusal with a text of its own, answered at once.
    #[must_use]
    pub fn new(exception: Exception, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            exception,
            message: message.into(),
            original_status: None,
            retry_after: None,
            after: Duration::ZERO,
        }
    }

    /// A refusal with a known text. `model` stands in the texts that name one.
    #[must_use]
    pub fn known(text: ErrorText, model: &str, max_output: u64) -> Self {
        Self::new(text.exception(), text.message(model, max_output))
    }
}

/// When to try again, in the header of one's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfterHint {
    /// `x-amz-retry-after`, which counts milliseconds.
    AmzMillis(u64),
    /// `Retry-After`, which counts seconds.
    Seconds(u64),
}
