//! One attempt and those who wait for it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use super::flights::Listing;
use crate::{
    call::CallContext,
    error::Error,
    replay::{ReplayResponse, Turnout, Wakers, broken},
};

/// An attempt that several calls wait for. Each of them polls it; the one that finds it answered hands
/// its answer to all.
pub(super) struct Flight<F, T: ReplayResponse> {
    state: Mutex<State<F, T>>,
    wakers: Arc<Wakers>,
    is_open: Arc<AtomicBool>,
    _listing: Listing,
}

enum State<F, T: ReplayResponse> {
    /// It is listed, and the call is being made.
    Listed,
    UnderWay(Pin<Box<F>>),
    Answered {
        answer: T::Shared,
        is_taken: bool,
    },
    Failed(Error),
}

/// Between the listing of a flight and the making of its call. Dropped before the call is made, it
/// leaves nobody waiting.
pub(super) struct Departure<'a, F, T: ReplayResponse> {
    flight: &'a Flight<F, T>,
    attempt: Option<F>,
}

impl<F, T: ReplayResponse> Flight<F, T> {
    pub(super) fn new(listing: Listing, is_open: Arc<AtomicBool>) -> Self {
        Self {
            state: Mutex::new(State::Listed),
            wakers: Arc::default(),
            is_open,
            _listing: listing,
        }
    }

    pub(super) const fn departure(&self) -> Departure<'_, F, T> {
        Departure {
            flight: self,
            attempt: None,
        }
    }

    pub(super) fn turn_out(&self) -> Turnout {
        self.wakers.turn_out()
    }

    fn close(&self) {
        self.is_open.store(false, Ordering::Release);
    }
}

impl<F, T: ReplayResponse> Departure<'_, F, T> {
    /// The call was made.
    pub(super) fn with(mut self, attempt: F) {
        self.attempt = Some(attempt);
    }
}

impl<F, T: ReplayResponse> Drop for Departure<'_, F, T> {
    fn drop(&mut self) {
        let flight = self.flight;
        let state = match self.attempt.take() {
            Some(attempt) => State::UnderWay(Box::pin(attempt)),
            None => {
                flight.close();
                State::Failed(broken())
            }
        };
        *flight.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        flight.wakers.wake_all();
    }
}

impl<F, T, E> Flight<F, T>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: ReplayResponse,
    E: Into<Error>,
{
    /// Waits for the attempt on behalf of `call`, and goes on with it if `call` has time for that.
    pub(super) fn poll(
        self: &Arc<Self>,
        turnout: &Turnout,
        call: &CallContext,
        has_time: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Error>> {
        turnout.wait(cx.waker());
        // Should the attempt panic, the others hear of it.
        let alarm = self.wakers.on_panic();
        let Ok(mut state) = self.state.lock() else {
            self.close();
            return Poll::Ready(Err(broken().with_context(call)));
        };
        if let State::UnderWay(attempt) = &mut *state {
            if !has_time {
                return Poll::Pending;
            }
            let waker = self.wakers.all();
            let Poll::Ready(result) = attempt.as_mut().poll(&mut Context::from_waker(&waker))
            else {
                return Poll::Pending;
            };
            *state = match result {
                Ok(answer) => State::Answered {
                    answer: answer.share(Arc::clone(&self.is_open)),
                    is_taken: false,
                },
                Err(error) => {
                    self.close();
                    State::Failed(error.into())
                }
            };
            self.wakers.wake_all();
        }
        let result = match &mut *state {
            State::Listed | State::UnderWay(_) => return Poll::Pending,
            State::Answered { answer, is_taken } => {
                let is_copy = std::mem::replace(is_taken, true);
                Ok(T::take(answer, call, is_copy, Arc::<Self>::clone(self)))
            }
            State::Failed(error) => Err(error.another()),
        };
        drop(state);
        drop(alarm);
        Poll::Ready(result)
    }
}
