//! The future of [`Trace`](super::Trace).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::span::Traced;
use crate::{error::Error, reply::BedrockResponse};

pin_project! {
    /// The future of [`Trace`](super::Trace).
    pub struct ResponseFuture<F> {
        // `None` once it is dropped, which is done within the span.
        #[pin]
        inner: Option<F>,
        traced: Option<Traced>,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(traced) = this.traced {
                traced.span().in_scope(|| this.inner.set(None));
            }
        }
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, traced: Option<Traced>) -> Self {
        Self {
            inner: Some(inner),
            traced,
        }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    T: BedrockResponse,
    E: Into<Error>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let Some(traced) = this.traced else {
            return inner.poll(cx).map_err(Into::into);
        };
        let mut polled = traced
            .span()
            .in_scope(|| inner.poll(cx))
            .map_err(Into::into);
        match &mut polled {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => traced.failed(error),
            Poll::Ready(Ok(response)) => {
                traced.answered(response.served());
                if let Some(traced) = this.traced.take() {
                    response.watch(traced);
                }
            }
        }
        polled
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("is_traced", &self.traced.is_some())
            .finish_non_exhaustive()
    }
}
