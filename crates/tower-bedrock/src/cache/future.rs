//! The future of [`Cache`](super::Cache).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{
    event::{CacheEvent, NotKept},
    layer::Config,
};
use crate::{
    call::CallContext, call_key::CallKey, clock::Turn, error::Error, replay::ReplayResponse,
    reply::CacheStatus,
};

pin_project! {
    /// The future of [`Cache`](super::Cache).
    pub struct ResponseFuture<F, T> {
        #[pin]
        state: State<F, T>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, T> {
        /// The cache is not about the call.
        Passed { #[pin] inner: F },
        /// The answer was there; `None` once it is given.
        Hit { answer: Option<T> },
        /// It was not; what comes may be kept.
        Missed { #[pin] inner: F, keeping: Option<Keeping> },
    }
}

/// An answer that is to be kept.
#[derive(Debug)]
pub(super) struct Keeping(Box<Terms>);

#[derive(Debug)]
struct Terms {
    config: Arc<Config>,
    key: CallKey,
    call: CallContext,
}

impl Keeping {
    pub(super) fn new(config: Arc<Config>, key: CallKey, call: CallContext) -> Self {
        Self(Box::new(Terms { config, key, call }))
    }

    /// Has `answer` kept when it is whole, if it is worth keeping.
    fn of<T: ReplayResponse>(self, answer: &mut T) {
        let Terms { config, key, call } = *self.0;
        let served = answer.served_mut();
        served.cache = CacheStatus::Miss;
        let why = match (served.degraded, served.coalesced) {
            (true, _) => NotKept::Degraded,
            (_, true) => NotKept::Coalesced,
            (false, false) => {
                answer.record(config.store.room_for(&key), move |kept| {
                    let bytes = config.store.put(key, kept);
                    config.tell(&CacheEvent::Kept { call: &call, bytes });
                });
                return;
            }
        };
        config.tell(&CacheEvent::NotKept { call: &call, why });
    }
}

impl<F, T> ResponseFuture<F, T> {
    pub(super) const fn passed(inner: F) -> Self {
        Self {
            state: State::Passed { inner },
        }
    }

    pub(super) const fn hit(answer: T) -> Self {
        Self {
            state: State::Hit {
                answer: Some(answer),
            },
        }
    }

    pub(super) const fn missed(inner: F, keeping: Keeping) -> Self {
        Self {
            state: State::Missed {
                inner,
                keeping: Some(keeping),
            },
        }
    }
}

impl<F, T, E> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<T, E>>,
    T: ReplayResponse,
    E: Into<Error>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _turn = Turn::begin();
        match self.project().state.project() {
            StateProj::Passed { inner } => inner.poll(cx).map_err(Into::into),
            StateProj::Hit { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            StateProj::Missed { inner, keeping } => {
                let mut result = ready!(inner.poll(cx)).map_err(Into::into);
                if let (Ok(answer), Some(keeping)) = (&mut result, keeping.take()) {
                    keeping.of(answer);
                }
                Poll::Ready(result)
            }
        }
    }
}

impl<F, T> fmt::Debug for ResponseFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
