//! The readiness of an inner service, for layers that are ready in any case.

use std::task::{Context, Poll};

use tower_service::Service;

use crate::error::Error;

/// Whether `inner` is ready to be called. If it is not, it wakes the task when it may be.
#[inline]
pub(crate) fn look<S, R>(inner: &mut S, cx: &mut Context<'_>) -> Result<bool, Error>
where
    S: Service<R>,
    S::Error: Into<Error>,
{
    match inner.poll_ready(cx) {
        Poll::Ready(Ok(())) => Ok(true),
        Poll::Ready(Err(error)) => Err(error.into()),
        Poll::Pending => Ok(false),
    }
}
