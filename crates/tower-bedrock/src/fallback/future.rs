//! The future of [`Fallback`](super::Fallback).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{
    descent::{Descent, deadline_exceeded},
    layer::Shared,
};
use crate::{
    call::{BedrockRequest, CallContext},
    clock::{self, Turn},
    error::Error,
    lane::{Held, Hold},
    reply::BedrockResponse,
};

pin_project! {
    /// The future of [`Fallback`](super::Fallback).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, S::Future>,
        // As it was made.
        request: R,
        shared: Hold<Shared<S>>,
        descent: Descent,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        /// The call is under way on a route.
        Called { #[pin] response: F },
        /// The call moves on, when the inner service is ready.
        Readying { service: Box<S>, deadline: Option<Pin<Box<Sleep>>> },
        /// It may go nowhere.
        Refused { error: Option<Error> },
        /// Over.
        Done,
    }
}

impl<S, R> ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
{
    /// Makes the call by `ready` on the first route that it may take.
    #[inline]
    pub(super) fn new(ready: &mut S, mut request: R, shared: &Held<Shared<S>>) -> Self
    where
        S: Clone,
    {
        let _turn = Turn::begin();
        shared.template.keep(ready);
        let shared = shared.hold();
        let mut descent = Descent::of(request.context());
        let choice = match descent.start(&shared.config, request.context()) {
            Ok(choice) => choice,
            Err(error) => return Self::refused(error, request, descent, shared),
        };
        // The copy goes on and the call stays, so that neither is moved twice.
        Self {
            state: State::Called {
                response: ready.call(descent.sent(&shared.config, choice, &mut request)),
            },
            request,
            shared,
            descent,
        }
    }

    #[cold]
    const fn refused(error: Error, request: R, descent: Descent, shared: Hold<Shared<S>>) -> Self {
        Self {
            state: State::Refused { error: Some(error) },
            request,
            shared,
            descent,
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
        let _turn = Turn::begin();
        let mut this = self.project();
        let config = &*this.shared.config;
        loop {
            let call = this.request.context();
            match this.state.as_mut().project() {
                StateProj::Called { response } => {
                    // Looked at where it is: a response is large, and is moved once, when it is given.
                    let mut polled = response.poll(cx);
                    if let Poll::Ready(Ok(response)) = &mut polled {
                        this.descent.serve(config, call, response);
                    }
                    let Poll::Ready(Err(error)) = polled else {
                        return polled.map_err(Into::into);
                    };
                    if let Some(error) = this.descent.fail(config, call, error.into()) {
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error));
                    }
                    let Some(service) = this.shared.template.copy() else {
                        return Poll::Pending;
                    };
                    this.state.set(State::Readying {
                        service: Box::new(service),
                        deadline: timer(call),
                    });
                }
                StateProj::Readying { service, deadline } => {
                    let next = match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => this.descent.next(config, call),
                        Poll::Ready(Err(error)) => {
                            Err(this.descent.fail_unready(call, error.into()))
                        }
                        Poll::Pending => match deadline {
                            Some(deadline) => {
                                ready!(deadline.as_mut().poll(cx));
                                Err(this.descent.fail_unready(call, deadline_exceeded()))
                            }
                            None => return Poll::Pending,
                        },
                    };
                    let choice = match next {
                        Ok(choice) => choice,
                        Err(error) => {
                            this.state.set(State::Done);
                            return Poll::Ready(Err(error));
                        }
                    };
                    let attempt = this.descent.sent(config, choice, this.request);
                    let response = service.call(attempt);
                    this.state.set(State::Called { response });
                }
                StateProj::Refused { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
                }
                StateProj::Done => return Poll::Pending,
            }
        }
    }
}

fn timer(call: &CallContext) -> Option<Pin<Box<Sleep>>> {
    let deadline = call.deadline.filter(clock::comes)?;
    Some(Box::pin(sleep_until(deadline)))
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("descent", &self.descent)
            .finish_non_exhaustive()
    }
}
