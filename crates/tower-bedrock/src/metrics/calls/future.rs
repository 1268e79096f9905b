use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::call::Call;
use crate::{error::Error, reply::BedrockResponse};

pin_project! {
    /// The future of [`CallMetrics`](super::CallMetrics).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // Without a recorder there is nothing to count.
        call: Option<Call>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, call: Option<Call>) -> Self {
        Self { inner, call }
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
        if let Some(call) = this.call {
            call.made();
        }
        let result = ready!(this.inner.poll(cx)).map_err(Into::into);
        let Some(mut call) = this.call.take() else {
            return Poll::Ready(result);
        };
        Poll::Ready(match result {
            Ok(mut response) => {
                let served = response.served();
                if served.degraded {
                    call.handles.degraded(&served.route).increment(1);
                }
                response.watch(call);
                Ok(response)
            }
            Err(error) => {
                call.failed(&error);
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
