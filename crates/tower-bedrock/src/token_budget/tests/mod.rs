mod admission;
mod adopt;
mod bound;
mod calibration;
mod cancel;
mod events;
mod failures;
mod goodput;
#[cfg(any(loom_cores, shuttle_cores))]
mod interleavings;
mod late;
mod learning;
mod limits;
mod meters;
mod passed;
mod queue;
mod quota;
mod readiness;
mod reference;
mod room;
mod route_gate;
mod scale;
mod sharing;
mod stray;
mod streams;
mod threads;
mod waiting;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::*;
use crate::{
    BedrockRequest, CallContext, Cause, Error, Limit, Operation, Priority, Request, Response,
    Route, Served, Usage,
};

const MODEL: &str = "anthropic.claude-sonnet-4-6";

fn route() -> Route {
    Route::to(MODEL.parse().unwrap()).in_region("us-east-1")
}

/// A call of `input` tokens that may generate `max_output`.
fn call(input: u32, max_output: u32) -> CallContext {
    let mut call = CallContext::new(Operation::Converse, route());
    call.tokens.input = Some(input);
    call.tokens.max_output = Some(max_output);
    call
}

/// A call that holds `tokens`.
fn holding(tokens: u32) -> Request<()> {
    Request::new((), call(tokens, 0))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Quotas of `tokens` per minute for [`MODEL`], that learn nothing.
fn quotas(tokens: u64) -> Quotas {
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_tokens_per_minute(tokens)
        .without_learning();
    quotas.set(&route(), quota).unwrap();
    quotas
}

fn used(quotas: &Quotas) -> u64 {
    quotas.snapshot_of(&route()).tokens_used
}

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

fn answer(usage: Usage) -> Response<()> {
    Response::new((), Served::default(), Some(usage))
}

/// A service that answers after `latency`, having used the input that the call names and nothing
/// else; and when each call came to it.
#[derive(Clone)]
struct Steady {
    latency: Duration,
    start: Instant,
    came: Arc<Mutex<Vec<(Duration, CallContext)>>>,
}

impl Steady {
    fn new(latency: Duration) -> Self {
        Self {
            latency,
            start: Instant::now(),
            came: Arc::default(),
        }
    }

    async fn answer(self, request: Request<()>) -> Result<Response<()>, Error> {
        let call = request.context().clone();
        let input = call.tokens.input.unwrap_or(0);
        self.came.lock().unwrap().push((self.start.elapsed(), call));
        tokio::time::sleep(self.latency).await;
        Ok(answer(usage(input.into(), 0)))
    }

    /// The seconds at which calls came.
    fn seconds(&self) -> Vec<u64> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(at, _)| at.as_secs()).collect()
    }

    /// What calls had by way of input, in the order in which they came: a name for them.
    fn order(&self) -> Vec<u32> {
        let came = self.came.lock().unwrap();
        came.iter()
            .map(|(_, call)| call.tokens.input.unwrap())
            .collect()
    }
}

/// A layer over a [`Steady`] service, boxed so that tests can name it.
fn over(
    layer: &TokenBudgetLayer,
    steady: &Steady,
) -> tower::util::BoxCloneService<Request<()>, Response<()>, Error> {
    let steady = steady.clone();
    let inner = service_fn(move |request| steady.clone().answer(request));
    tower::util::BoxCloneService::new(layer.layer(inner))
}

/// Lets every task that can go on go on, without time passing.
async fn settle_tasks() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// The refusal behind an error.
fn refusal(error: &Error) -> BudgetExhausted {
    assert_eq!(error.cause(), Cause::BudgetExhausted);
    *BudgetExhausted::of(error).expect("a refusal")
}
