//! Where events come from, and the alarm that rings when they do not.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{clock, error::RawError};

/// A stream of events and an alarm, in one allocation.
pub(super) trait Source<E>: Send {
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<E, RawError>>>;

    /// Ready when it is `at`.
    fn poll_alarm(self: Pin<&mut Self>, at: Instant, cx: &mut Context<'_>) -> Poll<()>;
}

pin_project! {
    pub(super) struct Timed<S> {
        #[pin]
        events: S,
        #[pin]
        alarm: Option<Sleep>,
    }
}

impl<S> Timed<S> {
    pub(super) const fn new(events: S) -> Self {
        Self {
            events,
            alarm: None,
        }
    }
}

impl<S, E> Source<E> for Timed<S>
where
    S: Stream<Item = Result<E, RawError>> + Send,
{
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<E, RawError>>> {
        self.project().events.poll_next(cx)
    }

    fn poll_alarm(self: Pin<&mut Self>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if !clock::comes(&at) {
            return Poll::Pending;
        }
        let mut alarm = self.project().alarm;
        match alarm.as_mut().as_pin_mut() {
            Some(set) if set.deadline() != at => set.reset(at),
            Some(_) => {}
            None => alarm.set(Some(sleep_until(at))),
        }
        match alarm.as_pin_mut() {
            Some(alarm) => alarm.poll(cx),
            None => Poll::Pending,
        }
    }
}
