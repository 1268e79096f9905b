mod bursts;
mod bypass;
mod cancel;
mod causes;
mod circuit;
mod cooldown;
mod cut;
mod half_open;
mod handle;
#[cfg(any(loom_cores, shuttle_cores))]
mod interleavings;
mod lanes;
mod policy;
mod properties;
mod reference;
mod slow;
mod streams;
mod threads;
mod told;
mod waiting;
mod window;

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    CallContext, Cause, Error, Jitter, ModelId, Operation, Request, Response, Route, Served,
};

fn route() -> Route {
    let model: ModelId = "us.amazon.nova-lite-v1:0".parse().unwrap();
    Route::to(model).in_region("us-east-1")
}

fn request() -> Request<()> {
    Request::new((), CallContext::new(Operation::Converse, route()))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Circuits that stay open for exactly as long as they say.
fn breakers(policy: CircuitPolicy) -> CircuitBreakers {
    CircuitBreakers::new()
        .with_jitter(Jitter::seeded(7))
        .with_policy(policy.without_cooldown_jitter())
        .unwrap()
}

fn answered() -> Result<Response<()>, Error> {
    Ok(Response::new((), Served::default(), None))
}

fn failed(cause: Cause) -> Result<Response<()>, Error> {
    Err(Error::new(cause))
}

/// A Bedrock whose answers can be changed while it runs; it counts what reaches it.
#[derive(Clone)]
struct Model {
    answer: Arc<Mutex<(Duration, Answer)>>,
    calls: Arc<AtomicU32>,
    in_flight: Arc<AtomicU32>,
    most_in_flight: Arc<AtomicU32>,
}

type Answer = Arc<dyn Fn() -> Result<Response<()>, Error> + Send + Sync>;

/// Goes down when a call is over, however it ends.
struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Model {
    fn new(
        latency: Duration,
        answer: impl Fn() -> Result<Response<()>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Arc::new(Mutex::new((latency, Arc::new(answer)))),
            calls: Arc::default(),
            in_flight: Arc::default(),
            most_in_flight: Arc::default(),
        }
    }

    fn healthy() -> Self {
        Self::new(millis(100), answered)
    }

    fn becomes(
        &self,
        latency: Duration,
        answer: impl Fn() -> Result<Response<()>, Error> + Send + Sync + 'static,
    ) {
        *self.answer.lock().unwrap() = (latency, Arc::new(answer));
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn call(self) -> Result<Response<()>, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let _in_flight = InFlight(self.in_flight.clone());
        let (latency, answer) = self.answer.lock().unwrap().clone();
        if !latency.is_zero() {
            sleep(latency).await;
        }
        answer()
    }

    /// One call through `breakers`.
    fn send(
        &self,
        breakers: &CircuitBreakers,
        request: Request<()>,
    ) -> impl Future<Output = Result<Response<()>, Error>> + use<> {
        let model = self.clone();
        let service = service_fn(move |_: Request<()>| model.clone().call());
        let layer = CircuitBreakerLayer::new(breakers.clone());
        layer.layer(service).oneshot(request)
    }
}

/// Calls until the circuit is open, and returns how many calls that took.
async fn trip(breakers: &CircuitBreakers, model: &Model) -> u32 {
    let before = model.calls();
    while breakers.state(&route()) != CircuitState::Open {
        drop(model.send(breakers, request()).await);
        assert!(model.calls() - before < 1000, "it does not open");
    }
    model.calls() - before
}
