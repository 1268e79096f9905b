//! What does it cost to be admitted, and to be settled, when nothing stands in the way?
//!
//! One whole pass of a call through the layer: find the ledger, estimate, admit, call a service that
//! is ready and answers at once, settle by its usage. Alone, and with a second thread at the same
//! ledger or at another one.

use std::{
    future::{Future, pending, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
    thread,
};

use criterion::{
    BatchSize, Criterion, criterion_group, criterion_main,
    measurement::{Measurement, WallTime},
};
use tower::{Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    CallContext, Error, Operation, Quota, QuotaPace, QuotaWindow, Quotas, Request, Response, Route,
    Served, TokenBudgetLayer, Usage,
};

const QUOTA: u64 = 1_000_000_000_000_000;

fn route(model: &str) -> Route {
    Route::to(model.parse().expect("a model id")).in_region("us-east-1")
}

fn request(model: &str) -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, route(model));
    call.tokens.input = Some(1000);
    call.tokens.max_output = Some(500);
    Request::new((), call)
}

fn answer(_: Request<()>) -> std::future::Ready<Result<Response<()>, Error>> {
    let usage = Usage {
        input: 1000,
        output: 100,
        ..Usage::default()
    };
    ready(Ok(Response::new((), Served::default(), Some(usage))))
}

fn pass<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut call = pin!(service.call(request));
    assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
}

const MODEL: &str = "us.anthropic.claude-sonnet-4-6";
const OTHER: &str = "us.amazon.nova-lite-v1:0";

fn quotas(quota: &Quota) -> Quotas {
    let quotas = Quotas::new();
    for model in [MODEL, OTHER] {
        let set = quotas.set(&route(model), quota.clone());
        set.expect("a valid quota");
    }
    quotas
}

fn alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token budget");
    let tokens = Quota::new().with_tokens_per_minute(QUOTA);
    let all = tokens
        .clone()
        .with_requests_per_minute(QUOTA)
        .with_tokens_per_day(QUOTA);
    let cases = [
        ("no quota", Quota::new()),
        ("tokens per minute", tokens.clone()),
        ("three limits", all.clone()),
        ("three limits and a pace", all.with_pace(QuotaPace::at(0.9))),
        (
            "token bucket",
            tokens.with_window(QuotaWindow::TokenBucket {
                burst: std::time::Duration::from_secs(60),
            }),
        ),
    ];
    let request = request(MODEL);
    group.bench_function("no layer", |bencher| {
        let mut service = service_fn(answer);
        bencher.iter(|| pass(&mut service, request.clone()));
    });
    for (name, quota) in cases {
        group.bench_function(name, |bencher| {
            let mut service = ServiceBuilder::new()
                .layer(TokenBudgetLayer::new(quotas(&quota)))
                .service_fn(answer);
            bencher.iter(|| pass(&mut service, request.clone()));
        });
    }
    group.finish();
}

/// Admission by itself: the first poll of a call whose service does not answer.
fn admission(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token budget, admission alone");
    let quota = Quota::new().with_tokens_per_minute(QUOTA);
    let request = request(MODEL);
    let unanswered = |_: Request<()>| pending::<Result<Response<()>, Error>>();
    let mut cx = Context::from_waker(Waker::noop());
    group.bench_function("no layer", |bencher| {
        let mut service = service_fn(unanswered);
        bencher.iter_batched_ref(
            || Box::pin(service.call(request.clone())),
            |call| assert!(call.as_mut().poll(&mut cx).is_pending()),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("tokens per minute", |bencher| {
        let mut service = ServiceBuilder::new()
            .layer(TokenBudgetLayer::new(quotas(&quota)))
            .service_fn(unanswered);
        bencher.iter_batched_ref(
            || Box::pin(service.call(request.clone())),
            |call| assert!(call.as_mut().poll(&mut cx).is_pending()),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn together(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token budget, two threads");
    for (name, models) in [
        ("at one ledger", [MODEL, MODEL]),
        ("at two ledgers", [MODEL, OTHER]),
    ] {
        let quota = Quota::new().with_tokens_per_minute(QUOTA);
        let service = ServiceBuilder::new()
            .layer(TokenBudgetLayer::new(quotas(&quota)))
            .service_fn(answer);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|passes| {
                let start = WallTime.start();
                thread::scope(|scope| {
                    for model in models {
                        let mut service = service.clone();
                        scope.spawn(move || {
                            let request = request(model);
                            for _ in 0..passes {
                                pass(&mut service, request.clone());
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

criterion_group!(benches, alone, admission, together);
criterion_main!(benches);
