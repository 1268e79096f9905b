//! The future of [`CircuitBreaker`](super::CircuitBreaker).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    breakers::CircuitBreakers,
    permit::Permit,
    turn::{Turn, Waiting},
};
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
        Readying {
            service: S,
            request: Option<R>,
            breakers: CircuitBreakers,
            // Of a call that found the circuit open.
            waiting: Option<Pin<Box<Waiting>>>,
        },
        /// The inner service has the call.
        Called {
            #[pin]
            response: F,
            permit: Option<Permit>,
            turn: Option<Box<Turn>>,
        },
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

    pub(super) const fn readying(
        service: S,
        request: R,
        breakers: CircuitBreakers,
        waiting: Option<Pin<Box<Waiting>>>,
    ) -> Self {
        Self {
            state: State::Readying {
                service,
                request: Some(request),
                breakers,
                waiting,
            },
        }
    }

    #[inline]
    pub(super) const fn called(response: S::Future, permit: Permit) -> Self {
        Self {
            state: State::Called {
                response,
                permit: Some(permit),
                turn: None,
            },
        }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
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
                    waiting,
                } => {
                    let Some(call) = request.as_ref().map(BedrockRequest::context) else {
                        return Poll::Pending;
                    };
                    if let Some(waiting) = waiting {
                        ready!(waiting.as_mut().poll(cx, call))?;
                    }
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    if let Some(waiting) = waiting {
                        let polled = waiting.as_mut().poll_sends(cx, call);
                        if polled.is_pending() {
                            // Another call may have what was made ready.
                            *service = service.clone();
                        }
                        ready!(polled)?;
                    }
                    let Some(mut ready) = request.take() else {
                        return Poll::Pending;
                    };
                    match breakers.admit(ready.context_mut()) {
                        Ok(permit) => {
                            let turn = waiting.as_mut().and_then(|waiting| waiting.as_mut().take());
                            let response = service.call(ready);
                            let permit = Some(permit);
                            state.set(State::Called {
                                response,
                                permit,
                                turn,
                            });
                        }
                        Err(closed) => {
                            let is_back = waiting
                                .as_mut()
                                .is_some_and(|waiting| waiting.as_mut().rejoin(&closed.circuit));
                            if !is_back {
                                *waiting = Some(closed.wait(ready.context())?);
                            }
                            *service = service.clone();
                            *request = Some(ready);
                        }
                    }
                }
                StateProj::Called {
                    response,
                    permit,
                    turn,
                } => {
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
                            if let Some(turn) = turn.take() {
                                turn.answered();
                            }
                        }
                        Poll::Ready(Err(error)) => {
                            if let Some(permit) = permit.take() {
                                permit.failed(error);
                            }
                            if let Some(turn) = turn.take() {
                                turn.failed(error);
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
