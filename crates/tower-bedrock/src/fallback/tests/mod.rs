mod bounds;
mod cancel;
mod errors;
mod gates;
#[cfg(any(loom_cores, shuttle_cores))]
mod interleavings;
mod ladder;
mod moves;
mod outage;
mod portable;
mod properties;
mod reference;
mod residency;
mod shares;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::{
    BedrockRequest, BoxError, CallContext, Cause, Error, ModelId, Operation, Passage, Request,
    Response, Route, RouteGate, Served, ServiceTier,
};

fn model(id: &str) -> ModelId {
    id.parse().unwrap()
}

/// `model@region`, or `model` alone.
fn route(text: &str) -> Route {
    match text.split_once('@') {
        Some((id, region)) => Route::to(model(id)).in_region(region),
        None => Route::to(model(text)),
    }
}

fn call(to: &str) -> CallContext {
    CallContext::new(Operation::Converse, route(to))
}

fn request(to: &str) -> Request<()> {
    Request::new((), call(to))
}

fn home() -> Request<()> {
    request("anthropic.claude-sonnet-4-6@us-east-1")
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn layer(rungs: &[&str]) -> FallbackLayer {
    let ladder: Ladder = rungs.iter().map(|rung| route(rung)).collect();
    FallbackLayer::new(ladder).unwrap()
}

type Answer = dyn Fn(&CallContext) -> Result<(), Error> + Send + Sync;

/// A Bedrock that answers each attempt as it is told, after its latency.
#[derive(Clone)]
struct Bed {
    answer: Arc<Answer>,
    latency: Duration,
    start: Instant,
    came: Arc<Mutex<Vec<(Duration, CallContext)>>>,
}

impl Bed {
    fn new(answer: impl Fn(&CallContext) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            latency: Duration::ZERO,
            start: Instant::now(),
            came: Arc::default(),
        }
    }

    /// Fails with `cause` on every route whose text contains one of `sick`.
    fn failing(cause: Cause, sick: &'static [&'static str]) -> Self {
        Self::new(move |call| {
            let route = call.route.to_string();
            match sick.iter().any(|sick| route.contains(sick)) {
                true => Err(Error::new(cause)),
                false => Ok(()),
            }
        })
    }

    fn after(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The routes of the attempts that came, in their order.
    fn routes(&self) -> Vec<String> {
        let came = self.came.lock().unwrap();
        came.iter()
            .map(|(_, call)| call.route.to_string())
            .collect()
    }

    fn calls(&self) -> Vec<CallContext> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(_, call)| call.clone()).collect()
    }

    /// How many attempts came to routes whose text contains `part`.
    fn count(&self, part: &str) -> usize {
        let routes = self.routes();
        routes.iter().filter(|route| route.contains(part)).count()
    }
}

impl Service<Request<()>> for Bed {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let call = request.context().clone();
        let result = (self.answer)(&call);
        let came = self.start.elapsed();
        self.came.lock().unwrap().push((came, call.clone()));
        let latency = self.latency;
        Box::pin(async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let served = Served {
                route: call.route,
                attempts: call.attempt,
                ..Served::default()
            };
            result.map(|()| Response::new((), served, None))
        })
    }
}

/// A gate that says what it is told of each route.
#[derive(Clone)]
struct Says(Arc<dyn Fn(&Route) -> Passage + Send + Sync>);

impl Says {
    fn new(says: impl Fn(&Route) -> Passage + Send + Sync + 'static) -> Self {
        Self(Arc::new(says))
    }
}

impl RouteGate for Says {
    fn ask(&self, _: &CallContext, route: &Route, _: Instant) -> Passage {
        (self.0)(route)
    }
}

fn closed(retry_in: Option<Duration>) -> Passage {
    Passage::Closed {
        cause: Cause::CircuitOpen,
        retry_in,
    }
}

/// The causes of what was tried before.
fn earlier(error: &Error) -> Vec<Cause> {
    let routes = FallbackExhausted::of(error);
    let errors = routes.map(FallbackExhausted::errors).unwrap_or_default();
    errors.iter().map(Error::cause).collect()
}

/// What was not tried, and why.
fn skipped(error: &Error) -> Vec<(String, SkipReason)> {
    let routes = FallbackExhausted::of(error);
    let skipped = routes.map(FallbackExhausted::skipped).unwrap_or_default();
    skipped
        .iter()
        .map(|skipped| (skipped.route.to_string(), skipped.reason))
        .collect()
}
