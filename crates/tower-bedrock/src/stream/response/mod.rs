//! The reply that is a stream.

mod copy;
mod end;
mod read;

use std::{collections::VecDeque, fmt, future::poll_fn, pin::Pin};

use futures_core::{FusedStream, Stream};
use tokio::time::Instant;

pub(crate) use self::copy::Tap;

use super::{
    facts::StreamEvent,
    lifecycle::Lifecycle,
    limits::{HoldBack, StreamLimits},
    source::{Source, Timed},
    watchers::Watchers,
};
use crate::{
    call::CallContext,
    error::{Error, RawError},
    reply::{Served, Usage, UsageEstimate},
};

/// A reply that comes in events: an answer as it is generated.
///
/// A [`Stream`] of `Result<Event, Error>` that is `Unpin`; [`next`](Self::next) spares the caller a
/// trait for it. After an error, and after its end, it gives `None`.
///
/// # What it promises
///
/// * **An end is an end.** `None` without an error before it means that the answer is whole: its last
///   event was seen (`messageStop`, or what ends a stream of the model's own format). A connection
///   that is closed before is [`StreamTruncated`](crate::Cause::StreamTruncated), however politely it was closed.
/// * **Exceptions inside the stream** have the cause that they have outside of one, by the rules of
///   the [`ClassifyLayer`](crate::ClassifyLayer) above.
/// * **The call is answered with the first content** ([`HoldBack`]). What fails before, fails the
///   call, and is retried or falls back like any other; what fails after, nobody retries.
/// * **Silence ends**, by its [`StreamLimits`], in a [`StreamStalled`](super::StreamStalled); so it
///   does at the call's deadline, with [`DeadlineExceeded`](crate::Cause::DeadlineExceeded): after it
///   nothing is delivered but what was held back.
/// * **The last event waits for the usage**, so that a caller who stops at `messageStop` has it too.
///
/// # Cancellation
///
/// Dropping it closes the connection and gives back all that the layers hold for it, at once. What it
/// used is then estimated from what came ([`UsageEstimate`]).
///
/// # Example
///
/// ```no_run
/// # #[cfg(feature = "aws")]
/// # async fn example(bedrock: tower_bedrock::Bedrock) -> Result<(), Box<dyn std::error::Error>> {
/// use aws_sdk_bedrockruntime::{
///     operation::converse_stream::ConverseStreamInput, types::ConverseStreamOutput,
/// };
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_bedrock::{ClassifyLayer, Request, RetryLayer};
///
/// let bedrock = ServiceBuilder::new()
///     .layer(RetryLayer::new())
///     .layer(ClassifyLayer::new())
///     .service(bedrock);
/// let input = ConverseStreamInput::builder()
///     .model_id("us.amazon.nova-lite-v1:0")
///     // .messages(…)
///     .build()?;
///
/// let mut stream = bedrock.oneshot(Request::from(input)).await?;
/// while let Some(event) = stream.next().await {
///     if let ConverseStreamOutput::ContentBlockDelta(event) = event? {
///         if let Some(Ok(text)) = event.delta().map(|delta| delta.as_text()) {
///             print!("{text}");
///         }
///     }
/// }
/// println!("\n{:?}", stream.usage());
/// # Ok(())
/// # }
/// ```
pub struct ResponseStream<E> {
    /// `None` when nothing more is read.
    source: Option<Pin<Box<dyn Source<E>>>>,
    held: VecDeque<E>,
    /// How many of them come before the last of a whole answer, and so wait for nothing.
    held_before_last: usize,
    lifecycle: Lifecycle,
    watchers: Watchers,
    /// Who keeps what comes.
    tap: Option<Box<dyn Tap<E>>>,
    /// Whether it is given a second time: what it used is charged to the call that it was made for.
    is_copy: bool,
    /// How it ended, once that has been told.
    end: Option<End>,
    usage: Option<Usage>,
    served: Served,
    call: CallContext,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Failed,
}

impl<E: StreamEvent> ResponseStream<E> {
    /// A stream of `events` in answer to `call`, which is sent now. What it yields is not looked at
    /// before it is polled; [`answered`](Self::answered) waits for its beginning.
    #[must_use]
    pub fn new<S>(events: S, call: CallContext) -> Self
    where
        S: Stream<Item = Result<E, RawError>> + Send + 'static,
    {
        Self::since(Instant::now(), events, call)
    }

    /// The same for a call that was sent at `sent`.
    pub(crate) fn since<S>(sent: Instant, events: S, call: CallContext) -> Self
    where
        S: Stream<Item = Result<E, RawError>> + Send + 'static,
    {
        Self {
            source: Some(Box::pin(Timed::new(events))),
            held: VecDeque::new(),
            held_before_last: 0,
            lifecycle: Lifecycle::new(sent, call.deadline),
            watchers: Watchers::default(),
            tap: None,
            is_copy: false,
            end: None,
            usage: None,
            served: Served {
                attempts: call.attempt,
                route: call.route.clone(),
                ..Served::default()
            },
            call,
        }
    }

    /// Sets how long it is waited for.
    #[must_use]
    pub fn with_limits(mut self, limits: StreamLimits) -> Self {
        self.lifecycle.set_limits(limits);
        self
    }

    /// Sets how much is held back by [`answered`](Self::answered).
    #[must_use]
    pub fn with_hold_back(mut self, hold_back: HoldBack) -> Self {
        self.lifecycle.set_hold_back(hold_back);
        self
    }

    /// Waits until the call counts as answered, by its [`HoldBack`].
    ///
    /// # Errors
    ///
    /// What went wrong before: a refusal as the first frame, a stall, a cut.
    pub async fn answered(mut self) -> Result<Self, RawError> {
        poll_fn(|cx| self.poll_answered(cx)).await?;
        Ok(self)
    }

    /// The next event; `None` when the answer is whole, and after an error.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Why the stream broke off.
    pub async fn next(&mut self) -> Option<Result<E, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<E> ResponseStream<E> {
    /// By whom and how the call was served.
    #[must_use]
    pub const fn served(&self) -> &Served {
        &self.served
    }

    /// What the reply used; `None` until the service has told, and if it never does.
    #[must_use]
    pub const fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// What the reply used so far, as far as it can be told from what came.
    #[must_use]
    pub fn estimated_usage(&self) -> UsageEstimate {
        if self.is_copy {
            return UsageEstimate::default();
        }
        self.lifecycle.estimate(self.served.route.model.as_ref())
    }

    /// Whether the answer came whole. Events of it may still be there to be read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end == Some(End::Complete)
    }
}

impl<E: StreamEvent> FusedStream for ResponseStream<E> {
    fn is_terminated(&self) -> bool {
        self.source.is_none() && self.held.is_empty()
    }
}

impl<E> Unpin for ResponseStream<E> {}

/// Shows how far it is, nothing of what it says.
impl<E> fmt::Debug for ResponseStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("served", &self.served)
            .field("events", &self.lifecycle.events())
            .field("end", &self.end)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}
