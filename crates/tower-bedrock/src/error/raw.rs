//! Errors as they come, before they have a cause.

use std::{error::Error as StdError, fmt, time::Duration};

use super::{BoxError, Error, secrets};
use crate::{cause::Cause, route::Route};

/// What an error tells of itself, before and after it has a cause. Every part may be missing.
#[derive(Default)]
#[non_exhaustive]
pub struct ErrorDetails {
    /// The service's code, such as `ThrottlingException`.
    pub code: Option<String>,
    /// What the service, or the layer that refused, said.
    pub message: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The status that the model behind the service answered with.
    pub original_status: Option<u16>,
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// How long the service asked to wait.
    pub retry_after: Option<Duration>,
    /// The route that was really taken, where the sender knows it better than the request: with the
    /// home region in the place of none.
    pub route: Option<Route>,
    /// What lies under it.
    pub source: Option<BoxError>,
    /// The answer itself, for whoever must hand it on as the service gave it. Never shown.
    #[cfg(feature = "aws")]
    pub(crate) answer: Option<Box<aws_smithy_runtime_api::http::Response>>,
}

/// An error as it comes from what really sends the call, before anybody has asked for its cause.
///
/// [`ClassifyLayer`](crate::ClassifyLayer) turns it into an [`Error`].
#[non_exhaustive]
pub enum RawError {
    /// The service answered, with an error: by status and headers, or by an exception in a stream.
    Answered(Box<ErrorDetails>),
    /// The answer could not be read.
    Unreadable(Box<ErrorDetails>),
    /// No connection, or one that broke before the answer was complete.
    Connect(Box<ErrorDetails>),
    /// No answer in time.
    Timeout(Box<ErrorDetails>),
    /// No credentials could be had to sign the request with.
    Credentials(Box<ErrorDetails>),
    /// The request could not be built, so nothing was sent.
    NotSent(Box<ErrorDetails>),
    /// A stream ended before its answer was whole: closed, reset, or cut within a frame.
    Truncated(Box<ErrorDetails>),
    /// What came in a stream could not be read.
    Garbled(Box<ErrorDetails>),
    /// A stream was waited for longer than its limits allow.
    Stalled(Box<ErrorDetails>),
    /// An error that has its cause already.
    Classified(Error),
    /// An error of a type that we do not know.
    Other(BoxError),
}

// === impl ErrorDetails ===

impl ErrorDetails {
    /// Cuts what the message repeats of a signed request, session token included, and what of it and
    /// of the codes is longer than anybody means them to be. What lies under it may say the same again,
    /// so it goes too.
    pub(crate) fn cut(&mut self) {
        let message = self.message.as_mut();
        let mut is_cut = message.is_some_and(|message| {
            // First, so that no message is searched that takes long.
            let is_shortened = shorten(message, MAX_MESSAGE);
            secrets::cut(message) || is_shortened
        });
        for code in [&mut self.code, &mut self.request_id].into_iter().flatten() {
            is_cut |= shorten(code, MAX_CODE);
        }
        if is_cut {
            self.source = None;
        }
    }
}

/// What the service says is a sentence or two; what is longer fills somebody's logs.
const MAX_MESSAGE: usize = 16 * 1024;
/// Its longest code has some 30 bytes, an id of a request 36.
const MAX_CODE: usize = 256;

/// Tells whether there was anything to cut.
fn shorten(text: &mut String, most: usize) -> bool {
    let is_longer = text.len() > most;
    if is_longer {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    is_longer
}

/// Continues a line: code and status, the message, the request id.
impl fmt::Display for ErrorDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), Some(status)) => write!(f, " ({code}, HTTP {status})")?,
            (Some(code), None) => write!(f, " ({code})")?,
            (None, Some(status)) => write!(f, " (HTTP {status})")?,
            (None, None) => {}
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, " [request id {request_id}]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ErrorDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The source's own `Debug` may hold a whole response; its `Display` does not.
        let source = self.source.as_ref().map(ToString::to_string);
        f.debug_struct("ErrorDetails")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("status", &self.status)
            .field("original_status", &self.original_status)
            .field("request_id", &self.request_id)
            .field("retry_after", &self.retry_after)
            .field("route", &self.route)
            .field("source", &source)
            .finish()
    }
}

// === impl RawError ===

