//! The future of [`CircuitBreaker`](super::CircuitBreaker).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{breakers::CircuitBreakers, permit::Permit};
use crate::{call::BedrockRequest, error::Error, reply::BedrockResponse};

pin_project! {
    /// The future of [`CircuitBreaker`](super::CircuitBreaker).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, F> {
        /// The circuit is open.
        Refused { error: Option<Error> },
        /// Not asked for yet: the inner service is not ready.
        Readying { service: S, request: Option<R>, breakers: CircuitBreakers },
        /// The inner service has the call.
        Called { #[pin] response: F, permit: Option<Permit> },
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<R>,
{
    pub(super) const fn refused(error: Error) -> Self {
        let error = Some(error);
        Self {
            state: State::Refused { error },
        }
    }

    pub(super) const fn readying(service: S, request: R, breakers: CircuitBreakers) -> Self {
        Self {
            state: State::Readying {
                service,
                request: Some(request),
                breakers,
            },
        }
    }

    #[inline]
    pub(super) const fn called(response: S::Future, permit: Permit) -> Self {
        Self {
            state: State::Called {
                response,
                permit: Some(permit),
            },
        }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
    S::Response: BedrockResponse,
    S::Error: Into<Error>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Refused { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                StateProj::Readying {
                    service,
                    request,
                    breakers,
                } => {
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let Some(mut request) = request.take() else {
                        return Poll::Pending;
                    };
                    let permit = Some(breakers.admit(request.context_mut())?);
                    let response = service.call(request);
                    state.set(State::Called { response, permit });
                }
                StateProj::Called { response, permit } => {
                    // Looked at where it is: a response is large, and need not be moved.
                    let mut polled = response.poll(cx).map_err(Into::into);
                    match &mut polled {
                        Poll::Pending => {
                            if let Some(permit) = permit {
                                permit.waits();
                            }
                        }
                        Poll::Ready(Ok(response)) => {
                            if let Some(permit) = permit {
                                permit.stop_clock();
                            }
                            if let Some(permit) = permit.take() {
                                permit.watch(response);
                            }
                        }
                        Poll::Ready(Err(error)) => {
                            if let Some(permit) = permit.take() {
                                permit.failed(error);
                            }
                        }
                    }
                    return polled;
                }
            }
        }
    }
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
