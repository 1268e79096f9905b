//! The SDK's receiver as a stream.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::error::RawError;

pin_project! {
    /// Calls an async function again and again, each time with what it gave back the last time. The
    /// place of its future is used again, so an event costs no allocation.
    struct Receive<F, N> {
        next: N,
        #[pin]
        received: F,
    }
}

/// A stream of what `next` makes of `receiver`.
pub(super) fn receive<R, E, F, N>(
    receiver: R,
    mut next: N,
) -> impl Stream<Item = Result<E, RawError>>
where
    N: FnMut(R) -> F,
    F: Future<Output = (R, Option<Result<E, RawError>>)>,
{
    let received = next(receiver);
    Receive { next, received }
}

impl<F, N, R, E> Stream for Receive<F, N>
where
    N: FnMut(R) -> F,
    F: Future<Output = (R, Option<Result<E, RawError>>)>,
{
    type Item = Result<E, RawError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let (receiver, event) = ready!(this.received.as_mut().poll(cx));
        this.received.set((this.next)(receiver));
        Poll::Ready(event)
    }
}
