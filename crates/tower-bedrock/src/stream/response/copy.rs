//! Answers that are given more than once.

use std::task::{Context, Waker};

use futures_core::Stream;

use super::{End, ResponseStream};
use crate::{
    call::CallContext,
    error::RawError,
    reply::{Served, Usage},
    stream::{HoldBack, StreamEvent, StreamLimits},
};

/// Sees the events of a stream as they are received, to keep them.
pub(crate) trait Tap<E>: Send {
    fn event(&mut self, event: &E);

    /// The answer is whole, and all events of it were seen. Not called for one that is not.
    fn complete(self: Box<Self>, served: &Served, usage: Option<&Usage>);
}

impl<E: StreamEvent> ResponseStream<E> {
    /// Has `tap` see all events, unless some of them have been read already.
    pub(crate) fn tap(&mut self, mut tap: impl Tap<E> + 'static) {
        if self.held.len() as u64 != self.lifecycle.events() {
            return;
        }
        for event in &self.held {
            tap.event(event);
        }
        let tap: Box<dyn Tap<E>> = Box::new(tap);
        self.tap = Some(tap);
        if self.source.is_none() {
            self.tell_tap();
        }
    }

    /// An answer, or the beginning of one, that was received before and is given to `call`. Whoever
    /// receives what follows bounds how long that takes, but for the call's own deadline.
    pub(crate) fn again<S>(events: S, call: CallContext, served: Served, is_copy: bool) -> Self
    where
        S: Stream<Item = Result<E, RawError>> + Send + 'static,
    {
        let mut stream = Self::new(events, call)
            .with_limits(StreamLimits::none())
            .with_hold_back(HoldBack::until_content());
        stream.served = served;
        stream.is_copy = is_copy;
        // What was there already is there for those who watch, too. An error waits for the reader.
        let mut cx = Context::from_waker(Waker::noop());
        drop(stream.poll_answered(&mut cx));
        stream
    }
}

impl<E> ResponseStream<E> {
    /// Nothing more is received.
    pub(super) fn tell_tap(&mut self) {
        if let Some(tap) = self.tap.take()
            && self.end == Some(End::Complete)
        {
            tap.complete(&self.served, self.usage.as_ref());
        }
    }
}
