//! The future of [`Fallback`](super::Fallback).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{
    choice::Choice,
    config::Config,
    descent::{Descent, deadline_exceeded},
};
use crate::{
    call::{BedrockRequest, CallContext},
    error::Error,
    reply::BedrockResponse,
};

pin_project! {
    /// The future of [`Fallback`](super::Fallback).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        service: S,
        // As it was made.
        request: R,
        config: Arc<Config>,
        descent: Descent,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// Not polled yet; the inner service is ready.
        Starting,
        /// The call is under way on a route.
        Called { #[pin] response: F, choice: Choice },
        /// The call moves on, when the inner service is ready.
        Readying { #[pin] deadline: Option<Sleep> },
        /// Over.
        Done,
    }
}

impl<S, R> ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
{
    pub(super) fn new(service: S, request: R, config: Arc<Config>) -> Self {
        Self {
            descent: Descent::of(request.context()),
            service,
            request,
            config,
            state: State::Starting,
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
        let mut this = self.project();
        let config: &Config = this.config;
        loop {
            let call = this.request.context();
            let next = match this.state.as_mut().project() {
                StateProj::Starting => this.descent.start(config, call),
                StateProj::Called { response, choice } => {
                    let choice = *choice;
                    match ready!(response.poll(cx)) {
                        Ok(mut response) => {
                            this.state.set(State::Done);
                            this.descent.serve(config, call, choice, &mut response);
                            return Poll::Ready(Ok(response));
                        }
                        Err(error) => match this.descent.fail(config, call, choice, error.into()) {
                            Some(error) => Err(error),
                            None => {
                                let deadline = timer(call);
                                this.state.set(State::Readying { deadline });
                                continue;
                            }
                        },
                    }
                }
                StateProj::Readying { deadline } => match this.service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => this.descent.next(config, call),
                    Poll::Ready(Err(error)) => Err(this.descent.fail_unready(call, error.into())),
                    Poll::Pending => match deadline.as_pin_mut() {
                        Some(deadline) => {
                            ready!(deadline.poll(cx));
                            Err(this.descent.fail_unready(call, deadline_exceeded()))
                        }
                        None => return Poll::Pending,
                    },
                },
                StateProj::Done => return Poll::Pending,
            };
            let choice = match next {
                Ok(choice) => choice,
                Err(error) => {
                    this.state.set(State::Done);
                    return Poll::Ready(Err(error));
                }
            };
            let mut request = this.request.clone();
            this.descent.send(config, choice, &mut request);
            let response = this.service.call(request);
            this.state.set(State::Called { response, choice });
        }
    }
}

/// A timer rounds up to a millisecond, which the last instant of the clock does not survive.
fn timer(call: &CallContext) -> Option<Sleep> {
    let deadline = call.deadline?;
    deadline.checked_add(Duration::from_millis(1))?;
    Some(sleep_until(deadline))
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
