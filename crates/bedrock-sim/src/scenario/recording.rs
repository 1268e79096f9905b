//! Recorded streams.

use std::{num::NonZeroUsize, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A stream as somebody recorded it, or made it up: sent as it stands, whatever the model would say.
///
/// With it a scenario can play what the other faults cannot: frames in another order, events that
/// nobody knows, frames that are cut where TCP cut them.
///
/// A recording that ends in good order counts as an answer as long as the model's own would be; one
/// that does not, as a failure in which nothing was generated.
///
/// ```
/// use bedrock_sim::{FaultKind, FaultSpec, Recording};
///
/// // The frames arrive in pieces of seven bytes, and an event that nobody knows is among them.
/// let recording = Recording::new()
///     .event("messageStart", r#"{"role":"assistant"}"#)
///     .event("heartbeat", "{}")
///     .event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#)
///     .event("messageStop", r#"{"stopReason":"end_turn"}"#)
///     .in_chunks_of(7);
/// let fault = FaultSpec::new(FaultKind::Recording(recording));
/// # drop(fault);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    pub(crate) parts: Vec<Part>,
    pub(crate) chunk_bytes: Option<NonZeroUsize>,
    pub(crate) end: RecordingEnd,
}

/// How a [`Recording`] ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RecordingEnd {
    /// The body ends in good order.
    #[default]
    Close,
    /// The connection is cut.
    Cut,
    /// Nothing comes any more.
    Stall,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Event { name: String, payload: String },
    Exception { name: String, payload: String },
    Error { code: String, message: String },
    Bytes(Vec<u8>),
    Pause(Duration),
}

impl Recording {
    /// A stream in which nothing comes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event. The payload is meant to be JSON, but need not be.
    #[must_use]
    pub fn event(self, name: impl Into<String>, payload: impl Into<String>) -> Self {
        self.part(Part::Event {
            name: name.into(),
            payload: payload.into(),
        })
    }

    /// Adds an event of `InvokeModelWithResponseStream`: what a model says in a format of its own,
    /// padded as the service pads it.
    #[must_use]
    pub fn chunk(self, model_event: impl AsRef<[u8]>) -> Self {
        let bytes = STANDARD.encode(model_event);
        self.event("chunk", format!(r#"{{"bytes":"{bytes}","p":"abcdefgh"}}"#))
    }

    /// Adds an exception: `name` as the stream's union spells it, such as `throttlingException`.
    #[must_use]
    pub fn exception(self, name: impl Into<String>, payload: impl Into<String>) -> Self {
        self.part(Part::Exception {
            name: name.into(),
            payload: payload.into(),
        })
    }

    /// Adds an error that the operation does not declare: a frame of `:message-type` `error`.
    #[must_use]
    pub fn error(self, code: impl Into<String>, message: impl Into<String>) -> Self {
        self.part(Part::Error {
            code: code.into(),
            message: message.into(),
        })
    }

    /// Adds bytes, which may be frames or not.
    #[must_use]
    pub fn bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.part(Part::Bytes(bytes.into()))
    }

    /// Adds a time in which nothing comes.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        self.part(Part::Pause(pause))
    }

    /// Sends what comes between two pauses in pieces of so many bytes, wherever its frames begin;
    /// by default each frame goes out as a whole. 0 is taken for 1.
    #[must_use]
    pub fn in_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk_bytes = NonZeroUsize::new(bytes).or(Some(NonZeroUsize::MIN));
        self
    }

    /// Sets how it ends. In good order by default.
    #[must_use]
    pub fn end(mut self, end: RecordingEnd) -> Self {
        self.end = end;
        self
    }

    fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }
}
