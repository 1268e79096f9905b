//! The future of [`Retry`](super::Retry).

use std::{
    error::Error as _,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_service::Service;

use super::{
    budget::Withdrawal,
    event::{GaveUp, RetryEvent},
    layer::{Config, Shared},
    policy::{Decision, History},
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::Cause,
    clock::{self, Turn},
    error::Error,
    lane::{Held, Hold},
};

pin_project! {
    /// The future of [`Retry`](super::Retry).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, S::Future>,
        // As it was sent last.
        request: R,
        shared: Hold<Shared<S>>,
        // Of a call that has failed: most do not.
        past: Option<Box<Past>>,
        // From when the call has to wait for anything.
        deadline: Option<Pin<Box<Sleep>>>,
    }
}

/// What happened to a call so far.
#[derive(Debug, Default)]
struct Past {
    history: History,
    last_error: Option<Error>,
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        /// The deadline has passed, or the call is over: nothing is under way any more.
        Expired,
        /// An attempt is under way.
        Called { #[pin] attempt: F },
        /// A retry is paid for and waits.
        Waiting { sleep: Pin<Box<Sleep>>, withdrawal: Option<Withdrawal> },
        /// A retry waits its turn in the inner service.
        Readying { service: Box<S>, withdrawal: Option<Withdrawal> },
    }
}

impl<S, R> ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R>,
{
    /// Makes the first attempt with `ready`.
    #[inline]
    pub(super) fn new(ready: &mut S, request: R, shared: &Held<Shared<S>>) -> Self
    where
        S: Clone,
    {
        shared.template.keep(ready);
        let shared = shared.hold();
        if has_expired(request.context()) {
            return Self::expired(request, shared);
        }
        // Made where it is to be, with nothing done after the call: futures of whole stacks are large.
        // The copy goes on and the call stays, so that neither is moved twice.
        Self {
            state: State::Called {
                attempt: ready.call(request.clone()),
            },
            request,
            shared,
            past: None,
            deadline: None,
        }
    }

    #[cold]
    const fn expired(request: R, shared: Hold<Shared<S>>) -> Self {
        Self {
            state: State::Expired,
            request,
            shared,
            past: None,
            deadline: None,
        }
    }
}

impl<S, R> Future for ResponseFuture<S, R>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Error: Into<Error>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _turn = Turn::begin();
        let mut this = self.project();
        let config = &this.shared.config;
        loop {
            let step = match this.state.as_mut().project() {
                StateProj::Expired => Poll::Ready(Step::DeadlinePassed),
                StateProj::Called { attempt } => {
                    // Looked at where it is: a response is large, and is moved once, when it is given.
                    match attempt.poll(cx) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Err(error)) => Poll::Ready(Step::Failed(error.into())),
                        polled @ Poll::Ready(Ok(_)) => {
                            let past = this.past.as_deref();
                            config.succeeded(past, this.request.context());
                            return polled.map_err(Into::into);
                        }
                    }
                }
                StateProj::Waiting { sleep, withdrawal } => sleep
                    .as_mut()
                    .poll(cx)
                    .map(|()| Step::Waited(withdrawal.take())),
                StateProj::Readying {
                    service,
                    withdrawal,
                } => service
                    .poll_ready(cx)
                    .map(|ready| Step::TurnCame(ready, withdrawal.take())),
            };
            let step = match step {
                Poll::Ready(step) => step,
                Poll::Pending => {
                    if this.deadline.is_none() {
                        let deadline = this.request.context().deadline.filter(clock::comes);
                        *this.deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
                    }
                    let deadline = this.deadline.as_mut();
                    match deadline.map(|deadline| deadline.as_mut().poll(cx)) {
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
                Step::Waited(withdrawal) => {
                    let Some(service) = this.shared.template.copy() else {
                        return Poll::Pending;
                    };
                    this.state.set(State::Readying {
                        service: Box::new(service),
                        withdrawal,
                    });
                    continue;
                }
                Step::TurnCame(Ok(()), withdrawal) => {
                    if let (Some(past), Some(withdrawal)) = (this.past.as_mut(), withdrawal)
                        && let Some(error) = &past.last_error
                    {
                        past.history.sent(error.cause(), withdrawal);
                    }
                    let call = this.request.context_mut();
                    call.attempt = call.attempt.saturating_add(1);
                    // Whoever listens above this layer heard of the first attempt.
                    call.send_signal = None;
                    let StateProj::Readying { service, .. } = this.state.as_mut().project() else {
                        return Poll::Pending;
                    };
                    let attempt = service.call(this.request.clone());
                    this.state.set(State::Called { attempt });
                    continue;
                }
                Step::DeadlinePassed => {
                    this.state.set(State::Expired);
                    let error = Error::new(Cause::DeadlineExceeded)
                        .with_message("the call's deadline has passed");
                    let error = match this.past {
                        Some(past) => follow(error, &mut past.last_error),
                        None => error,
                    };
                    (locate(error, this.request.context()), GaveUp::Deadline)
                }
                // A service that failed to become ready is broken for good.
                Step::TurnCame(Err(error), withdrawal) => {
                    drop(withdrawal);
                    let error = locate(error.into(), this.request.context());
                    (error, GaveUp::NotReady)
                }
                Step::Failed(error) => {
                    let call = this.request.context();
                    let past = this.past.get_or_insert_default();
                    let error = follow(locate(error, call), &mut past.last_error);
                    let policy = &config.policy;
                    policy.failed(&mut past.history, &error);
                    let decision = config.jitter.with(|rng| {
                        policy.decide(&past.history, call, &error, Instant::now(), rng)
                    });
                    match decision {
                        Decision::Retry { after, withdrawal } => {
                            config.tell(&RetryEvent::Retrying {
                                call,
                                error: &error,
                                after,
                            });
                            past.last_error = Some(error);
                            this.state.set(State::Waiting {
                                sleep: Box::pin(sleep(after)),
                                withdrawal: Some(withdrawal),
                            });
                            continue;
                        }
                        Decision::GiveUp(reason) => (error, reason),
                    }
                }
            };

            config.tell(&RetryEvent::GaveUp {
                call: this.request.context(),
                error: &error,
                reason,
            });
            return Poll::Ready(Err(error));
        }
    }
}

fn has_expired(call: &CallContext) -> bool {
    call.deadline
        .is_some_and(|deadline| deadline <= clock::now())
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

enum Step<E> {
    Failed(Error),
    Waited(Option<Withdrawal>),
    TurnCame(Result<(), E>, Option<Withdrawal>),
    DeadlinePassed,
}

impl Config {
    #[inline]
    fn succeeded(&self, past: Option<&Past>, call: &CallContext) {
        let Some(past) = past else {
            return self.policy.budget.reward(None);
        };
        self.policy.succeeded(&past.history);
        let retries = past.history.retries();
        if retries > 0 {
            self.tell(&RetryEvent::Recovered { call, retries });
        }
    }

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
            .field("past", &self.past)
            .finish_non_exhaustive()
    }
}
