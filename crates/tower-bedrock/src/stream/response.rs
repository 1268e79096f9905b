//! The reply that is a stream.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use tokio::time::Instant;

use super::{
    facts::StreamEvent,
    lifecycle::{Lifecycle, Silence},
    limits::{HoldBack, StreamLimits},
    source::{Source, Timed},
    watchers::Watchers,
};
use crate::{
    call::CallContext,
    cause::Cause,
    error::{Error, ErrorDetails, RawError},
    reply::{BedrockResponse, Finish, Served, Usage, UsageEstimate, Watcher},
};

/// How many events are held back at a time, as a rule: those before the first content, and those
/// after the last.
const USUALLY_HELD: usize = 4;

/// A reply that comes in events: an answer as it is generated.
///
/// A [`Stream`] of `Result<Event, Error>` that is `Unpin`; [`next`](Self::next) spares the caller a
/// trait for it. After an error, and after its end, it gives `None`.
///
/// # What it promises
///
/// * **An end is an end.** `None` without an error before it means that the answer is whole: its last
///   event was seen (`messageStop`, or what ends a stream of the model's own format). A connection
///   that is closed before is [`Cause::StreamTruncated`], however politely it was closed.
/// * **Exceptions inside the stream** have the cause that they have outside of one, by the rules of
///   the [`ClassifyLayer`](crate::ClassifyLayer) above.
/// * **The call is answered with the first content** ([`HoldBack`]). What fails before, fails the
///   call, and is retried or falls back like any other; what fails after, nobody retries.
/// * **Silence ends**, by its [`StreamLimits`], in a [`StreamStalled`](super::StreamStalled); so it
///   does at the call's deadline, with [`Cause::DeadlineExceeded`]. What has come is delivered first.
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
    lifecycle: Lifecycle,
    watchers: Watchers,
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

/// What came of reading on.
enum Read<E> {
    Event(E),
    /// Enough was held back for long enough.
    Release,
    /// The answer is whole, and nothing more comes.
    End,
    Broken(RawError),
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
            lifecycle: Lifecycle::new(sent, call.deadline),
            watchers: Watchers::default(),
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

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RawError>> {
        loop {
            match ready!(self.poll_read(cx)) {
                Read::Event(event) => {
                    self.hold(event);
                    if self.lifecycle.is_answered(Instant::now()) {
                        break;
                    }
                }
                Read::Release => break,
                Read::End => {
                    self.complete();
                    break;
                }
                Read::Broken(error) => return Poll::Ready(Err(error)),
            }
        }
        self.lifecycle.release_held();
        Poll::Ready(Ok(()))
    }

