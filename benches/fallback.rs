//! What does a fallback cost a call that does not need it, and one that does?
//!
//! One whole pass of a call through the layer, to a service that is ready and answers at once:
//! ratios to that service alone, in one run.

use std::{
    future::{Future, Ready, ready},
    hint::black_box,
    mem,
    pin::pin,
    task::{Context, Waker},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tower::{Layer, Service, service_fn};
use tower_bedrock::{
    BedrockRequest, CallContext, Cause, CircuitBreakers, Error, FallbackLayer, Ladder, Operation,
    Passage, Quota, Quotas, Request, Response, Route, RouteGate, Rung, Served,
};

fn request() -> Request<()> {
    let model = "us.anthropic.claude-sonnet-4-6"
        .parse()
        .expect("a model id");
    let route = Route::to(model).in_region("us-east-1");
    let mut call = CallContext::new(Operation::Converse, route);
    call.tokens.input = Some(1000);
    call.tokens.max_output = Some(500);
    Request::new((), call)
}

fn answer(mut request: Request<()>) -> Ready<Result<Response<()>, Error>> {
    let mut served = Served::default();
    served.route = mem::take(&mut request.context_mut().route);
    served.attempts = 1;
    ready(Ok(Response::new((), served, None)))
}

fn pass<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(service.call(request));
    assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
}

fn ladder() -> Ladder {
    Ladder::regions(["us-west-2", "us-east-2"]).then(Rung::model(
        "us.amazon.nova-pro-v1:0".parse().expect("a model id"),
    ))
}

fn layer(ladder: Ladder) -> FallbackLayer {
    FallbackLayer::new(ladder).expect("a ladder")
}

/// A gate for which the primary is closed.
struct Away;

impl RouteGate for Away {
    fn ask(&self, _: &CallContext, route: &Route, _: tokio::time::Instant) -> Passage {
        match &route.region {
            Some(region) if region.as_str() == "us-east-1" => Passage::Closed {
                cause: Cause::CircuitOpen,
                retry_in: None,
            },
            _ => Passage::Open,
        }
    }
}

fn quiet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fallback, not needed");
    let request = request();
    group.bench_function("no layer", |bencher| {
        let mut service = service_fn(answer);
        bencher.iter(|| pass(&mut service, request.clone()));
    });
    // A layer that may send a call again keeps a clone of it.
    group.bench_function("no layer, a clone kept", |bencher| {
        let mut service = service_fn(answer);
        bencher.iter(|| {
            let kept = black_box(request.clone());
            pass(&mut service, request.clone());
            drop(kept);
        });
    });
    let quotas = Quotas::new();
    for region in ["us-east-1", "us-west-2"] {
        let route = request.context().route.clone().in_region(region);
        let quota = Quota::new().with_tokens_per_minute(1_000_000_000);
        quotas.set(&route, quota).expect("a valid quota");
    }
    let breakers = CircuitBreakers::new();
    let no_fallback = || {
        let request = request.clone();
        request.without_fallback()
    };
    let cases = [
        ("no ladder", layer(Ladder::new()), request.clone()),
        ("three rungs", layer(ladder()), request.clone()),
        ("three rungs, opted out", layer(ladder()), no_fallback()),
        (
            "three rungs that may not be taken",
            layer(Ladder::regions(["eu-west-1", "eu-central-1", "eu-north-1"])),
            request.clone(),
        ),
        (
            "three rungs, circuits asked",
            layer(ladder()).with_gate(breakers.clone()),
            request.clone(),
        ),
        (
            "three rungs, circuits and quotas asked",
            layer(ladder()).with_gate(breakers).with_gate(quotas),
            request.clone(),
        ),
        (
            "three rungs, a warm share",
            layer(ladder().with_warm_share(1e-9)),
            request.clone(),
        ),
    ];
    for (name, layer, request) in cases {
        group.bench_function(name, |bencher| {
            let mut service = layer.layer(service_fn(answer));
            bencher.iter(|| pass(&mut service, request.clone()));
        });
    }
    group.finish();
}

fn moved(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fallback, needed");
    let request = request();
    group.bench_function("the primary is closed", |bencher| {
        let mut service = layer(ladder()).with_gate(Away).layer(service_fn(answer));
        bencher.iter(|| pass(&mut service, request.clone()));
    });
    let failing = |request: Request<()>| match &request.context().route.region {
        Some(region) if region.as_str() == "us-east-1" => {
            ready(Err(Error::new(Cause::ModelOverloaded)))
        }
        _ => answer(request),
    };
    group.bench_function("the primary fails", |bencher| {
        let mut service = layer(ladder()).layer(service_fn(failing));
        bencher.iter(|| pass(&mut service, request.clone()));
    });
    group.finish();
}

criterion_group!(benches, quiet, moved);
criterion_main!(benches);
