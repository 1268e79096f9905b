//! Where a batch has its requests from.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

/// An iterator that a [`Batch`](crate::Batch) pulls its requests from: a stream that is always ready.
#[derive(Clone, Debug)]
pub struct BatchInput<I>(I);

impl<I> BatchInput<I> {
    pub(super) const fn new(requests: I) -> Self {
        Self(requests)
    }
}

// Nothing in it is pinned.
impl<I> Unpin for BatchInput<I> {}

impl<I: Iterator> Stream for BatchInput<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// What was not pulled yet.
impl<I: Iterator> Iterator for BatchInput<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
