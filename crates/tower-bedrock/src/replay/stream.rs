//! Streams that are kept, and kept ones as streams.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::answer::{AnswerPart, Kept};
use crate::{
    error::RawError,
    reply::{Served, Usage},
    stream::Tap,
};

/// Keeps the events of a stream until it is whole, as long as they may be kept.
pub(super) struct Recording<E, K> {
    /// `None` once it is known that the answer is not to be kept.
    events: Option<Vec<E>>,
    bytes: usize,
    most_bytes: usize,
    keep: K,
}

impl<E, K> Recording<E, K> {
    pub(super) const fn new(most_bytes: usize, keep: K) -> Self {
        Self {
            events: Some(Vec::new()),
            bytes: 0,
            most_bytes,
            keep,
        }
    }
}

impl<E, K> Tap<E> for Recording<E, K>
where
    E: AnswerPart,
    K: FnOnce(Kept<Box<[E]>>) + Send,
{
    fn event(&mut self, event: &E) {
        let Some(events) = &mut self.events else {
            return;
        };
        let bytes = size_of::<E>().saturating_add(event.held_bytes());
        self.bytes = self.bytes.saturating_add(bytes);
        if event.is_whole() && self.bytes <= self.most_bytes {
            events.push(event.clone());
        } else {
            self.events = None;
        }
    }

    fn complete(self: Box<Self>, served: &Served, usage: Option<&Usage>) {
        let Self {
            events,
            bytes,
            keep,
            ..
        } = *self;
        if let Some(events) = events {
            keep(Kept {
                answer: events.into_boxed_slice(),
                served: served.clone(),
                usage: usage.copied(),
                bytes,
            });
        }
    }
}

/// The events of an answer that was kept.
pub(super) struct KeptEvents<E> {
    kept: Arc<Kept<Box<[E]>>>,
    next: usize,
}

impl<E> KeptEvents<E> {
    pub(super) const fn new(kept: Arc<Kept<Box<[E]>>>) -> Self {
        Self { kept, next: 0 }
    }
}

impl<E: Clone> Stream for KeptEvents<E> {
    type Item = Result<E, RawError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let event = self.kept.answer.get(self.next).cloned();
        self.next += 1;
        Poll::Ready(event.map(Ok))
    }
}
