//! How long a stream may take, and how much of it is held back.

use std::time::Duration;

/// How long a stream is waited for.
///
/// Only waiting counts: while the caller does something else with what it has, no limit runs. A limit
/// of `None` is none.
///
/// | limit | default | why |
/// |---|---|---|
/// | first event | 300 s | long prompts, queues and models that think in silence take minutes; a limit that is too short pays for the whole answer twice |
/// | between events | 180 s | the longest healthy gap measured is 57 s, and what lies between drops silent connections after 125 s (BEDROCK.md §2.3) |
/// | whole | none | an inference may take 60 min |
/// | usage | 5 s | it follows the end of the answer at once; nobody should wait for long for a number |
///
/// The SDK itself has no limit for any of these (BEDROCK.md §7.4). Where somebody waits in front of a
/// screen, shorter ones make sense; under 20 s, healthy streams are cut.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_bedrock::StreamLimits;
///
/// let limits = StreamLimits::new()
///     .with_first_event(Duration::from_secs(30))
///     .with_between_events(Duration::from_secs(60));
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    pub(super) first_event: Option<Duration>,
    pub(super) between_events: Option<Duration>,
    pub(super) whole: Option<Duration>,
    pub(super) usage: Duration,
}

/// Which limit of a stream has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamLimit {
    /// From sending the call to the first event.
    FirstEvent,
    /// From one event to the next.
    BetweenEvents,
    /// All waiting together.
    Whole,
}

/// How much of a stream is held back before the call counts as answered.
///
/// A stream that fails while it is held back fails as a whole: nothing of it has reached the caller,
/// so it is retried and falls back like any other call. What was held back is then delivered in
/// order.
///
/// By default a stream is held back until its first content: what comes before says nothing but that
/// an answer begins, so no answer is delayed. To hold back more makes more failures curable, and
/// delays the first words. More than 4096 events are never held back.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_bedrock::HoldBack;
///
/// // The first 50 tokens or so, but no longer than half a second.
/// let hold_back = HoldBack::until_bytes(200).at_most(Duration::from_millis(500));
/// # let _ = hold_back;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldBack {
    pub(super) until: Until,
    pub(super) at_most: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    FirstEvent,
    Content,
    Bytes(u64),
}

// === impl StreamLimits ===

impl StreamLimits {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first_event: Some(Duration::from_secs(300)),
            between_events: Some(Duration::from_secs(180)),
            whole: None,
            usage: Duration::from_secs(5),
        }
    }

    /// No limits, but for the wait for the usage.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            first_event: None,
            between_events: None,
            whole: None,
            usage: Duration::from_secs(5),
        }
    }

    /// The longest wait from sending the call, connection included, to the first event.
    #[must_use]
    pub const fn with_first_event(mut self, limit: Duration) -> Self {
        self.first_event = Some(limit);
        self
    }

    /// The longest wait from one event to the next.
    #[must_use]
    pub const fn with_between_events(mut self, limit: Duration) -> Self {
        self.between_events = Some(limit);
        self
    }

    /// The longest that the stream is waited for, all waits together.
    #[must_use]
    pub const fn with_whole(mut self, limit: Duration) -> Self {
        self.whole = Some(limit);
        self
    }

    /// The longest wait for the usage once the answer is whole. After it, the usage is estimated.
    #[must_use]
    pub const fn with_usage(mut self, limit: Duration) -> Self {
        self.usage = limit;
        self
    }

    /// What bounds the wait for the head of the answer, which comes before the first event.
    #[cfg(feature = "aws")]
    pub(crate) fn until_head(&self) -> Option<(StreamLimit, Duration)> {
        let first_event = self
            .first_event
            .map(|after| (StreamLimit::FirstEvent, after));
        let whole = self.whole.map(|after| (StreamLimit::Whole, after));
        first_event
            .into_iter()
            .chain(whole)
            .min_by_key(|(_, after)| *after)
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self::new()
    }
}

// === impl HoldBack ===

impl HoldBack {
    /// Until the first event.
    #[must_use]
    pub const fn until_first_event() -> Self {
        Self {
            until: Until::FirstEvent,
            at_most: None,
        }
    }

    /// Until the first event with content; what is done by default.
    #[must_use]
    pub const fn until_content() -> Self {
        Self {
            until: Until::Content,
            at_most: None,
        }
    }

    /// Until the model has generated so many bytes of text, about four to a token. All of it waits
    /// in memory.
    #[must_use]
    pub const fn until_bytes(bytes: u64) -> Self {
        Self {
            until: Until::Bytes(bytes),
            at_most: None,
        }
    }

    /// No longer than this from the first event on.
    #[must_use]
    pub const fn at_most(mut self, limit: Duration) -> Self {
        self.at_most = Some(limit);
        self
    }
}

impl Default for HoldBack {
    fn default() -> Self {
        Self::until_content()
    }
}
