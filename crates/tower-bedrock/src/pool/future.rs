//! The future of [`Pool`](super::Pool).

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
    error::{PoolSaturated, SaturatedReason},
    event::PoolEvent,
    permit::{Permit, Turn},
    pools::Pools,
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::Cause,
    error::Error,
    reply::BedrockResponse,
    send_signal::LateSend,
};

pin_project! {
    /// The future of [`Pool`](super::Pool).
    pub struct ResponseFuture<S, R>
    where
        S: Service<R>,
    {
        service: S,
        request: Option<R>,
        pools: Pools,
        late: LateSend,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        /// The call has not asked for a place yet.
        Asking,
        /// It stands in line.
        Waiting { turn: Turn, since: Instant, limit: (SaturatedReason, Instant), #[pin] timer: Sleep },
        /// It has a place, and waits for the inner service to be ready.
        Readying { permit: Option<Permit>, number: Option<u64> },
        /// It has waited, and gives way to what has come between above.
        Late { number: Option<u64> },
        /// The inner service has it.
        Called { #[pin] response: F, permit: Option<Permit> },
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<R>,
{
    pub(super) fn new(service: S, request: R, pools: Pools) -> Self {
        Self {
            service,
            request: Some(request),
            pools,
            late: LateSend::default(),
            state: State::Asking,
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
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Called { response, permit } => {
                    let result = ready!(response.poll(cx)).map_err(Into::into);
                    let Some(permit) = permit.take() else {
                        return Poll::Ready(result);
                    };
                    return Poll::Ready(match result {
                        Ok(mut response) => {
                            response.watch(permit);
                            Ok(response)
                        }
                        Err(error) => {
                            permit.failed(&error);
                            Err(error)
                        }
                    });
                }
                StateProj::Asking => {
                    let Some(request) = this.request.as_ref() else {
                        return Poll::Pending;
                    };
                    let call = request.context();
                    match this.pools.ask(call, None) {
                        Ok(state) => this.state.set(state),
                        Err(error) => {
                            this.late.waits(call);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                StateProj::Waiting {
                    turn,
                    since,
                    limit,
                    timer,
                } => {
                    let Some(call) = this.request.as_ref().map(BedrockRequest::context) else {
                        return Poll::Pending;
                    };
                    let (reason, until) = *limit;
                    let is_over = until <= Instant::now();
                    // Who is polled late may have a place, and no time left to use it.
                    let is_too_late = is_over && reason == SaturatedReason::Deadline;
                    let polled = if is_too_late {
                        Poll::Pending
                    } else {
                        turn.poll(cx)
                    };
                    let Poll::Ready(permit) = polled else {
                        if !is_over && timer.poll(cx).is_pending() {
                            this.late.waits(call);
                            return Poll::Pending;
                        }
                        let places = Arc::clone(turn.places());
                        this.late.waits(call);
                        this.state.set(State::Asking);
                        let refusal = places.refuse(reason);
                        return Poll::Ready(Err(this.pools.refused(call, refusal)));
                    };
                    let settings = turn.places().settings();
                    let waited = Instant::now().saturating_duration_since(*since);
                    settings.tell(&PoolEvent::Waited { call, waited });
                    let permit = Some(permit);
                    let number = Some(turn.number());
                    this.state.set(State::Readying { permit, number });
                }
                StateProj::Readying { permit, number } => {
                    let Some(call) = this.request.as_ref().map(BedrockRequest::context) else {
                        return Poll::Pending;
                    };
                    match this.service.poll_ready(cx) {
                        Poll::Pending => {
                            this.late.waits(call);
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => {
                            // Whoever counts the call as sent above hears that it is not.
                            this.late.waits(call);
                            drop(permit.take());
                            return Poll::Ready(Err(error.into()));
                        }
                        Poll::Ready(Ok(())) => {}
                    }
                    if has_expired(call) {
                        this.late.waits(call);
                        drop(permit.take());
                        return Poll::Ready(Err(expired(call)));
                    }
                    match this.late.poll_sends(call, cx) {
                        Poll::Pending => {
                            // What the instance has reserved is of no use to it meanwhile.
                            *this.service = this.service.clone();
                            let number = *number;
                            this.state.set(State::Late { number });
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => {
                            drop(permit.take());
                            return Poll::Ready(Err(error));
                        }
                        Poll::Ready(Ok(())) => {}
                    }
                    let permit = permit.take();
                    let Some(request) = this.request.take() else {
                        return Poll::Pending;
                    };
                    let response = this.service.call(request);
                    this.state.set(State::Called { response, permit });
                }
                StateProj::Late { number } => {
                    let Some(call) = this.request.as_ref().map(BedrockRequest::context) else {
                        return Poll::Pending;
                    };
                    ready!(this.late.poll_sends(call, cx))?;
                    match this.pools.ask(call, *number) {
                        Ok(state) => this.state.set(state),
                        Err(error) => {
                            this.late.waits(call);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
            }
        }
    }
}

impl Pools {
    /// What comes of a call at first, or of one that stood in line as `number` before.
    fn ask<F>(&self, call: &CallContext, number: Option<u64>) -> Result<State<F>, Error> {
        let places = self.of_call(call);
        let settings = places.settings();
        let asked = match number {
            Some(number) => Ok(Err(places.rejoin(number))),
            None => places.ask(settings.max_waiting_of(call)),
        };
        match asked {
            Ok(Ok(permit)) => Ok(State::Readying {
                permit: Some(permit),
                number: None,
            }),
            // Its deadline had passed when it came.
            Ok(Err(number)) if has_expired(call) => {
                places.leave(number);
                Err(expired(call))
            }
            Ok(Err(number)) => {
                let since = Instant::now();
                let by_wait = (since.checked_add(settings.max_wait_of(call)))
                    .map(|until| (SaturatedReason::MaxWait, until));
                let by_deadline = call
                    .deadline
                    .map(|deadline| (SaturatedReason::Deadline, deadline));
                let limits = by_deadline.into_iter().chain(by_wait);
                let limit = limits.min_by_key(|(_, until)| *until);
                let limit = limit.unwrap_or((SaturatedReason::MaxWait, since + FOREVER));
                Ok(State::Waiting {
                    turn: Turn::new(places, number),
                    since,
                    limit,
                    timer: sleep_until(limit.1.min(since + FOREVER)),
                })
            }
            Err(refusal) => Err(self.refused(call, refusal)),
        }
    }

    fn refused(&self, call: &CallContext, refusal: PoolSaturated) -> Error {
        self.settings().tell(&PoolEvent::Refused {
            call,
            refusal: &refusal,
        });
        Error::from(refusal).with_context(call)
    }
}

fn has_expired(call: &CallContext) -> bool {
    call.deadline
        .is_some_and(|deadline| deadline <= Instant::now())
}

fn expired(call: &CallContext) -> Error {
    Error::new(Cause::DeadlineExceeded)
        .with_message("the call's deadline passed before it was sent")
        .with_context(call)
}

/// As good as for ever, and far from the end of the clock, where timers overflow.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

impl<S, R> fmt::Debug for ResponseFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
