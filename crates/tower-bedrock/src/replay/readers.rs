//! One stream and several who read it.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{
    answer::Listed,
    wakers::{Turnout, Wakers},
};
use crate::{
    call::CallContext,
    cause::Cause,
    error::{Error, RawError},
    reply::Served,
    stream::{ResponseStream, StreamEvent},
};

/// A stream that several calls read, each from its beginning and at its own pace. Whoever wants more
/// than is there reads on for all. It is dropped with the last of them.
#[allow(unnameable_types)]
pub struct Readers<E> {
    shared: Arc<Shared<E>>,
    served: Served,
}

struct Shared<E> {
    state: Mutex<State<E>>,
    wakers: Arc<Wakers>,
    is_open: Arc<AtomicBool>,
}

struct State<E> {
    /// `None` when nothing more comes.
    stream: Option<ResponseStream<E>>,
    events: Vec<E>,
    error: Option<Error>,
}

impl<E: StreamEvent + Clone> Readers<E> {
    pub(super) fn of(stream: ResponseStream<E>, is_open: Arc<AtomicBool>) -> Self {
        Self {
            served: stream.served().clone(),
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    stream: Some(stream),
                    events: Vec::new(),
                    error: None,
                }),
                wakers: Arc::default(),
                is_open,
            }),
        }
    }

    pub(super) fn another(
        &self,
        call: &CallContext,
        is_copy: bool,
        listed: Listed,
    ) -> ResponseStream<E> {
        let reader = Reader {
            _listed: listed,
            turnout: self.shared.wakers.turn_out(),
            shared: Arc::clone(&self.shared),
            next: 0,
        };
        let served = Served {
            coalesced: is_copy,
            ..self.served.clone()
        };
        ResponseStream::again(reader, call.clone(), served, is_copy)
    }
}

impl<E> fmt::Debug for Readers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("served", &self.served)
            .finish_non_exhaustive()
    }
}

struct Reader<E> {
    _listed: Listed,
    shared: Arc<Shared<E>>,
    turnout: Turnout,
    next: usize,
}

impl<E: StreamEvent + Clone> Stream for Reader<E> {
    type Item = Result<E, RawError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.turnout.wait(cx.waker());
        let event = this.shared.poll_event(this.next);
        if event.is_ready() {
            this.next += 1;
            this.turnout.leave();
        }
        event
    }
}

impl<E: StreamEvent + Clone> Shared<E> {
    fn poll_event(&self, wanted: usize) -> Poll<Option<Result<E, RawError>>> {
        let alarm = self.wakers.on_panic();
        let Ok(mut state) = self.state.lock() else {
            self.is_open.store(false, Ordering::Release);
            return Poll::Ready(Some(Err(broken().into())));
        };
        if let Some(event) = state.events.get(wanted) {
            return Poll::Ready(Some(Ok(event.clone())));
        }
        let Some(stream) = &mut state.stream else {
            let error = state.error.as_mut();
            return Poll::Ready(error.map(|error| Err(error.another().into())));
        };
        let waker = self.wakers.all();
        let Poll::Ready(event) = Pin::new(stream).poll_next(&mut Context::from_waker(&waker))
        else {
            return Poll::Pending;
        };
        let event = match event {
            Some(Ok(event)) => {
                state.events.push(event.clone());
                Some(Ok(event))
            }
            Some(Err(mut error)) => {
                let another = error.another();
                state.error = Some(error);
                self.close(&mut state);
                Some(Err(another.into()))
            }
            None => {
                self.close(&mut state);
                None
            }
        };
        drop(state);
        drop(alarm);
        self.wakers.wake_all();
        Poll::Ready(event)
    }

    fn close(&self, state: &mut State<E>) {
        self.is_open.store(false, Ordering::Release);
        state.stream = None;
    }
}

/// What the others are told when reading panicked for one of them.
pub(crate) fn broken() -> Error {
    Error::new(Cause::Unknown).with_message("the attempt that the call shared panicked")
}
