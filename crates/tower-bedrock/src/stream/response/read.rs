//! How a stream is read.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::time::Instant;

use super::ResponseStream;
use crate::{
    error::{Error, RawError},
    stream::{EventFacts, StreamEvent, lifecycle::Silence},
};

/// How many events are held back at a time, as a rule: those before the first content, and those
/// after the last.
const USUALLY_HELD: usize = 4;

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
    pub(super) fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RawError>> {
        loop {
            match ready!(self.poll_read(cx)) {
                Read::Event(event) => {
                    self.held_before_last = self.held.len();
                    self.hold(event);
                    if self.lifecycle.is_answered(Instant::now()) {
                        break;
                    }
                }
                Read::Release => break,
                Read::End => {
                    self.close();
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
                // What breaks after the answer breaks nothing.
                Poll::Ready(Read::End | Read::Broken(_)) => self.close(),
                Poll::Pending if self.held_before_last > 0 => break,
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
        let read = source.as_mut().poll_event(cx);
        match read.map(|event| event.map(|event| event.and_then(checked))) {
            Poll::Ready(Some(Ok((event, facts)))) => {
                let had_content = self.lifecycle.first_content().is_some();
                self.lifecycle.event(&facts, now);
                if facts.is_content && !had_content {
                    self.watchers.each(|watcher| watcher.first_content(now));
                }
                if let Some(tier) = facts.tier {
                    self.served.route.tier = tier;
                }
                if let Some(tap) = &mut self.tap {
                    tap.event(&event);
                }
                return Poll::Ready(Read::Event(event));
            }
            Poll::Ready(None) if self.lifecycle.end() => return Poll::Ready(Read::End),
            Poll::Ready(None) => return Poll::Ready(Read::Broken(self.truncated())),
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

/// An event and its facts, or the error that it is.
fn checked<E: StreamEvent>(event: E) -> Result<(E, EventFacts), RawError> {
    let facts = event.facts();
    match facts.is_error.then(|| event.error()).flatten() {
        Some(error) => Err(error),
        None => Ok((event, facts)),
    }
}

impl<E: StreamEvent> Stream for ResponseStream<E> {
    type Item = Result<E, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_rest(cx));
            if let Some(event) = this.held.pop_front() {
                this.held_before_last = this.held_before_last.saturating_sub(1);
                return Poll::Ready(Some(Ok(event)));
            }
            if this.source.is_none() {
                return Poll::Ready(None);
            }
            match ready!(this.poll_read(cx)) {
                Read::Event(event) if this.lifecycle.is_whole() => this.hold(event),
                Read::Event(event) => return Poll::Ready(Some(Ok(event))),
                Read::Release => this.lifecycle.release_held(),
                Read::End => this.close(),
                Read::Broken(error) => return Poll::Ready(Some(Err(this.fail(error)))),
            }
        }
    }
}
