//! Our layers, each alone and all together.

use std::{
    future::{Ready, ready},
    mem,
    time::Duration,
};

use tower::{ServiceBuilder, service_fn};
#[cfg(feature = "metrics")]
use tower_bedrock::metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics};
use tower_bedrock::{
    BedrockRequest, CacheControl, CacheLayer, CallContext, CircuitBreakerLayer, CircuitBreakers,
    ClassifyLayer, CoalesceControl, CoalesceLayer, Error, FallbackLayer, Ladder, Operation,
    PoolLayer, Pools, Quota, Quotas, Request, Response, RetryLayer, Route, Served, Stack,
    TokenBudgetLayer, Usage,
};

use crate::row::{Group, Row};

const HOME: &str = "us-east-1";
/// So much that nothing is ever refused.
const PLENTY: u64 = 1_000_000_000_000_000;

/// A route as the README has it: a model, in the home region.
#[must_use]
pub fn route() -> Route {
    Route::to("us.amazon.nova-lite-v1:0".parse().expect("a model id"))
}

/// A call to it.
#[must_use]
pub fn request() -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, route());
    call.tokens.size.text_bytes = 4000;
    call.tokens.size.parts = 2;
    call.tokens.max_output = Some(1000);
    Request::new((), call)
}

/// What a service does in the place of Bedrock: tells which route answered, and what was used.
pub fn answer(mut request: Request<()>) -> Ready<Result<Response<()>, Error>> {
    let mut served = Served::default();
    served.route = mem::take(&mut request.context_mut().route);
    let usage = Usage {
        input: 1000,
        output: 300,
        ..Usage::default()
    };
    ready(Ok(Response::new((), served, Some(usage))))
}

/// What one minute may take.
#[must_use]
pub fn quota() -> Quota {
    Quota::new()
        .with_tokens_per_minute(PLENTY)
        .with_requests_per_minute(PLENTY)
}

fn quotas() -> Quotas {
    let quotas = Quotas::new().with_home_region(HOME);
    quotas.set(&route(), quota()).expect("a quota");
    quotas
}

fn breakers() -> CircuitBreakers {
    CircuitBreakers::new().with_home_region(HOME)
}

fn pools() -> Pools {
    Pools::new().with_home_region(HOME)
}

fn fallback() -> FallbackLayer {
    FallbackLayer::new(Ladder::regions(["us-west-2"])).expect("a ladder")
}

macro_rules! row {
    ($name:literal, $group:ident, $service:expr) => {
        Row::service($name, Group::$group, request, || $service)
    };
    ($name:literal, $layer:expr) => {
        row!(
            $name,
            TowerBedrock,
            ServiceBuilder::new().layer($layer).service_fn(answer)
        )
    };
}

/// The floor, each layer alone, and the recommended stack.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        row!("no layer, our request", Floor, service_fn(answer)),
        row!("Classify", ClassifyLayer::new()),
        row!("Retry", RetryLayer::new()),
        row!("TokenBudget", TokenBudgetLayer::new(quotas())),
        row!("CircuitBreaker", CircuitBreakerLayer::new(breakers())),
        row!("Pool", PoolLayer::new(pools())),
        row!("Fallback", fallback().with_home_region(HOME)),
    ];
    rows.extend(shared());
    #[cfg(feature = "metrics")]
    rows.push(row!("CallMetrics and AttemptMetrics", metrics()));
    rows.extend(stacks());
    rows
}

/// What asks less: a call that neither layer is about, one that is not there, one that is, and one that
/// nobody joins.
fn shared() -> Vec<Row> {
    macro_rules! row {
        ($name:literal, $layer:expr, $request:expr) => {
            Row::service(
                $name,
                Group::TowerBedrock,
                || $request,
                || ServiceBuilder::new().layer($layer).service_fn(answer),
            )
        };
    }
    vec![
        row!("Cache, not about the call", cache(), request()),
        row!(
            "Cache, miss",
            cache(),
            request().with_cache(CacheControl::Refresh)
        ),
        row!(
            "Cache, hit",
            cache(),
            request().with_cache(CacheControl::Use)
        ),
        row!(
            "Coalesce, not about the call",
            CoalesceLayer::new(),
            request()
        ),
        row!(
            "Coalesce, nobody joins",
            CoalesceLayer::new(),
            request().with_coalesce(CoalesceControl::Share)
        ),
    ]
}

/// Large enough that nothing is given up.
fn cache() -> CacheLayer {
    CacheLayer::new(1 << 30, Duration::from_secs(3600)).expect("room and time")
}

/// Both layers that count, without a recorder.
#[cfg(feature = "metrics")]
fn metrics() -> (CallMetricsLayer, AttemptMetricsLayer) {
    let metrics = Metrics::new();
    (
        CallMetricsLayer::new(metrics.clone()),
        AttemptMetricsLayer::new(metrics),
    )
}

/// The recommended stack, from the inside: the last of those that do not count is what [`Stack`] builds
/// when it is told a quota and a ladder. By itself it counts and traces too, where the features are
/// there; nobody listens here, neither recorder nor subscriber.
fn stacks() -> Vec<Row> {
    macro_rules! over {
        () => {
            Stack::over(service_fn(answer), HOME)
                .without_metrics()
                .without_tracing()
        };
    }
    macro_rules! stack {
        ($name:literal, $builder:expr) => {
            row!(
                $name,
                TowerBedrock,
                $builder
                    .quota(route(), quota())
                    .build()
                    .expect("a stack that can be meant")
            )
        };
    }
    let mut rows = vec![
        stack!(
            "stack: Classify, Pool, TokenBudget",
            over!()
                .without_fallback()
                .without_retry()
                .without_circuit_breaker()
                .without_timeout()
        ),
        stack!(
            "stack: … and CircuitBreaker",
            over!().without_fallback().without_retry().without_timeout()
        ),
        stack!(
            "stack: … and Retry",
            over!().without_fallback().without_timeout()
        ),
        stack!(
            "stack: all six, no deadline",
            over!().fallback(fallback()).without_timeout()
        ),
        stack!("stack: all six", over!().fallback(fallback())),
    ];
    if cfg!(feature = "metrics") {
        rows.push(stack!(
            "stack: all six, metrics",
            Stack::over(service_fn(answer), HOME)
                .without_tracing()
                .fallback(fallback())
        ));
    }
    if cfg!(feature = "tracing") {
        rows.push(stack!(
            "stack: all six, tracing",
            Stack::over(service_fn(answer), HOME)
                .without_metrics()
                .fallback(fallback())
        ));
    }
    rows
}
