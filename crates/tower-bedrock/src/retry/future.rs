//! The future of [`Retry`](super::Retry).

use std::{
    error::Error as _,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_service::Service;

use super::{
    budget::Withdrawal,
    event::{GaveUp, RetryEvent},
    layer::Config,
    policy::{Decision, History},
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::Cause,
    error::Error,
};

pin_project! {
    /// The future of [`Retry`](super::Retry).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        service: S,
        request: R,
        config: Arc<Config>,
        history: History,
        last_error: Option<Error>,
        #[pin]
        state: State<S::Future>,
        #[pin]
        deadline: Option<Sleep>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// The deadline has passed: nothing is under way any more.
        Expired,
        /// An attempt is under way.
        Called { #[pin] attempt: F },
        /// A retry is paid for and waits.
        Waiting { #[pin] sleep: Sleep, withdrawal: Option<Withdrawal> },
        /// A retry waits its turn in the inner service.
        Readying { withdrawal: Option<Withdrawal> },
    }
}

impl<S, R> ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
{
    pub(super) fn new(mut service: S, request: R, config: Arc<Config>) -> Self {
        let deadline = request.context().deadline;
        let state = if has_expired(request.context()) {
            State::Expired
        } else {
            State::Called {
                attempt: service.call(request.clone()),
            }
        };
        Self {
            service,
            request,
            config,
            history: History::new(),
            last_error: None,
            state,
            deadline: deadline.filter(comes).map(sleep_until),
        }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
    S::Error: Into<Error>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let step = match this.state.as_mut().project() {
                StateProj::Expired => Poll::Ready(Step::DeadlinePassed),
                StateProj::Called { attempt } => attempt.poll(cx).map(Step::Answered),
                StateProj::Waiting { sleep, withdrawal } => {
                    sleep.poll(cx).map(|()| Step::Waited(withdrawal.take()))
                }
                StateProj::Readying { withdrawal } => this
                    .service
                    .poll_ready(cx)
                    .map(|ready| Step::TurnCame(ready, withdrawal.take())),
            };
            let step = match step {
                Poll::Ready(step) => step,
                Poll::Pending => {
                    let deadline = this.deadline.as_mut().as_pin_mut();
                    match deadline.map(|deadline| deadline.poll(cx)) {
                        Some(Poll::Ready(())) => Step::DeadlinePassed,
                        Some(Poll::Pending) | None => return Poll::Pending,
                    }
                }
            };

            // The task may be woken late: what is polled after the deadline is not sent.
            let step = match step {
                Step::Waited(withdrawal) | Step::TurnCame(Ok(()), withdrawal)
                    if has_expired(this.request.context()) =>
                {
                    drop(withdrawal);
                    Step::DeadlinePassed
                }
                step => step,
            };

            let (error, reason) = match step {
                Step::Answered(Ok(response)) => {
                    this.config.policy.succeeded(this.history);
                    if this.history.retries() > 0 {
                        this.config.tell(&RetryEvent::Recovered {
                            call: this.request.context(),
                            retries: this.history.retries(),
                        });
                    }
                    return Poll::Ready(Ok(response));
                }
                Step::Waited(withdrawal) => {
                    this.state.set(State::Readying { withdrawal });
                    continue;
                }
                Step::TurnCame(Ok(()), withdrawal) => {
                    if let (Some(error), Some(withdrawal)) = (&*this.last_error, withdrawal) {
                        this.history.sent(error.cause(), withdrawal);
                    }
                    let call = this.request.context_mut();
                    call.attempt = call.attempt.saturating_add(1);
                    // Whoever listens above this layer heard of the first attempt.
                    call.send_signal = None;
                    let attempt = this.service.call(this.request.clone());
                    this.state.set(State::Called { attempt });
                    continue;
                }
                Step::DeadlinePassed => {
                    this.state.set(State::Expired);
                    let error = Error::new(Cause::DeadlineExceeded)
                        .with_message("the call's deadline has passed");
                    let error = follow(error, &mut *this.last_error);
                    (locate(error, this.request.context()), GaveUp::Deadline)
                }
                // A service that failed to become ready is broken for good.
                Step::TurnCame(Err(error), withdrawal) => {
                    drop(withdrawal);
                    let error = locate(error.into(), this.request.context());
                    (error, GaveUp::NotReady)
                }
                Step::Answered(Err(error)) => {
                    let call = this.request.context();
                    let error = follow(locate(error.into(), call), &mut *this.last_error);
                    let policy = &this.config.policy;
                    policy.failed(this.history, &error);
                    let decision = this
                        .config
                        .jitter
                        .with(|rng| policy.decide(this.history, call, &error, Instant::now(), rng));
                    match decision {
                        Decision::Retry { after, withdrawal } => {
                            this.config.tell(&RetryEvent::Retrying {
                                call,
                                error: &error,
                                after,
                            });
                            *this.last_error = Some(error);
                            this.state.set(State::Waiting {
                                sleep: sleep(after),
                                withdrawal: Some(withdrawal),
                            });
                            continue;
                        }
                        Decision::GiveUp(reason) => (error, reason),
                    }
                }
            };

            this.config.tell(&RetryEvent::GaveUp {
                call: this.request.context(),
                error: &error,
                reason,
            });
            return Poll::Ready(Err(error));
        }
    }
}

/// A timer rounds up to a millisecond, which the last instant of the clock does not survive.
fn comes(deadline: &Instant) -> bool {
    deadline.checked_add(Duration::from_millis(1)).is_some()
}

fn has_expired(call: &CallContext) -> bool {
    call.deadline
        .is_some_and(|deadline| deadline <= Instant::now())
}

/// Tells where the error happened, unless a layer below knew better.
fn locate(error: Error, call: &CallContext) -> Error {
    match error.operation() {
        Some(_) => error,
        None => error.with_context(call),
    }
}

/// A deadline says nothing of why the call took so long; the error before it does.
fn follow(error: Error, last_error: &mut Option<Error>) -> Error {
    if error.cause() != Cause::DeadlineExceeded || error.source().is_some() {
        return error;
    }
    match last_error.take() {
        Some(last_error) => error.with_source(last_error),
        None => error,
    }
}

enum Step<T, E> {
    Answered(Result<T, E>),
    Waited(Option<Withdrawal>),
    TurnCame(Result<(), E>, Option<Withdrawal>),
    DeadlinePassed,
}

impl Config {
    fn tell(&self, event: &RetryEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::retry(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("history", &self.history)
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}
