//! The future of [`Retry`](super::Retry).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_service::Service;

use super::{
    budget::Withdrawal,
    event::RetryEvent,
    layer::Config,
    policy::{Decision, History},
};
use crate::{call::BedrockRequest, cause::Cause, error::Error};

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
        /// The deadline had passed before the first attempt.
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
        let state = match deadline {
            Some(deadline) if deadline <= Instant::now() => State::Expired,
            _ => State::Called {
                attempt: service.call(request.clone()),
            },
        };
        Self {
            service,
            request,
            config,
            history: History::new(),
            last_error: None,
            state,
            deadline: deadline.map(sleep_until),
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

            let error = match step {
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
                    let attempt = this.service.call(this.request.clone());
                    this.state.set(State::Called { attempt });
                    continue;
                }
                Step::DeadlinePassed => {
                    let mut error = Error::new(Cause::DeadlineExceeded)
                        .with_message("the call's deadline has passed")
                        .with_context(this.request.context());
                    if let Some(last_error) = this.last_error.take() {
                        error = error.with_source(last_error);
                    }
                    return Poll::Ready(Err(error));
                }
                // A service that failed to become ready is broken for good.
                Step::TurnCame(Err(error), _) => return Poll::Ready(Err(error.into())),
                Step::Answered(Err(error)) => error.into(),
            };

            let call = this.request.context();
            let error = match error.operation() {
                Some(_) => error,
                None => error.with_context(call),
            };
            let decision = this.config.jitter.with(|rng| {
                let policy = &this.config.policy;
                policy.decide(this.history, call, &error, Instant::now(), rng)
            });
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
                }
                Decision::GiveUp(reason) => {
                    this.config.tell(&RetryEvent::GaveUp {
                        call,
                        error: &error,
                        reason,
                    });
                    return Poll::Ready(Err(error));
                }
            }
        }
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
