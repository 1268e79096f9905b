//! Something that is called, over and over.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use tower::Service;

/// Makes so many calls, one after the other, on the thread that it is on.
pub trait Caller: Send {
    /// Makes `calls` calls.
    fn run(&mut self, calls: u64);
}

/// One row of the table: how to come by callers of it.
pub struct Row {
    /// What the row is found by.
    pub name: &'static str,
    /// Whose it is.
    pub group: Group,
    make: Box<dyn Fn() -> Callers>,
}

/// Whose a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// What a call costs without any layer.
    Floor,
    /// Ours.
    TowerBedrock,
    /// Tower's own.
    Tower,
    /// tower-resilience's.
    TowerResilience,
    /// Of others, which are no layers.
    Library,
}

/// One caller, and two of another making that share what they call.
pub struct Callers {
    /// For one thread.
    pub one: Box<dyn Caller>,
    /// For two threads, with all state shared; `None` where that cannot be shared.
    pub two: Option<[Box<dyn Caller>; 2]>,
}

impl Row {
    /// A row whose callers are made by `make`.
    pub fn new(name: &'static str, group: Group, make: impl Fn() -> Callers + 'static) -> Self {
        let make = Box::new(make);
        Self { name, group, make }
    }

    /// A row of a service whose clones share its state. Each caller makes a request of its own and
    /// asks with clones of it: what two threads contend for is what the service shares.
    pub fn service<S, R>(
        name: &'static str,
        group: Group,
        request: fn() -> R,
        service: impl Fn() -> S + 'static,
    ) -> Self
    where
        S: Service<R> + Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        Self::new(name, group, move || {
            let caller = |service| -> Box<dyn Caller> {
                Box::new(ServiceCaller {
                    service,
                    request: request(),
                })
            };
            let shared = service();
            Callers {
                one: caller(service()),
                two: Some([caller(shared.clone()), caller(shared)]),
            }
        })
    }

    /// A row of a function whose clones share its state.
    pub fn function<F>(name: &'static str, group: Group, function: impl Fn() -> F + 'static) -> Self
    where
        F: FnMut() + Clone + Send + 'static,
    {
        Self::new(name, group, move || {
            let caller = |function| -> Box<dyn Caller> { Box::new(FunctionCaller(function)) };
            let shared = function();
            Callers {
                one: caller(function()),
                two: Some([caller(shared.clone()), caller(shared)]),
            }
        })
    }

    /// The row of what a call costs without the layer; `None` for what is no service.
    #[must_use]
    pub fn floor(&self) -> Option<&'static str> {
        let asks_ours = self.name.ends_with("our request") || self.group == Group::TowerBedrock;
        match self.group {
            Group::Library => None,
            _ if asks_ours => Some("no layer, our request"),
            _ => Some("no layer"),
        }
    }

    /// Callers with state of their own.
    #[must_use]
    pub fn callers(&self) -> Callers {
        (self.make)()
    }
}

/// Calls a service that answers at once, as a task would.
pub(crate) struct ServiceCaller<S, R> {
    pub(crate) service: S,
    pub(crate) request: R,
}

impl<S, R> Caller for ServiceCaller<S, R>
where
    S: Service<R> + Send,
    R: Clone + Send,
{
    fn run(&mut self, calls: u64) {
        for _ in 0..calls {
            pass(&mut self.service, self.request.clone());
        }
    }
}

/// One whole pass of a call: ready, called, polled, dropped.
///
/// Where two threads get into each other's way, as at an async mutex, a future is pending. It is then
/// polled again at once, which costs less than any executor would.
fn pass<S: Service<R>, R>(service: &mut S, request: R) {
    let mut cx = Context::from_waker(Waker::noop());
    while service.poll_ready(&mut cx).is_pending() {
        std::hint::spin_loop();
    }
    let mut call = pin!(service.call(request));
    loop {
        let answer = call.as_mut().poll(&mut cx);
        match black_box(&answer) {
            Poll::Ready(answer) => return assert!(answer.is_ok()),
            Poll::Pending => std::hint::spin_loop(),
        }
    }
}

struct FunctionCaller<F>(F);

impl<F: FnMut() + Send> Caller for FunctionCaller<F> {
    fn run(&mut self, calls: u64) {
        for _ in 0..calls {
            (self.0)();
        }
    }
}
