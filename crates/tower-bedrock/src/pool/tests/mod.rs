mod adaptive;
mod cancel;
mod free;
#[cfg(any(loom_cores, shuttle_cores))]
mod interleavings;
mod layer;
mod line;
mod permits;
mod sent;
mod threads;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tower::{Service, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    BedrockRequest, BedrockResponse, CallContext, Cause, Error, Finish, ModelId, Operation,
    Request, Response, Route, Served, Watcher,
};

fn call() -> CallContext {
    let model: ModelId = "us.amazon.nova-lite-v1:0".parse().unwrap();
    CallContext::new(Operation::Converse, Route::to(model).in_region("us-east-1"))
}

fn request() -> Request<()> {
    Request::new((), call())
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key() -> PoolKey {
    PoolKey::region("us-east-1")
}

fn snapshot(pools: &Pools) -> PoolSnapshot {
    pools.snapshot_of(&key())
}

fn answer() -> Response<()> {
    Response::new((), Served::default(), None)
}

/// A Bedrock that answers after `latency`.
fn steady(latency: Duration) -> impl Bedrock<Response<()>> {
    service_fn(move |_: Request<()>| async move {
        sleep(latency).await;
        Ok(answer())
    })
}

/// What a pool may be laid over.
trait Bedrock<T>:
    Service<Request<()>, Response = T, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S, T> Bedrock<T> for S where
    S: Service<Request<()>, Response = T, Error = Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

fn over<S>(pools: &Pools, service: S) -> Pool<S> {
    PoolLayer::new(pools.clone()).layer(service)
}

fn reason(error: &Error) -> SaturatedReason {
    assert_eq!(error.cause(), Cause::PoolSaturated);
    PoolSaturated::of(error).unwrap().reason()
}

/// Lets all tasks go as far as they can without time passing.
async fn settle_tasks() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A reply that goes on until it is told to end.
struct Stream {
    served: Served,
    watchers: Vec<Box<dyn Watcher>>,
}

impl Stream {
    fn new() -> Self {
        Self {
            served: Served::default(),
            watchers: Vec::new(),
        }
    }

    fn end(mut self, finish: Finish<'_>) {
        for watcher in &mut self.watchers {
            watcher.finish(finish);
        }
    }
}

impl BedrockResponse for Stream {
    fn served(&self) -> &Served {
        &self.served
    }

    fn served_mut(&mut self) -> &mut Served {
        &mut self.served
    }

    fn watch(&mut self, watcher: impl Watcher) {
        self.watchers.push(Box::new(watcher));
    }
}
