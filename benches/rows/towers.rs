//! Tower's own layers, as its documentation shows them.

use std::{
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use tokio::runtime::{self, Runtime};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    buffer::Buffer,
    limit::{ConcurrencyLimitLayer, RateLimit, RateLimitLayer},
    retry::{
        Policy, RetryLayer,
        budget::{Budget, TpsBudget},
    },
    service_fn,
    timeout::TimeoutLayer,
    util::BoxService,
};

use super::{Number, answer, number, ours};
use crate::row::{Caller, Callers, Group, Row, ServiceCaller};

const GROUP: Group = Group::Tower;
const LIMIT: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes everything again that fails: the policy of the documentation, which clones the request so
/// that it can be sent again.
#[derive(Clone)]
struct Again;

/// The same, paid for by a budget with the defaults of `TpsBudget`: the policy of
/// `tower::retry::budget`'s documentation.
#[derive(Clone)]
struct Budgeted(Arc<TpsBudget>);

/// Tower's layers.
#[must_use]
pub fn rows() -> Vec<Row> {
    vec![
        Row::service("tower Retry", GROUP, number, || {
            ServiceBuilder::new()
                .layer(RetryLayer::new(Again))
                .service_fn(answer)
        }),
        Row::service("tower Retry, TpsBudget", GROUP, number, || {
            ServiceBuilder::new()
                .layer(RetryLayer::new(Budgeted(Arc::default())))
                .service_fn(answer)
        }),
        Row::service("tower ConcurrencyLimit", GROUP, number, || {
            ServiceBuilder::new()
                .layer(ConcurrencyLimitLayer::new(LIMIT))
                .service_fn(answer)
        }),
        Row::service("tower Timeout", GROUP, number, || {
            ServiceBuilder::new()
                .layer(TimeoutLayer::new(TIMEOUT))
                .service_fn(answer)
        }),
        // It is not `Clone`: to be shared it needs a `Buffer` around it.
        Row::new("tower RateLimit", GROUP, || Callers {
            one: Box::new(ServiceCaller {
                service: rate_limited(),
                request: 1,
            }),
            two: None,
        }),
        Row::new("tower Buffer", GROUP, || Callers {
            one: Box::new(alone()),
            two: Some(together()),
        }),
        // What its guides put around a client: bounded, limited, made again.
        Row::service(
            "tower Timeout, Retry, ConcurrencyLimit",
            GROUP,
            number,
            || {
                ServiceBuilder::new()
                    .layer(TimeoutLayer::new(TIMEOUT))
                    .layer(RetryLayer::new(Budgeted(Arc::default())))
                    .layer(ConcurrencyLimitLayer::new(LIMIT))
                    .service_fn(answer)
            },
        ),
        // Like for like with our rows: the same request, the same service.
        Row::service(
            "tower Retry, TpsBudget, our request",
            GROUP,
            ours::request,
            || {
                ServiceBuilder::new()
                    .layer(RetryLayer::new(Budgeted(Arc::default())))
                    .service_fn(ours::answer)
            },
        ),
        Row::service(
            "tower ConcurrencyLimit, our request",
            GROUP,
            ours::request,
            || {
                ServiceBuilder::new()
                    .layer(ConcurrencyLimitLayer::new(LIMIT))
                    .service_fn(ours::answer)
            },
        ),
    ]
}

fn rate_limited() -> RateLimit<impl Service<Number, Response = Number, Future: Send> + Send> {
    ServiceBuilder::new()
        .layer(RateLimitLayer::new(u64::MAX, Duration::from_secs(1)))
        .service_fn(answer)
}

/// Calls through a buffer. Its worker has to be polled, so the calls are made by a task.
struct Buffered {
    runtime: Arc<Runtime>,
    service: Buffer<Number, <BoxService<Number, Number, BoxError> as Service<Number>>::Future>,
    /// Whether the calls are a task like the worker, as on a runtime of several threads.
    is_spawned: bool,
}

/// The caller and the worker on one thread.
fn alone() -> Buffered {
    let runtime = runtime::Builder::new_current_thread().build();
    buffered(runtime.expect("a runtime"), false)
}

/// Two callers and the worker on two threads.
fn together() -> [Box<dyn Caller>; 2] {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    let first = buffered(runtime.expect("a runtime"), true);
    let second = Buffered {
        runtime: Arc::clone(&first.runtime),
        service: first.service.clone(),
        is_spawned: true,
    };
    [Box::new(first), Box::new(second)]
}

fn buffered(runtime: Runtime, is_spawned: bool) -> Buffered {
    let service = BoxService::new(service_fn(answer).map_err(BoxError::from));
    let (service, worker) = Buffer::pair(service, 1024);
    runtime.spawn(worker);
    Buffered {
        runtime: Arc::new(runtime),
        service,
        is_spawned,
    }
}

impl Caller for Buffered {
    fn run(&mut self, calls: u64) {
        let mut service = self.service.clone();
        let calls = async move {
            for _ in 0..calls {
                let ready = service.ready().await.expect("the worker is there");
                ready.call(1).await.expect("an answer");
            }
        };
        let handle = self.runtime.handle().clone();
        if self.is_spawned {
            let (done, is_done) = std::sync::mpsc::channel();
            handle.spawn(async move {
                calls.await;
                done.send(()).expect("somebody waits");
            });
            is_done.recv().expect("the calls are made");
        } else {
            self.runtime.block_on(calls);
        }
    }
}

impl<R: Clone, T, E> Policy<R, T, E> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut R, result: &mut Result<T, E>) -> Option<Self::Future> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &R) -> Option<R> {
        Some(request.clone())
    }
}

impl<R: Clone, T, E> Policy<R, T, E> for Budgeted {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut R, result: &mut Result<T, E>) -> Option<Self::Future> {
        if result.is_ok() {
            self.0.deposit();
            return None;
        }
        self.0.withdraw().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &R) -> Option<R> {
        Some(request.clone())
    }
}