    /// Reads on once the answer is whole: for what it used, and to the end of the connection, which
    /// then serves another call. Ready when there is no reason to wait for either.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.source.is_some() && self.lifecycle.is_whole() {
            match self.poll_read(cx) {
                Poll::Ready(Read::Event(event)) => self.hold(event),
                Poll::Ready(Read::Release) => {}
                Poll::Ready(Read::End | Read::Broken(_)) => {
                    self.source = None;
                    self.complete();
                }
                Poll::Pending if self.end.is_some() && !self.held.is_empty() => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Reads on, within the limits.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Read<E>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(Read::End);
        };
        let now = Instant::now();
        if self.lifecycle.is_past_deadline(now) {
            return Poll::Ready(Read::Broken(self.deadline_exceeded()));
        }
        match source.as_mut().poll_event(cx) {
            Poll::Ready(Some(Ok(event))) => {
                let facts = event.facts();
                self.lifecycle.event(&facts, now);
                if let Some(tier) = facts.tier {
                    self.served.route.tier = tier;
                }
                return Poll::Ready(Read::Event(event));
            }
            Poll::Ready(None) if self.lifecycle.end() => return Poll::Ready(Read::End),
            Poll::Ready(None) => return Poll::Ready(Read::Broken(self.truncated())),
            // The answer is whole: what breaks after it breaks nothing.
            Poll::Ready(Some(Err(_))) if self.lifecycle.is_whole() => {
                return Poll::Ready(Read::End);
            }
            Poll::Ready(Some(Err(error))) => {
                return Poll::Ready(Read::Broken(self.located(error)));
            }
            Poll::Pending => {}
        }
        loop {
            let silence = self.lifecycle.silence(Instant::now());
            return Poll::Ready(match silence {
                Silence::Wait(None) => return Poll::Pending,
                Silence::Wait(Some(at)) => {
                    ready!(source.as_mut().poll_alarm(at, cx));
                    continue;
                }
                Silence::Release => Read::Release,
                Silence::Finish => Read::End,
                Silence::Stalled(stalled) => Read::Broken(self.located(stalled.into())),
                Silence::DeadlineExceeded => Read::Broken(self.deadline_exceeded()),
            });
        }
    }

    fn hold(&mut self, event: E) {
        if self.held.capacity() == 0 {
            self.held.reserve(USUALLY_HELD);
        }
        self.held.push_back(event);
        if self.lifecycle.is_counted() {
            self.complete();
        }
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
        self.lifecycle.estimate(self.served.route.model.as_ref())
    }

    /// Whether the answer came whole. Events of it may still be there to be read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end == Some(End::Complete)
    }

    fn complete(&mut self) {
        if self.end.is_none() {
            self.end = Some(End::Complete);
            self.tell(Finish::Complete);
        }
    }

    /// Closes the connection and tells everybody why.
    fn fail(&mut self, error: RawError) -> Error {
        self.source = None;
        let classifier = self.call.classifier.take().unwrap_or_default();
        let error = classifier.classify(error);
        let error = match error.operation() {
            Some(_) => error,
            None => error.with_context(&self.call),
        };
        if self.end.is_none() {
            self.end = Some(End::Failed);
            self.tell(Finish::Failed(&error));
        }
        error
    }

    fn tell(&mut self, finish: Finish<'_>) {
        let model = self.served.route.model.as_ref();
        self.usage = self.lifecycle.usage(model);
        let usage = self.usage;
        let estimate = self.lifecycle.estimate(model);
        self.watchers
            .tell(|watcher| report(watcher, usage.as_ref(), &estimate, finish));
    }

    fn truncated(&self) -> RawError {
        let events = self.lifecycle.events();
        self.located(RawError::Truncated(Box::new(ErrorDetails {
            message: Some(format!(
                "it ended after {events} events, and the answer was not whole"
            )),
            ..ErrorDetails::default()
        })))
    }

    fn deadline_exceeded(&self) -> RawError {
        let events = self.lifecycle.events();
        let mut error = Error::new(Cause::DeadlineExceeded).with_message(format!(
            "the call's deadline passed after {events} events of its stream"
        ));
        if let Some(request_id) = &self.served.request_id {
            error = error.with_request_id(request_id);
        }
        error.with_context(&self.call).into()
    }

    /// The same error with what is known of the call.
    fn located(&self, mut error: RawError) -> RawError {
        if let Some(details) = error.details_mut() {
            if details.request_id.is_none() {
                details.request_id.clone_from(&self.served.request_id);
            }
            details.route = Some(self.call.route.clone());
        }
        error
    }
}

fn report(
    watcher: &mut dyn Watcher,
    usage: Option<&Usage>,
    estimate: &UsageEstimate,
    finish: Finish<'_>,
) {
    match usage {
        Some(usage) => watcher.usage(usage),
        None => watcher.estimate(estimate),
    }
    watcher.finish(finish);
}

impl<E: StreamEvent> Stream for ResponseStream<E> {
    type Item = Result<E, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_rest(cx));
            if let Some(event) = this.held.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.source.is_none() {
                return Poll::Ready(None);
            }
            match ready!(this.poll_read(cx)) {
                Read::Event(event) if this.lifecycle.is_whole() => this.hold(event),
                Read::Event(event) => return Poll::Ready(Some(Ok(event))),
                Read::Release => this.lifecycle.release_held(),
                Read::End => {
                    this.source = None;
                    this.complete();
                }
                Read::Broken(error) => return Poll::Ready(Some(Err(this.fail(error)))),
            }
        }
    }
}

impl<E: StreamEvent> FusedStream for ResponseStream<E> {
    fn is_terminated(&self) -> bool {
        self.source.is_none() && self.held.is_empty()
    }
}

impl<E> Unpin for ResponseStream<E> {}

impl<E> BedrockResponse for ResponseStream<E> {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    /// The watcher costs one allocation. It hears at once if the answer came whole already.
    fn watch(&mut self, mut watcher: impl Watcher) {
        let finish = match self.end {
            None => return self.watchers.push(watcher),
            Some(End::Complete) => Finish::Complete,
            // The error is with the caller.
            Some(End::Failed) => Finish::Abandoned,
        };
        let estimate = self.estimated_usage();
        report(&mut watcher, self.usage.as_ref(), &estimate, finish);
    }
}

impl<E> Drop for ResponseStream<E> {
    fn drop(&mut self) {
        self.source = None;
        if self.end.is_none() {
            self.tell(if self.lifecycle.is_whole() {
                Finish::Complete
            } else {
                Finish::Abandoned
            });
        }
    }
}

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
