//! The future of [`Bedrock`](super::Bedrock).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::error::RawError;

/// The future of [`Bedrock`](super::Bedrock). Boxed: the SDK's own is several kilobytes large and
/// has no name.
pub struct ResponseFuture<T>(State<T>);

enum State<T> {
    Failed(Option<RawError>),
    Sent(Pin<Box<dyn Future<Output = Result<T, RawError>> + Send>>),
}

impl<T> ResponseFuture<T> {
    pub(super) const fn failed(error: RawError) -> Self {
        Self(State::Failed(Some(error)))
    }

    pub(super) fn sent(future: impl Future<Output = Result<T, RawError>> + Send + 'static) -> Self {
        Self(State::Sent(Box::pin(future)))
    }
}

impl<T> Future for ResponseFuture<T> {
    type Output = Result<T, RawError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Failed(error) => error
                .take()
                .map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
            State::Sent(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for ResponseFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
