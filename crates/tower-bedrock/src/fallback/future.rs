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
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::{
    choice::{Choice, Progress},
    error::{FallbackExhausted, SkippedRoute},
    event::FallbackEvent,
    layer::Config,
    rules::is_degraded,
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::Cause,
    error::Error,
    reply::BedrockResponse,
    route::Route,
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
        #[pin]
        deadline: Option<Sleep>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// Not polled yet; the inner service is ready.
        Starting,
        /// The call is under way on a route.
        Called { #[pin] response: F, choice: Choice },
        /// The call moves on; the inner service is not ready.
        Readying,
        /// Over.
        Done,
    }
}

/// A call on its way down the ladder.
#[derive(Debug, Default)]
struct Descent {
    progress: Progress,
    /// Which attempt comes next, over all routes.
    attempt: u32,
    /// Where the call was last.
    last: usize,
    errors: Vec<Error>,
    /// Which routes a listener knows to be passed over.
    told: u16,
}

impl<S, R> ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
{
    pub(super) fn new(service: S, request: R, config: Arc<Config>) -> Self {
        let descent = Descent {
            attempt: request.context().attempt,
            ..Descent::default()
        };
        Self {
            service,
            request,
            config,
            descent,
            state: State::Starting,
            deadline: None,
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
            let choice = match this.state.as_mut().project() {
                StateProj::Starting => match this.descent.start(config, call) {
                    Ok(choice) => choice,
                    Err(error) => {
                        this.state.set(State::Done);
                        return Poll::Ready(Err(error));
                    }
                },
                StateProj::Called { response, choice } => {
                    let choice = *choice;
                    let error = match ready!(response.poll(cx)) {
                        Ok(mut response) => {
                            this.state.set(State::Done);
                            this.descent.serve(config, call, choice, &mut response);
                            return Poll::Ready(Ok(response));
                        }
                        Err(error) => error.into(),
                    };
                    match this.descent.fail(config, call, choice, error) {
                        Some(error) => {
                            this.state.set(State::Done);
                            return Poll::Ready(Err(error));
                        }
                        None => {
                            this.state.set(State::Readying);
                            continue;
                        }
                    }
                }
                StateProj::Readying => {
                    let failed = match this.service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => None,
                        Poll::Ready(Err(error)) => Some(error.into()),
                        Poll::Pending => {
                            if this.deadline.is_none() {
                                this.deadline.set(timer(call));
                            }
                            let deadline = this.deadline.as_mut().as_pin_mut();
                            if let Some(deadline) = deadline {
                                ready!(deadline.poll(cx));
                            } else {
                                return Poll::Pending;
                            }
                            Some(deadline_exceeded())
                        }
                    };
                    let choice = match failed {
                        Some(error) => Err(this.descent.give_up(config, call, error)),
                        None => this.descent.next(config, call),
                    };
                    match choice {
                        Ok(choice) => choice,
                        Err(error) => {
                            this.state.set(State::Done);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                StateProj::Done => return Poll::Pending,
            };
            let mut request = this.request.clone();
            this.descent.send(config, choice, &mut request);
            let response = this.service.call(request);
            this.state.set(State::Called { response, choice });
        }
    }
}

impl Descent {
    /// The route that the call takes first.
    fn start(&mut self, config: &Config, call: &CallContext) -> Result<Choice, Error> {
        self.progress = config.begin(call).map_err(|refusal| {
            let error = Error::from(refusal).with_context(call);
            config.tell(&FallbackEvent::Exhausted {
                call,
                error: &error,
            });
            error
        })?;
        if call.fallback.is_disabled {
            return Ok(Choice {
                index: 0,
                has_next: false,
                is_hasty: false,
            });
        }
        let chooser = config.chooser(call);
        // A call that was nowhere always has somewhere to go.
        let choice = chooser.choose(&mut self.progress).unwrap_or_default();
        if choice.index > 0 {
            self.tell_move(config, call, choice.index);
        }
        Ok(choice)
    }

    /// The route that the call takes after others have failed.
    fn next(&mut self, config: &Config, call: &CallContext) -> Result<Choice, Error> {
        let chooser = config.chooser(call);
        let choice = match has_expired(call) {
            true => None,
            false => chooser.choose(&mut self.progress),
        };
        match choice {
            Some(choice) => {
                self.tell_move(config, call, choice.index);
                Ok(choice)
            }
            None => {
                let error = self.errors.pop();
                let error = error.unwrap_or_else(deadline_exceeded);
                Err(self.exhaust(config, call, error))
            }
        }
    }

    /// Makes `request` the attempt that `choice` says.
    fn send<R: BedrockRequest>(&mut self, config: &Config, choice: Choice, request: &mut R) {
        let index = choice.index;
        self.progress.went(index);
        self.last = index;
        if index > 0 {
            let route = config.chooser(request.context()).routes.route(index);
            request.context_mut().route = route;
        }
        let call = request.context_mut();
        call.attempt = self.attempt;
        let may_go_on = call
            .retry
            .max_attempts
            .is_none_or(|max| self.attempt < max.get());
        call.has_next_route |= choice.has_next && may_go_on;
        if choice.is_hasty {
            let patience = config.patience();
            call.max_wait = Some(
                call.max_wait
                    .map_or(patience, |max_wait| max_wait.min(patience)),
            );
        }
    }

    /// The route of `choice` has answered.
    fn serve(
        &self,
        config: &Config,
        call: &CallContext,
        choice: Choice,
        response: &mut impl BedrockResponse,
    ) {
        let served = response.served_mut();
        served.route_index = choice.index;
        served.attempts = served.attempts.max(self.attempt);
        if served.route == Route::default() {
            served.route = config.chooser(call).routes.route(choice.index);
        }
        served.degraded |= is_degraded(&call.route, &served.route);
    }

    /// The route of `choice` has failed. Returns the error if that ends the call.
    fn fail(
        &mut self,
        config: &Config,
        call: &CallContext,
        choice: Choice,
        error: Error,
    ) -> Option<Error> {
        let chooser = config.chooser(call);
        let index = choice.index;
        let error = match error.operation() {
            Some(_) => error,
            None => {
                let mut call = call.clone();
                call.route = chooser.routes.route(index);
                call.attempt = self.attempt;
                error.with_context(&call)
            }
        };
        let cause = error.cause();
        let was_sent = !cause.is_own_refusal() || cause == Cause::DeadlineExceeded;
        let attempt = error.attempts().unwrap_or(self.attempt);
        self.attempt = attempt.saturating_add(was_sent.into());
        if !was_sent {
            chooser.give_back(index);
            let would_wait = matches!(cause, Cause::BudgetExhausted | Cause::PoolSaturated);
            if choice.is_hasty && would_wait {
                self.progress.would_not_wait(index);
            }
        }
        if cause == Cause::ContextTooLong {
            self.progress.outgrew(chooser.routes.window(index));
        }

        if !config.moves_on(call, &error) {
            return Some(self.give_up(config, call, error));
        }
        let is_spent = call
            .retry
            .max_attempts
            .is_some_and(|max| self.attempt > max.get());
        if is_spent || has_expired(call) || !chooser.is_any_free(self.progress) {
            return Some(self.exhaust(config, call, error));
        }
        self.errors.push(error);
        None
    }

    /// Ends the call with an error that no other route would cure.
    fn give_up(&mut self, config: &Config, call: &CallContext, error: Error) -> Error {
        let error = match error.operation() {
            Some(_) => error,
            None => error.with_context(call),
        };
        let _ = config;
        if self.errors.is_empty() {
            return error;
        }
        let errors = std::mem::take(&mut self.errors);
        error.with_other_routes(FallbackExhausted::new(errors, Vec::new()))
    }

    /// Ends the call with the error of its last route, as there is none left.
    fn exhaust(&mut self, config: &Config, call: &CallContext, error: Error) -> Error {
        let chooser = config.chooser(call);
        self.tell_skipped(config, call, chooser.routes.len());
        let skipped: Vec<_> = (0..chooser.routes.len())
            .filter_map(|index| {
                Some(SkippedRoute {
                    reason: chooser.skips(index, self.progress)?,
                    route: chooser.routes.route(index),
                })
            })
            .collect();
        let errors = std::mem::take(&mut self.errors);
        if errors.is_empty() && skipped.is_empty() {
            return error;
        }
        let error = error.with_other_routes(FallbackExhausted::new(errors, skipped));
        config.tell(&FallbackEvent::Exhausted {
            call,
            error: &error,
        });
        error
    }

    fn tell_move(&mut self, config: &Config, call: &CallContext, to: usize) {
        if !config.has_listener() {
            return;
        }
        self.tell_skipped(config, call, to);
        let chooser = config.chooser(call);
        let cause = match self.errors.last() {
            Some(error) => Some(error.cause()),
            None => chooser
                .skips(0, self.progress)
                .and_then(|reason| reason.cause()),
        };
        config.tell(&FallbackEvent::Moved {
            call,
            from: &chooser.routes.route(self.last),
            to: &chooser.routes.route(to),
            cause,
        });
    }

    /// Tells of the routes before `end` that the call passes over.
    fn tell_skipped(&mut self, config: &Config, call: &CallContext, end: usize) {
        if !config.has_listener() {
            return;
        }
        let chooser = config.chooser(call);
        for index in 0..end {
            if self.told & 1 << index != 0 {
                continue;
            }
            if let Some(why) = chooser.skips(index, self.progress) {
                self.told |= 1 << index;
                config.tell(&FallbackEvent::Skipped {
                    call,
                    route: &chooser.routes.route(index),
                    why,
                });
            }
        }
    }
}

/// A timer rounds up to a millisecond, which the last instant of the clock does not survive.
fn timer(call: &CallContext) -> Option<Sleep> {
    let deadline = call.deadline?;
    deadline.checked_add(Duration::from_millis(1))?;
    Some(sleep_until(deadline))
}

fn has_expired(call: &CallContext) -> bool {
    call.deadline
        .is_some_and(|deadline| deadline <= Instant::now())
}

fn deadline_exceeded() -> Error {
    Error::new(Cause::DeadlineExceeded).with_message("the call's deadline has passed")
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
