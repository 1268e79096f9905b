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
    places::Places,
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::Cause,
    clock,
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
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    // What waits is apart: a future is moved several times before it is polled, and what is moved is
    // what it might become.
    #[project = StateProj]
    enum State<S, R, F> {
        /// The inner service does not have the call yet.
        Before { before: Box<Before<S, R>> },
        /// The inner service has it.
        Called { #[pin] response: F, permit: Option<Permit> },
    }
}

/// A call that the inner service does not have yet.
struct Before<S, R> {
    service: S,
    request: Option<R>,
    late: LateSend,
    stage: Stage,
}

enum Stage {
    /// The call has not asked for a place yet.
    Asking { places: Option<Arc<Places>> },
    /// It stands in line.
    Waiting(Pin<Box<Waiting>>),
    /// It has a place, and waits for the inner service to be ready.
    Readying {
        permit: Option<Permit>,
        number: Option<u64>,
    },
    /// It has waited, and gives way to what has come between above.
    Late {
        places: Option<Arc<Places>>,
        number: Option<u64>,
    },
}

pin_project! {
    struct Waiting {
        turn: Turn,
        since: Instant,
        limit: (SaturatedReason, Instant),
        #[pin]
        timer: Sleep,
    }
}

impl<S, R> ResponseFuture<S, R>
where
    S: Service<R>,
{
    /// Of a call that the inner service has, in the place of `permit`.
    #[inline]
    pub(super) const fn called(response: S::Future, permit: Permit) -> Self {
        Self {
            state: State::Called {
                response,
                permit: Some(permit),
            },
        }
    }

    /// Of a call that is made by `service` when both have come: a place, and its readiness.
    pub(super) fn waiting(service: S, request: R, places: Arc<Places>) -> Self {
        let before = Box::new(Before {
            service,
            request: Some(request),
            late: LateSend::default(),
            stage: Stage::Asking {
                places: Some(places),
            },
        });
        Self {
            state: State::Before { before },
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
                StateProj::Before { before } => {
                    let permit = ready!(before.poll_place(cx))?;
                    let Some(request) = before.request.take() else {
                        return Poll::Pending;
                    };
                    let response = before.service.call(request);
                    let permit = Some(permit);
                    state.set(State::Called { response, permit });
                }
                StateProj::Called { response, permit } => {
                    // Looked at where it is: a response is large, and is moved once, when it is given.
                    let mut polled = response.poll(cx);
                    if let Poll::Ready(Ok(response)) = &mut polled
                        && let Some(permit) = permit.take()
                    {
                        response.watch(permit);
                    }
                    return polled.map_err(|error| {
                        let error = error.into();
                        if let Some(permit) = permit.take() {
                            permit.failed(&error);
                        }
                        error
                    });
                }
            }
        }
    }
}

