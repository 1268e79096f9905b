//! A stream's body, read through.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::frames::{Frames, Heard};
use crate::{
    call::CallContext,
    cause::Cause,
    clock,
    error::{Error, ErrorDetails, RawError},
    reply::{Finish, Watcher},
    sdk::stream::StreamOptions,
    stream::{
        lifecycle::{Lifecycle, Silence},
        watchers::Watchers,
    },
};

/// The body of a stream, on its way to the SDK: it is passed on byte by byte as it comes, and read
/// along, for the watchers to hear what it used and how it ended.
///
/// What the service says, exceptions included, is left for the SDK to read. What the SDK would not
/// notice ends the body with an [`Error`]: an answer that is cut where a frame ends, and silence.
pub(super) struct Tap {
    /// `None` when nothing more is read.
    inner: Option<SdkBody>,
    /// What was read, and not passed on yet.
    ahead: VecDeque<Bytes>,
    frames: Frames,
    lifecycle: Lifecycle,
    /// A watcher is `Send` and a body must be `Sync`; nobody ever waits for this lock.
    watchers: Mutex<Watchers>,
    /// Whether the watchers have been told how it ended.
    has_ended: bool,
    /// What the body ends with, after all that came before it.
    error: Option<Error>,
    alarm: Option<Pin<Box<Sleep>>>,
    call: CallContext,
}

/// How far the end of an answer is looked for that is read no further.
const LOOKS: usize = 4;

/// What came of reading on.
enum Read {
    /// More, or there was an end to tell of.
    On,
    /// Enough was held back for long enough.
    Release,
    /// Before anything was passed on: why the call failed.
    Broken(RawError),
}

impl Tap {
    /// Reads `inner`, which answers `call` that was sent at `sent`. The stream ends by `deadline`.
    pub(super) fn new(
        inner: SdkBody,
        call: CallContext,
        sent: Instant,
        deadline: Option<Instant>,
        options: StreamOptions,
    ) -> Self {
        let mut lifecycle = Lifecycle::new(sent, deadline);
        lifecycle.set_limits(options.limits);
        lifecycle.set_hold_back(options.hold_back);
        Self {
            inner: Some(inner),
            ahead: VecDeque::new(),
            frames: Frames::of(call.operation),
            lifecycle,
            watchers: Mutex::default(),
            has_ended: false,
            error: None,
            alarm: None,
            call,
        }
    }

