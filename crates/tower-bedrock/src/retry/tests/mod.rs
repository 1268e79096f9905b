mod cancel;
mod ends;
mod extremes;
#[cfg(any(loom_cores, shuttle_cores))]
mod interleavings;
mod jitter;
mod policy;
mod reference;
mod service;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::{Jitter, RetryLayer};
use crate::{BedrockRequest, CallContext, Cause, Error, ModelId, Operation, Request, Route};

fn call() -> CallContext {
    let model: ModelId = "amazon.nova-lite-v1:0".parse().unwrap();
    CallContext::new(Operation::Converse, Route::to(model).in_region("us-east-1"))
}

fn request() -> Request<()> {
    Request::new((), call())
}

fn seeded() -> RetryLayer {
    RetryLayer::new().with_jitter(Jitter::seeded(7))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How an attempt ends.
type Answer = fn() -> Result<&'static str, Error>;

/// What happened to one call whose attempts end as `script` says, its last entry for ever.
struct Run {
    result: Result<&'static str, Error>,
    /// When each attempt was sent, counted from the start, and the number it had.
    sent: Vec<(Duration, u32)>,
    took: Duration,
}

async fn run(layer: &RetryLayer, request: Request<()>, script: Vec<Answer>) -> Run {
    let start = Instant::now();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let service = service_fn(move |request: Request<()>| {
        let mut sent = seen.lock().unwrap();
        sent.push((start.elapsed(), request.context().attempt));
        let result = script[(sent.len() - 1).min(script.len() - 1)]();
        async move { result }
    });
    let result = layer.layer(service).oneshot(request).await;
    let took = start.elapsed();
    let sent = sent.lock().unwrap().clone();
    Run { result, sent, took }
}

fn answered() -> Result<&'static str, Error> {
    Ok("answered")
}

fn internal() -> Result<&'static str, Error> {
    Err(Error::new(Cause::Internal))
}

fn request_rate() -> Result<&'static str, Error> {
    Err(Error::new(Cause::RequestRate))
}

fn overloaded() -> Result<&'static str, Error> {
    Err(Error::new(Cause::ModelOverloaded))
}
