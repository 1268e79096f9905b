//! A stream that fell silent.

use std::{error::Error as StdError, fmt, time::Duration};

use super::limits::StreamLimit;
use crate::error::{Error, ErrorDetails, RawError};

/// A stream was waited for longer than its [`StreamLimits`](crate::StreamLimits) allow. Its
/// connection is closed.
///
/// It is the `source` of an [`Error`] with [`Cause::StreamStalled`](crate::Cause::StreamStalled).
///
/// # Example
///
/// ```
/// use tower_bedrock::{Error, StreamStalled};
///
/// fn had_begun(error: &Error) -> bool {
///     StreamStalled::of(error).is_some_and(|stalled| stalled.received() > 0)
/// }
/// # let _ = had_begun;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStalled {
    limit: StreamLimit,
    after: Duration,
    received: u64,
}

impl StreamStalled {
    pub(crate) const fn new(limit: StreamLimit, after: Duration, received: u64) -> Self {
        Self {
            limit,
            after,
            received,
        }
    }

    /// The stall behind `error`, if it is one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        StdError::source(error)?.downcast_ref()
    }

    /// The limit that has passed.
    #[must_use]
    pub const fn limit(&self) -> StreamLimit {
        self.limit
    }

    /// How long the stream was waited for: the limit as it was set.
    #[must_use]
    pub const fn after(&self) -> Duration {
        self.after
    }

    /// How many events had come.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }
}

impl fmt::Display for StreamStalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.as_secs_f64();
        let received = self.received;
        match self.limit {
            StreamLimit::FirstEvent => write!(f, "no event came within {after:.1} s"),
            StreamLimit::BetweenEvents => {
                write!(f, "nothing came for {after:.1} s after {received} events")
            }
            StreamLimit::Whole => {
                write!(
                    f,
                    "not over after {after:.1} s of waiting and {received} events"
                )
            }
        }
    }
}

impl StdError for StreamStalled {}

impl From<StreamStalled> for RawError {
    fn from(stalled: StreamStalled) -> Self {
        Self::Stalled(Box::new(ErrorDetails {
            message: Some(stalled.to_string()),
            source: Some(Box::new(stalled)),
            ..ErrorDetails::default()
        }))
    }
}