    /// Reads ahead until the call counts as answered.
    ///
    /// # Errors
    ///
    /// What went wrong before. Whatever the service said is still there to be read.
    pub(super) async fn answered(&mut self) -> Result<(), RawError> {
        poll_fn(|cx| self.poll_answered(cx)).await
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RawError>> {
        loop {
            let now = Instant::now();
            while let Some(heard) = self.frames.next() {
                match heard {
                    Heard::Event(facts) => self.lifecycle.event(&facts, now),
                    Heard::Broken(error) => return Poll::Ready(Err(error)),
                }
                if self.lifecycle.is_answered(now) {
                    self.lifecycle.release_held();
                    return Poll::Ready(Ok(()));
                }
            }
            match ready!(self.poll_read(cx)) {
                Read::On if self.inner.is_some() => {}
                Read::On | Read::Release => {
                    self.lifecycle.release_held();
                    return Poll::Ready(Ok(()));
                }
                Read::Broken(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Passes on what was held back, whatever that is.
    pub(super) fn release(&mut self) {
        self.lifecycle.release_held();
    }

    /// Whether there is something that the SDK can read for itself.
    pub(super) fn can_be_read(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// From here on it only passes on what has come, and nobody is told. Nothing is read after what
    /// broke the answer, so the connection is let go: who keeps the answer may keep it for long.
    pub(super) async fn let_go(&mut self) {
        self.release();
        self.has_ended = true;
        if let Some(mut inner) = self.inner.take() {
            // One that is read to its end can be used again. Its end is not waited for, nor looked for
            // behind whatever else there may be.
            poll_fn(|cx| {
                let mut read = || Pin::new(&mut inner).poll_frame(cx);
                let _is_end = (0..LOOKS).all(|_| matches!(read(), Poll::Ready(Some(Ok(_)))));
                Poll::Ready(())
            })
            .await;
        }
    }

    pub(super) fn watch(&mut self, mut watcher: impl Watcher) {
        if let Some(at) = self.lifecycle.first_content() {
            watcher.first_content(at);
        }
        if !self.has_ended {
            self.watchers().push(watcher);
            return;
        }
        let usage = self.lifecycle.usage(self.call.route.model.as_ref());
        if let Some(usage) = &usage {
            watcher.usage(usage);
        }
        watcher.finish(Finish::Complete);
    }

    /// Takes note of every frame that has come whole.
    fn take_note(&mut self) {
        let now = Instant::now();
        while let Some(heard) = self.frames.next() {
            match heard {
                Heard::Event(facts) => {
                    let had_content = self.lifecycle.first_content().is_some();
                    self.lifecycle.event(&facts, now);
                    if facts.is_content && !had_content {
                        self.watchers().each(|watcher| watcher.first_content(now));
                    }
                }
                // The SDK finds it as well.
                Heard::Broken(error) => drop(self.fail(error)),
            }
        }
        if self.lifecycle.is_counted() {
            self.complete();
        }
    }

    /// Reads on, within the limits.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Read::On);
        };
        if self.lifecycle.is_past_deadline(Instant::now()) {
            let error = self.deadline_exceeded();
            return Poll::Ready(self.broken(error));
        }
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(chunk) = frame.into_data() {
                    self.frames.push(chunk.clone());
                    self.ahead.push_back(chunk);
                }
                return Poll::Ready(Read::On);
            }
            // The answer is whole: what breaks after it breaks nothing.
            Poll::Ready(Some(Err(_))) if self.lifecycle.is_whole() => {
                self.inner = None;
                self.complete();
                return Poll::Ready(Read::On);
            }
            Poll::Ready(Some(Err(error))) => {
                let error = cut("the connection broke", Some(error));
                return Poll::Ready(self.broken(error));
            }
            Poll::Ready(None) => return Poll::Ready(self.ended()),
            Poll::Pending => {}
        }
        loop {
            let error = match self.lifecycle.silence(Instant::now()) {
                Silence::Wait(None) => return Poll::Pending,
                Silence::Wait(Some(at)) => {
                    ready!(self.poll_alarm(at, cx));
                    continue;
                }
                Silence::Release => return Poll::Ready(Read::Release),
                Silence::Finish => {
                    self.complete();
                    return Poll::Ready(Read::On);
                }
                Silence::Stalled(stalled) => stalled.into(),
                Silence::DeadlineExceeded => self.deadline_exceeded(),
            };
            return Poll::Ready(self.broken(error));
        }
    }

    /// What follows once it has been told how it ended.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        // The answer is whole: what breaks after it breaks nothing.
        let is_broken = matches!(frame, Some(Err(_))) && self.lifecycle.is_whole();
        Poll::Ready(frame.filter(|_| !is_broken))
    }

    /// Nothing more comes.
    fn ended(&mut self) -> Read {
        self.inner = None;
        if self.lifecycle.end() {
            self.complete();
            return Read::On;
        }
        let events = self.lifecycle.events();
        if self.frames.is_at_end_of_frame() {
            let said = format!("it ended after {events} events, and the answer was not whole");
            return self.broken(cut(&said, None));
        }
        // The SDK notices by itself.
        let error = cut("it ended within an event", None);
        if self.lifecycle.is_held() {
            return Read::Broken(error);
        }
        drop(self.fail(error));
        Read::On
    }

    /// Closes the connection, for a reason that only we know.
    fn broken(&mut self, error: RawError) -> Read {
        self.inner = None;
        if self.lifecycle.is_held() {
            return Read::Broken(error);
        }
        self.error = Some(self.fail(error));
        Read::On
    }

    fn poll_alarm(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if !clock::comes(&at) {
            return Poll::Pending;
        }
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.deadline() != at {
            alarm.as_mut().reset(at);
        }
        alarm.as_mut().poll(cx)
    }

    fn complete(&mut self) {
        if !self.has_ended {
            self.has_ended = true;
            self.tell(Finish::Complete);
        }
    }

    /// Tells everybody why it failed, and returns that.
    fn fail(&mut self, error: RawError) -> Error {
        let classifier = self.call.classifier.take().unwrap_or_default();
        let error = classifier.classify(error);
        let error = match error.operation() {
            Some(_) => error,
            None => error.with_context(&self.call),
        };
        if !self.has_ended {
            self.has_ended = true;
            self.tell(Finish::Failed(&error));
        }
        error
    }

    fn tell(&mut self, finish: Finish<'_>) {
        let model = self.call.route.model.as_ref();
        let usage = self.lifecycle.usage(model);
        let estimate = self.lifecycle.estimate(model);
        self.watchers().tell(|watcher| {
            match &usage {
                Some(usage) => watcher.usage(usage),
                None => watcher.estimate(&estimate),
            }
            watcher.finish(finish);
        });
    }

    fn deadline_exceeded(&self) -> RawError {
        let events = self.lifecycle.events();
        Error::new(Cause::DeadlineExceeded)
            .with_message(format!(
                "the call's deadline passed after {events} events of its stream"
            ))
            .with_context(&self.call)
            .into()
    }

    fn watchers(&mut self) -> &mut Watchers {
        self.watchers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what was read may be passed on: what ends the answer waits for what it used, for a
    /// caller who stops there.
    fn may_pass_on(&self) -> bool {
        self.has_ended || !self.lifecycle.is_whole()
    }
}

fn cut(said: &str, source: Option<BodyError>) -> RawError {
    RawError::Truncated(Box::new(ErrorDetails {
        message: Some(said.to_owned()),
        source,
        ..ErrorDetails::default()
    }))
}

impl Body for Tap {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if !this.has_ended {
                this.take_note();
            }
            if this.may_pass_on()
                && let Some(chunk) = this.ahead.pop_front()
            {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            if this.has_ended {
                return this.poll_rest(cx);
            }
            match ready!(this.poll_read(cx)) {
                Read::On => {}
                Read::Release => this.release(),
                Read::Broken(error) => this.error = Some(this.fail(error)),
            }
        }
    }

    /// Never: whoever stops reading here would not hear how it ended.
    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.inner = None;
        if !self.has_ended {
            self.has_ended = true;
            let finish = if self.lifecycle.is_whole() {
                Finish::Complete
            } else {
                Finish::Abandoned
            };
            self.tell(finish);
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("events", &self.lifecycle.events())
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}
