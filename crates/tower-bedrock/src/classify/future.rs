//! The future of [`Classify`](super::Classify).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::Classifier;
use crate::{
    call::CallContext,
    error::{Error, RawError},
};

pin_project! {
    /// The future of [`Classify`](super::Classify).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        call: CallContext,
        classifier: Classifier,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, call: CallContext, classifier: Classifier) -> Self {
        Self {
            inner,
            call,
            classifier,
        }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<RawError>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        Poll::Ready(result.map_err(|error| {
            let error = this.classifier.classify(error.into());
            error.with_context(this.call)
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}