impl RawError {
    /// What the error tells of itself; `None` for one of a type that we do not know, and for one
    /// that has its cause already.
    #[must_use]
    pub fn details(&self) -> Option<&ErrorDetails> {
        match self {
            Self::Answered(details)
            | Self::Unreadable(details)
            | Self::Connect(details)
            | Self::Timeout(details)
            | Self::Credentials(details)
            | Self::NotSent(details)
            | Self::Truncated(details)
            | Self::Garbled(details)
            | Self::Stalled(details) => Some(details),
            Self::Classified(_) | Self::Other(_) => None,
        }
    }

    pub(crate) fn details_mut(&mut self) -> Option<&mut ErrorDetails> {
        match self {
            Self::Answered(details)
            | Self::Unreadable(details)
            | Self::Connect(details)
            | Self::Timeout(details)
            | Self::Credentials(details)
            | Self::NotSent(details)
            | Self::Truncated(details)
            | Self::Garbled(details)
            | Self::Stalled(details) => Some(details),
            Self::Classified(_) | Self::Other(_) => None,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) => "Answered",
            Self::Unreadable(_) => "Unreadable",
            Self::Connect(_) => "Connect",
            Self::Timeout(_) => "Timeout",
            Self::Credentials(_) => "Credentials",
            Self::NotSent(_) => "NotSent",
            Self::Truncated(_) => "Truncated",
            Self::Garbled(_) => "Garbled",
            Self::Stalled(_) => "Stalled",
            Self::Classified(_) => "Classified",
            Self::Other(_) => "Other",
        }
    }
}

/// Of an error that we do not know, only what it displays: its own `Debug` may hold a whole answer.
impl fmt::Debug for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple(self.name());
        match self {
            Self::Classified(error) => debug.field(error),
            Self::Other(error) => debug.field(&error.to_string()),
            Self::Answered(details)
            | Self::Unreadable(details)
            | Self::Connect(details)
            | Self::Timeout(details)
            | Self::Credentials(details)
            | Self::NotSent(details)
            | Self::Truncated(details)
            | Self::Garbled(details)
            | Self::Stalled(details) => debug.field(details),
        };
        debug.finish()
    }
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, details) = match self {
            Self::Answered(details) => ("the service answered with an error", details),
            Self::Unreadable(details) => ("the answer could not be read", details),
            Self::Connect(details) => ("the connection failed", details),
            Self::Timeout(details) => ("no answer in time", details),
            Self::Credentials(details) => ("no credentials", details),
            Self::NotSent(details) => ("the request could not be built", details),
            Self::Truncated(details) => ("the stream was cut", details),
            Self::Garbled(details) => ("the stream could not be read", details),
            Self::Stalled(details) => ("the stream stalled", details),
            Self::Classified(error) => return error.fmt(f),
            Self::Other(error) => return error.fmt(f),
        };
        write!(f, "{what}{details}")
    }
}

impl StdError for RawError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Classified(error) => error.source(),
            Self::Other(error) => error.source(),
            _ => self.details()?.source.as_deref().map(|source| source as _),
        }
    }
}

impl From<Error> for RawError {
    fn from(error: Error) -> Self {
        Self::Classified(error)
    }
}

/// Takes a [`RawError`], an [`Error`] or (with the feature `aws`) an error of the SDK back out of its
/// box, and knows I/O errors, the `Elapsed` of tower and tokio, and the `Overloaded` of tower's load
/// shedding, which is [`Cause::PoolSaturated`]; anything else stays [`RawError::Other`].
impl From<BoxError> for RawError {
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(raw) => return *raw,
            Err(error) => error,
        };
        let error = match error.downcast::<Error>() {
            Ok(error) => return Self::Classified(*error),
            Err(error) => error,
        };
        #[cfg(feature = "aws")]
        let error = match crate::sdk::error::unboxed(error) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let details = |error: BoxError| {
            Box::new(ErrorDetails {
                message: Some(error.to_string()),
                source: Some(error),
                ..ErrorDetails::default()
            })
        };
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::TimedOut => Self::Timeout(details(error)),
                _ => Self::Connect(details(error)),
            };
        }
        if error.is::<tower::timeout::error::Elapsed>() || error.is::<tokio::time::error::Elapsed>()
        {
            return Self::Timeout(details(error));
        }
        if error.is::<tower::load_shed::error::Overloaded>() {
            let refusal = Error::from_details(Cause::PoolSaturated, *details(error));
            return Self::Classified(refusal);
        }
        Self::Other(error)
    }
}
