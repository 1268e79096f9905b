//! What does it cost to be bounded?
//!
//! One whole pass of a call through the layer: find the pool, take a place, call a service that is ready
//! and answers at once, give the place back. Beside it tower's `ConcurrencyLimit`, in the same run, which
//! has one pool for everything and gives the place back with the head of the response. Alone, with a
//! second thread, and with a line to hand places on to.

use std::{
    future::{Future, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    thread,
};

use criterion::{
    Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, WallTime},
};
use tokio::{runtime, task::JoinSet};
use tower::{Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_bedrock::{
    AdaptiveLimit, CallContext, Error, Operation, PoolKey, PoolLayer, Pools, Request, Response,
    Route, Served,
};

const LIMIT: usize = 50;
const WAITING: u64 = 100;

fn request(region: &str) -> Request<()> {
    let model = "us.anthropic.claude-sonnet-4-6";
    let route = Route::to(model.parse().expect("a model id")).in_region(region);
    Request::new((), CallContext::new(Operation::Converse, route))
}

fn answer(_: Request<()>) -> std::future::Ready<Result<Response<()>, Error>> {
    ready(Ok(Response::new((), Served::default(), None)))
}

async fn answer_later(_: Request<()>) -> Result<Response<()>, Error> {
    tokio::task::yield_now().await;
    Ok(Response::new((), Served::default(), None))
}

fn pass<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut call = pin!(service.call(request));
    assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
}

fn alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    let request = request("us-east-1");
    group.bench_function("no layer", |bencher| {
        let mut service = service_fn(answer);
        bencher.iter(|| pass(&mut service, request.clone()));
    });
    group.bench_function("tower's ConcurrencyLimit", |bencher| {
        let mut service = ServiceBuilder::new()
            .layer(ConcurrencyLimitLayer::new(LIMIT))
            .service_fn(answer);
        bencher.iter(|| pass(&mut service, request.clone()));
    });
    let adaptive = AdaptiveLimit::between(5, LIMIT).expect("sensible bounds");
    for (name, pools) in [
        ("by region", Pools::new()),
        (
            "by model",
            Pools::new().with_key(|call| PoolKey::route(&call.route)),
        ),
        (
            "by region, adaptive",
            Pools::new().with_adaptive_limit(adaptive),
        ),
    ] {
        let mut service = ServiceBuilder::new()
            .layer(PoolLayer::new(pools))
            .service_fn(answer);
        group.bench_function(name, |bencher| {
            bencher.iter(|| pass(&mut service, request.clone()));
        });
    }
    group.finish();
}

/// Two threads, each with a clone of the service.
fn share<S>(bencher: &mut criterion::Bencher<'_>, service: &S, regions: [&'static str; 2])
where
    S: Service<Request<()>, Error = Error> + Clone + Send,
{
    bencher.iter_custom(|passes| {
        let start = WallTime.start();
        thread::scope(|scope| {
            for region in regions {
                let mut service = service.clone();
                scope.spawn(move || {
                    let request = request(region);
                    for _ in 0..passes {
                        pass(&mut service, request.clone());
                    }
                });
            }
        });
        WallTime.end(start)
    });
}

fn together(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool, two threads");
    let one = ["us-east-1", "us-east-1"];
    let two = ["us-east-1", "us-west-2"];
    let limit = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(LIMIT))
        .service_fn(answer);
    let pool = ServiceBuilder::new()
        .layer(PoolLayer::new(Pools::new()))
        .service_fn(answer);
    group.bench_function("tower's ConcurrencyLimit", |bencher| {
        share(bencher, &limit, one);
    });
    group.bench_function("in one region", |bencher| share(bencher, &pool, one));
    group.bench_function("in two regions", |bencher| share(bencher, &pool, two));
    group.finish();
}

/// A hundred calls through one place, each of which hands it on to the next in line.
fn hand_on<S>(bencher: &mut criterion::Bencher<'_>, service: &S)
where
    S: Service<Request<()>, Response = Response<()>, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let request = request("us-east-1");
    bencher.to_async(runtime).iter(|| {
        let mut calls: JoinSet<_> = (0..WAITING)
            .map(|_| service.clone().oneshot(request.clone()))
            .collect();
        async move {
            while let Some(result) = calls.join_next().await {
                assert!(result.is_ok_and(|answered| answered.is_ok()));
            }
        }
    });
}

fn in_line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool, a line of 100");
    group.throughput(Throughput::Elements(WAITING));
    let limit = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .service_fn(answer_later);
    let pool = ServiceBuilder::new()
        .layer(PoolLayer::new(Pools::new().with_max_in_flight(1)))
        .service_fn(answer_later);
    group.bench_function("tower's ConcurrencyLimit", |bencher| {
        hand_on(bencher, &limit);
    });
    group.bench_function("by region", |bencher| hand_on(bencher, &pool));
    group.finish();
}

criterion_group!(benches, alone, together, in_line);
criterion_main!(benches);
