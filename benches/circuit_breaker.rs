//! What does a circuit breaker cost a call that it lets through, and one that it refuses?
//!
//! One whole pass of a call through the layer: find the circuit, let the call through to a service
//! that is ready and answers at once, count its outcome. Alone, among many routes, and with a second
//! thread at the same circuit or at another one. Read it against the bare service in the same run.

use std::{
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    thread,
    time::Duration,
};

use criterion::{
    Criterion, criterion_group, criterion_main,
    measurement::{Measurement, WallTime},
};
use tower::{Service, ServiceBuilder, service_fn, util::BoxCloneSyncService};
use tower_bedrock::{
    CallContext, CircuitBreakerLayer, CircuitBreakers, CircuitPolicy, Error, Operation, Request,
    Response, Route, Served,
};

const MODEL: &str = "us.anthropic.claude-sonnet-4-6";
const OTHER: &str = "us.amazon.nova-lite-v1:0";

fn route(model: &str) -> Route {
    Route::to(model.parse().expect("a model id")).in_region("us-east-1")
}

fn request(model: &str) -> Request<()> {
    Request::new((), CallContext::new(Operation::Converse, route(model)))
}

fn answer(_: Request<()>) -> Ready<Result<Response<()>, Error>> {
    ready(Ok(Response::new((), Served::default(), None)))
}

fn pass<S>(service: &mut S, request: Request<()>) -> bool
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut call = pin!(service.call(request));
    match black_box(call.as_mut().poll(&mut cx)) {
        std::task::Poll::Ready(result) => result.is_ok(),
        std::task::Poll::Pending => panic!("the service answers at once"),
    }
}

fn slow_calls() -> CircuitBreakers {
    let policy = CircuitPolicy::new().with_slow_calls(Duration::from_secs(45), 0.5);
    CircuitBreakers::new()
        .with_policy(policy)
        .expect("a policy")
}

/// Circuits that know `routes` others already.
fn among(routes: usize) -> CircuitBreakers {
    let breakers = CircuitBreakers::new();
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .service_fn(answer);
    for number in 0..routes {
        let request = request(&format!("us.anthropic.claude-{number}"));
        assert!(pass(&mut service, request));
    }
    breakers
}

fn alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("circuit breaker");
    let request = request(MODEL);
    group.bench_function("no layer", |bencher| {
        let mut service = service_fn(answer);
        bencher.iter(|| assert!(pass(&mut service, request.clone())));
    });
    group.bench_function("clone of a request", |bencher| {
        bencher.iter(|| black_box(request.clone()));
    });
    for (name, breakers) in [
        ("closed", CircuitBreakers::new()),
        ("closed, slow calls count", slow_calls()),
        ("closed, eighth route", among(7)),
        ("closed, hundredth route", among(99)),
    ] {
        group.bench_function(name, |bencher| {
            let mut service = ServiceBuilder::new()
                .layer(CircuitBreakerLayer::new(breakers.clone()))
                .service_fn(answer);
            bencher.iter(|| assert!(pass(&mut service, request.clone())));
        });
    }
    group.bench_function("open", |bencher| {
        let breakers = CircuitBreakers::new();
        breakers.force_open(&route(MODEL));
        let mut service = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::new(breakers))
            .service_fn(answer);
        bencher.iter(|| assert!(!pass(&mut service, request.clone())));
    });
    group.finish();
}

fn together(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("circuit breaker, two threads");
    let bare = BoxCloneSyncService::new(service_fn(answer));
    let service = BoxCloneSyncService::new(
        ServiceBuilder::new()
            .layer(CircuitBreakerLayer::new(CircuitBreakers::new()))
            .service_fn(answer),
    );
    for (name, service, models) in [
        ("no layer", &bare, [MODEL, MODEL]),
        ("at one circuit", &service, [MODEL, MODEL]),
        ("at two circuits", &service, [MODEL, OTHER]),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|passes| {
                let start = WallTime.start();
                thread::scope(|scope| {
                    for model in models {
                        let mut service = service.clone();
                        scope.spawn(move || {
                            let request = request(model);
                            for _ in 0..passes {
                                assert!(pass(&mut service, request.clone()));
                            }
                        });
                    }
                });
                WallTime.end(start)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, alone, together);
criterion_main!(benches);
