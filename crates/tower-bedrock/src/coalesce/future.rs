//! The future of [`Coalesce`](super::Coalesce).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};

use super::flight::Flight;
use crate::{
    call::CallContext,
    cause::Cause,
    clock::{self, Turn},
    error::Error,
    replay::{ReplayResponse, Turnout},
};

pin_project! {
    /// The future of [`Coalesce`](super::Coalesce).
    pub struct ResponseFuture<F, T>
    where
        T: ReplayResponse,
    {
        #[pin]
        state: State<F, T>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, T>
    where
        T: ReplayResponse,
    {
        /// The layer is not about the call.
        Alone { #[pin] inner: F },
        /// The call waits for an attempt that others may wait for, too.
        Sharing {
            shared: Box<Sharing<F, T>>,
            // From when the call has to wait.
            #[pin]
            deadline: Option<Sleep>,
        },
        /// The deadline had passed when the call was made.
        Expired { call: Box<CallContext> },
        Over,
    }
}

struct Sharing<F, T: ReplayResponse> {
    // Before the flight, which may be dropped with it.
    turnout: Turnout,
    flight: Arc<Flight<F, T>>,
    call: CallContext,
}

impl<F, T: ReplayResponse> ResponseFuture<F, T> {
    pub(super) const fn alone(inner: F) -> Self {
        Self {
            state: State::Alone { inner },
        }
    }

    pub(super) fn expired(call: CallContext) -> Self {
        Self {
            state: State::Expired {
                call: Box::new(call),
            },
        }
    }

    pub(super) fn sharing(flight: Arc<Flight<F, T>>, call: CallContext) -> Self {
        let turnout = flight.turn_out();
        Self {
            state: State::Sharing {
                shared: Box::new(Sharing {
                    turnout,
                    flight,
                    call,
                }),
                deadline: None,
            },
        }
    }
}

impl<F, T, E> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: ReplayResponse,
    E: Into<Error>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _turn = Turn::begin();
        let mut state = self.project().state;
        let result = match state.as_mut().project() {
            StateProj::Alone { inner } => return inner.poll(cx).map_err(Into::into),
            StateProj::Over => return Poll::Pending,
            StateProj::Expired { call } => Err(deadline_exceeded(call)),
            StateProj::Sharing {
                shared,
                mut deadline,
            } => {
                let Sharing {
                    turnout,
                    flight,
                    call,
                } = &**shared;
                let at = call.deadline;
                let has_time = at.is_none_or(|at| clock::now() < at);
                match flight.poll(turnout, call, has_time, cx) {
                    Poll::Ready(result) => result,
                    Poll::Pending if !has_time => Err(deadline_exceeded(call)),
                    Poll::Pending => {
                        if deadline.is_none() {
                            deadline.set(at.filter(clock::comes).map(sleep_until));
                        }
                        let deadline = deadline.as_mut().as_pin_mut();
                        match deadline.map(|deadline| deadline.poll(cx)) {
                            Some(Poll::Ready(())) => Err(deadline_exceeded(call)),
                            Some(Poll::Pending) | None => return Poll::Pending,
                        }
                    }
                }
            }
        };
        state.set(State::Over);
        Poll::Ready(result)
    }
}

fn deadline_exceeded(call: &CallContext) -> Error {
    Error::new(Cause::DeadlineExceeded)
        .with_message("the call's deadline passed before the attempt that it shares was answered")
        .with_context(call)
}

impl<F, T: ReplayResponse> fmt::Debug for ResponseFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
