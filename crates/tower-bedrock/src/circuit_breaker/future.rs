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
    // What waits is apart: a future is moved several times before it is polled, and what is moved is
    // what it might become.
    #[project = StateProj]
    enum State<S, R, F> {
        /// The circuit is open.
        Refused { error: Option<Error> },
        /// The call waits for its circuit, or for the inner service.
        Readying { readying: Box<Readying<S, R>> },
        /// The inner service has the call.
        Called {
            #[pin]
            response: F,
            permit: Option<Permit>,
            turn: Option<Box<Turn>>,
        },
    }
}

/// A call that the inner service does not have yet.
struct Readying<S, R> {
    service: S,
    request: Option<R>,
    breakers: CircuitBreakers,
    /// Of a call that found the circuit open.
    waiting: Option<Pin<Box<Waiting>>>,
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

    pub(super) fn readying(
        service: S,
        request: R,
        breakers: CircuitBreakers,
        waiting: Option<Pin<Box<Waiting>>>,
    ) -> Self {
        let readying = Box::new(Readying {
            service,
            request: Some(request),
            breakers,
            waiting,
        });
        Self {
            state: State::Readying { readying },
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

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Called {
                    response,
                    permit,
                    turn,
                } => {
                    // Looked at where it is: a response is large, and is moved once, when it is given.
                    let mut polled = response.poll(cx);
                    match &mut polled {
                        Poll::Pending => {
                            if let Some(permit) = permit {
                                permit.waits();
                            }
                        }
                        Poll::Ready(Ok(response)) => {
                            Permit::watch(permit, response);
                            if let Some(turn) = turn.take() {
                                turn.answered();
                            }
                        }
                        Poll::Ready(Err(_)) => {}
                    }
                    return polled.map_err(|error| {
                        let error = error.into();
                        if let Some(permit) = permit.take() {
                            permit.failed(&error);
                        }
                        if let Some(turn) = turn.take() {
                            turn.failed(&error);
                        }
                        error
                    });
                }
                StateProj::Refused { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                StateProj::Readying { readying } => {
                    let (response, permit, turn) = ready!(readying.poll_called(cx))?;
                    let permit = Some(permit);
                    state.set(State::Called {
                        response,
                        permit,
                        turn,
                    });
                }
            }
        }
    }
}

/// What becomes of a call that may go.
type Called<F> = (F, Permit, Option<Box<Turn>>);

impl<S, R> Readying<S, R>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Error: Into<Error>,
{
    /// Waits until the call may go and the inner service is ready, and calls it.
    fn poll_called(&mut self, cx: &mut Context<'_>) -> Poll<Result<Called<S::Future>, Error>> {
        loop {
            let Some(call) = self.request.as_ref().map(BedrockRequest::context) else {
                return Poll::Pending;
            };
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx, call))?;
            }
            ready!(self.service.poll_ready(cx)).map_err(Into::into)?;
            if let Some(waiting) = &mut self.waiting {
                let polled = waiting.as_mut().poll_sends(cx, call);
                if polled.is_pending() {
                    // Another call may have what was made ready.
                    self.service = self.service.clone();
                }
                ready!(polled)?;
            }
            let Some(mut request) = self.request.take() else {
                return Poll::Pending;
            };
            match self.breakers.admit(request.context_mut()) {
                Ok(permit) => {
                    let waiting = self.waiting.as_mut();
                    let turn = waiting.and_then(|waiting| waiting.as_mut().take());
                    return Poll::Ready(Ok((self.service.call(request), permit, turn)));
                }
                Err(closed) => {
                    let waiting = self.waiting.as_mut();
                    let is_back =
                        waiting.is_some_and(|waiting| waiting.as_mut().rejoin(&closed.circuit));
                    if !is_back {
                        self.waiting = Some(closed.wait(request.context())?);
                    }
                    self.service = self.service.clone();
                    self.request = Some(request);
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