impl<S, R> Before<S, R>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Error: Into<Error>,
{
    /// Waits for a place, and for the inner service to be ready.
    fn poll_place(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit, Error>> {
        let Some(call) = self.request.as_ref().map(BedrockRequest::context) else {
            return Poll::Pending;
        };
        loop {
            match &mut self.stage {
                Stage::Asking { places } => {
                    let Some(places) = places.take() else {
                        return Poll::Pending;
                    };
                    match places.take() {
                        Ok(permit) => {
                            self.stage = Stage::Readying {
                                permit: Some(permit),
                                number: None,
                            }
                        }
                        Err(places) => match ask(&places, call, None) {
                            Ok(stage) => self.stage = stage,
                            Err(error) => {
                                self.late.waits(call);
                                return Poll::Ready(Err(error));
                            }
                        },
                    }
                }
                Stage::Waiting(waiting) => {
                    match ready!(waiting.as_mut().poll(cx, call, &mut self.late)) {
                        Ok(stage) => self.stage = stage,
                        Err((places, reason)) => {
                            // It leaves the line first.
                            self.stage = Stage::Asking { places: None };
                            let refusal = places.refuse(reason);
                            return Poll::Ready(Err(refused(&places, call, refusal)));
                        }
                    }
                }
                Stage::Readying { permit, number } => {
                    match self.service.poll_ready(cx) {
                        Poll::Pending => {
                            self.late.waits(call);
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => {
                            // Whoever counts the call as sent above hears that it is not.
                            self.late.waits(call);
                            drop(permit.take());
                            return Poll::Ready(Err(error.into()));
                        }
                        Poll::Ready(Ok(())) => {}
                    }
                    if has_expired(call) {
                        self.late.waits(call);
                        drop(permit.take());
                        return Poll::Ready(Err(expired(call)));
                    }
                    match self.late.poll_sends(call, cx) {
                        Poll::Pending => {
                            // What the instance has reserved is of no use to it meanwhile.
                            self.service = self.service.clone();
                            let number = *number;
                            let places = permit.as_ref().and_then(Permit::places).cloned();
                            self.stage = Stage::Late { places, number };
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => {
                            drop(permit.take());
                            return Poll::Ready(Err(error));
                        }
                        Poll::Ready(Ok(())) => {}
                    }
                    return match permit.take() {
                        Some(permit) => Poll::Ready(Ok(permit)),
                        None => Poll::Pending,
                    };
                }
                Stage::Late { places, number } => {
                    ready!(self.late.poll_sends(call, cx))?;
                    let Some(places) = places else {
                        return Poll::Pending;
                    };
                    match ask(places, call, *number) {
                        Ok(stage) => self.stage = stage,
                        Err(error) => {
                            self.late.waits(call);
                            return Poll::Ready(Err(error));
                        }
                    }
                }
            }
        }
    }
}

impl Waiting {
    /// Waits for the call's turn, and tells what it does then, or what it has waited for in vain.
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        call: &CallContext,
        late: &mut LateSend,
    ) -> Poll<Result<Stage, (Arc<Places>, SaturatedReason)>> {
        let this = self.project();
        let (reason, until) = *this.limit;
        let is_over = until <= Instant::now();
        // Who is polled late may have a place, and no time left to use it.
        let is_too_late = is_over && reason == SaturatedReason::Deadline;
        let polled = if is_too_late {
            Poll::Pending
        } else {
            this.turn.poll(cx)
        };
        let Poll::Ready(permit) = polled else {
            if !is_over && this.timer.poll(cx).is_pending() {
                late.waits(call);
                return Poll::Pending;
            }
            late.waits(call);
            return Poll::Ready(Err((Arc::clone(this.turn.places()), reason)));
        };
        let settings = this.turn.places().settings();
        let waited = Instant::now().saturating_duration_since(*this.since);
        settings.tell(&PoolEvent::Waited { call, waited });
        Poll::Ready(Ok(Stage::Readying {
            permit: Some(permit),
            number: Some(this.turn.number()),
        }))
    }
}

/// What comes of a call at first, or of one that stood in line as `number` before.
fn ask(places: &Arc<Places>, call: &CallContext, number: Option<u64>) -> Result<Stage, Error> {
    let settings = places.settings();
    let asked = match number {
        Some(number) => Ok(Err(places.rejoin(number))),
        None => places.ask(settings.max_waiting_of(call)),
    };
    match asked {
        Ok(Ok(permit)) => Ok(Stage::Readying {
            permit: Some(permit),
            number: None,
        }),
        Ok(Err(number)) => stand_in_line(places, call, number),
        Err(refusal) => Err(refused(places, call, refusal)),
    }
}

/// Has a call wait that drew `number`.
#[cold]
fn stand_in_line(places: &Arc<Places>, call: &CallContext, number: u64) -> Result<Stage, Error> {
    // Its deadline had passed when it came.
    if has_expired(call) {
        places.leave(number);
        return Err(expired(call));
    }
    let since = Instant::now();
    let by_wait = (since.checked_add(places.settings().max_wait_of(call)))
        .map(|until| (SaturatedReason::MaxWait, until));
    let by_deadline = call
        .deadline
        .map(|deadline| (SaturatedReason::Deadline, deadline));
    let limits = by_deadline.into_iter().chain(by_wait);
    let limit = limits.min_by_key(|(_, until)| *until);
    let limit = limit.unwrap_or((SaturatedReason::MaxWait, since + FOREVER));
    Ok(Stage::Waiting(Box::pin(Waiting {
        turn: Turn::new(Arc::clone(places), number),
        since,
        limit,
        timer: sleep_until(limit.1.min(since + FOREVER)),
    })))
}

#[cold]
fn refused(places: &Places, call: &CallContext, refusal: PoolSaturated) -> Error {
    places.settings().tell(&PoolEvent::Refused {
        call,
        refusal: &refusal,
    });
    Error::from(refusal).with_context(call)
}

#[inline]
pub(super) fn has_expired(call: &CallContext) -> bool {
    call.deadline
        .is_some_and(|deadline| deadline <= clock::now())
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
