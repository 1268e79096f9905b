use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::attempt::Attempt;
use crate::{error::Error, reply::BedrockResponse};

pin_project! {
    /// The future of [`AttemptMetrics`](super::AttemptMetrics).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // Without a recorder there is nothing to count.
        attempt: Option<Attempt>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, attempt: Option<Attempt>) -> Self {
        Self { inner, attempt }
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
        if let Some(attempt) = this.attempt {
            attempt.sent();
        }
        let result = ready!(this.inner.poll(cx)).map_err(Into::into);
        let Some(mut attempt) = this.attempt.take() else {
            return Poll::Ready(result);
        };
        Poll::Ready(match result {
            Ok(mut response) => {
                attempt.answered();
                response.watch(attempt);
                Ok(response)
            }
            Err(error) => {
                attempt.failed(&error);
                Err(error)
            }
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
