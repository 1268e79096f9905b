//! The future of [`TokenBudget`](super::TokenBudget).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{estimate::TokenEstimator, hold::Hold, settlement::Settlement, slow::Slow};
use crate::{call::BedrockRequest, error::Error, reply::BedrockResponse};

pin_project! {
    /// The future of [`TokenBudget`](super::TokenBudget).
    pub struct ResponseFuture<S, R, E>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, S::Future, E>,
    }
}

pin_project! {
    // What waits is apart: a future is moved several times before it is polled, and what is moved is
    // what it might become.
    #[project = StateProj]
    enum State<S, R, F, E> {
        /// The inner service has the call.
        Called { #[pin] response: F, hold: Option<Hold> },
        /// It does not have it yet.
        Slow { slow: Box<Slow<S, R, E>> },
    }
}

impl<S, R, E> ResponseFuture<S, R, E>
where
    S: Service<R>,
{
    /// Of a call that the inner service has.
    #[inline]
    pub(super) const fn called(response: S::Future, hold: Option<Hold>) -> Self {
        Self {
            state: State::Called { response, hold },
        }
    }

    /// Of a call that waits for something.
    #[cold]
    pub(super) fn slow(slow: Slow<S, R, E>) -> Self {
        let slow = Box::new(slow);
        Self {
            state: State::Slow { slow },
        }
    }
}

impl<S, R, E> Future for ResponseFuture<S, R, E>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Response: BedrockResponse,
    S::Error: Into<Error>,
    E: TokenEstimator<R>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Called { response, hold } => {
                    if let Some(hold) = hold {
                        hold.begins();
                    }
                    // Looked at where it is: a response is large, and is moved once, when it is given.
                    let mut polled = response.poll(cx);
                    match &mut polled {
                        Poll::Pending => {
                            if let Some(hold) = hold {
                                hold.waits();
                            }
                        }
                        Poll::Ready(Ok(response)) => {
                            if let Some(hold) = hold.take() {
                                response.watch(Settlement::new(hold));
                            }
                        }
                        Poll::Ready(Err(_)) => {}
                    }
                    return polled.map_err(|error| {
                        let error = error.into();
                        if let Some(hold) = hold.take() {
                            Settlement::new(hold).failed(&error);
                        }
                        error
                    });
                }
                StateProj::Slow { slow } => {
                    let (response, hold) = ready!(slow.poll_call(cx))?;
                    state.set(State::Called { response, hold });
                }
            }
        }
    }
}

impl<S, R, E> fmt::Debug for ResponseFuture<S, R, E>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
