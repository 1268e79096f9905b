//! What do the layers cost a call that they have nothing to do for?
//!
//! Ratios to a ready service and to one boxed future, in one run.

use std::{
    future::{Future, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tower::{Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    Backoff, BedrockRequest, CallContext, Cause, CircuitBreakers, Classifier, ClassifyLayer, Error,
    ErrorDetails, FallbackLayer, Ladder, Operation, Pools, Quota, Quotas, RawError, Request,
    Response, RetryLayer, Route, Served, Stack, TokenBudgetLayer, Usage,
};

fn request() -> Request<()> {
    let model = "us.amazon.nova-lite-v1:0".parse().expect("a model id");
    let route = Route::to(model).in_region("us-east-1");
    Request::new((), CallContext::new(Operation::Converse, route))
}

fn call<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut call = pin!(service.call(request));
    assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
}

fn layers(criterion: &mut Criterion) {
    let answer = |_: Request<()>| ready(Ok::<(), Error>(()));
    let request = request();
    let mut group = criterion.benchmark_group("quiet path");
    group.bench_function("clone of a request", |bencher| {
        bencher.iter(|| black_box(request.clone()));
    });
    group.bench_function("no layer", |bencher| {
        let mut service = service_fn(answer);
        bencher.iter(|| call(&mut service, request.clone()));
    });
    group.bench_function("no layer, boxed future", |bencher| {
        let mut service = service_fn(|request: Request<()>| {
            let future: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
                drop(request);
                Ok::<(), Error>(())
            });
            future
        });
        bencher.iter(|| call(&mut service, request.clone()));
    });
    group.bench_function("classify", |bencher| {
        let mut service = ServiceBuilder::new()
            .layer(ClassifyLayer::new())
            .service_fn(answer);
        bencher.iter(|| call(&mut service, request.clone()));
    });
    group.bench_function("retry", |bencher| {
        let mut service = ServiceBuilder::new()
            .layer(RetryLayer::new())
            .service_fn(answer);
        bencher.iter(|| call(&mut service, request.clone()));
    });
    group.bench_function("retry and classify", |bencher| {
        let mut service = ServiceBuilder::new()
            .layer(RetryLayer::new())
            .layer(ClassifyLayer::new())
            .service_fn(answer);
        bencher.iter(|| call(&mut service, request.clone()));
    });
    group.finish();
}

/// The recommended stack, layer by layer from the inside: the last has all six, a quota, a ladder and
/// a deadline.
fn stack(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let request = request();
    let route = request.context().route.clone();
    let answer = service_fn(|request: Request<()>| {
        let mut served = Served::default();
        served.route.clone_from(&request.context().route);
        ready(Ok::<_, Error>(Response::new((), served, None)))
    });
    let bare = || {
        Stack::over(answer, "us-east-1")
            .without_fallback()
            .without_retry()
            .without_circuit_breaker()
            .without_token_budget()
            .without_pool()
            .without_metrics()
            .without_tracing()
            .without_timeout()
    };
    let quota = || Quota::new().with_tokens_per_minute(1_000_000_000_000);
    let budget = || TokenBudgetLayer::new(Quotas::new().with_home_region("us-east-1"));
    let breakers = || CircuitBreakers::new().with_home_region("us-east-1");
    let pools = || Pools::new().with_home_region("us-east-1");
    let fallback = || FallbackLayer::new(Ladder::regions(["us-west-2"])).expect("a ladder");
    let mut group = criterion.benchmark_group("stack");
    macro_rules! bench {
        ($name:literal, $builder:expr) => {
            group.bench_function($name, |bencher| {
                let mut service = $builder.build().expect("a stack that can be meant");
                bencher.iter(|| call(&mut service, request.clone()));
            });
        };
    }
    bench!("no layer", bare().without_classify());
    bench!("classify", bare());
    bench!("… pool", bare().pool(pools()));
    bench!(
        "… token budget",
        bare()
            .pool(pools())
            .token_budget(budget())
            .quota(route.clone(), quota())
    );
    bench!(
        "… circuit breaker",
        bare()
            .pool(pools())
            .token_budget(budget())
            .quota(route.clone(), quota())
            .circuit_breaker(breakers())
    );
    bench!(
        "… retry",
        bare()
            .pool(pools())
            .token_budget(budget())
            .quota(route.clone(), quota())
            .circuit_breaker(breakers())
            .retry(RetryLayer::new())
    );
    bench!(
        "all six, without a deadline",
        Stack::over(answer, "us-east-1")
            .quota(route.clone(), quota())
            .fallback(fallback())
            .without_timeout()
    );
    bench!(
        "all six",
        Stack::over(answer, "us-east-1")
            .quota(route.clone(), quota())
            .fallback(fallback())
    );
    group.finish();
}

/// What counting costs: the two layers that do, and a stack with and without them; where no recorder is
/// installed, and with Prometheus.
#[cfg(feature = "metrics")]
fn metrics(criterion: &mut Criterion) {
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    use tower_bedrock::metrics::{AttemptMetricsLayer, CallMetricsLayer, Metric, Metrics};

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let answer = service_fn(|_: Request<()>| {
        let usage = Usage {
            input: 10,
            output: 10,
            ..Usage::default()
        };
        ready(Ok::<_, Error>(Response::new(
            (),
            Served::default(),
            Some(usage),
        )))
    });
    let throttle = service_fn(|_: Request<()>| {
        let error = Error::new(Cause::RequestRate);
        ready(Err::<Response<()>, _>(error))
    });
    let mut prometheus = PrometheusBuilder::new();
    for metric in Metric::all() {
        if let Some(buckets) = metric.buckets() {
            let name = Matcher::Full(metric.name.to_owned());
            prometheus = prometheus
                .set_buckets_for_metric(name, buckets)
                .expect("buckets");
        }
    }
    let prometheus = prometheus.build_recorder();
    let request = request();
    let quota = || Quota::new().with_tokens_per_minute(1_000_000_000_000);
    let stack = || {
        Stack::over(answer, "us-east-1")
            .quota(request.context().route.clone(), quota())
            .without_tracing()
    };
    let counted = || {
        let metrics = Metrics::new();
        ServiceBuilder::new()
            .layer(CallMetricsLayer::new(metrics.clone()))
            .layer(AttemptMetricsLayer::new(metrics))
    };

    let mut group = criterion.benchmark_group("metrics");
    macro_rules! bench {
        ($name:literal, $service:expr) => {
            group.bench_function($name, |bencher| {
                let mut service = $service;
                bencher.iter(|| call(&mut service, request.clone()));
            });
        };
    }
    bench!("no layer", answer);
    bench!("calls and attempts", counted().service(answer));
    bench!("calls and attempts, throttled", counted().service(throttle));
    bench!(
        "stack without",
        stack().without_metrics().build().expect("a stack")
    );
    bench!("stack", stack().build().expect("a stack"));
    let _guard = metrics::set_default_local_recorder(&prometheus);
    let handle = prometheus.handle();
    bench!("calls and attempts, Prometheus", counted().service(answer));
    handle.run_upkeep();
    bench!(
        "calls and attempts, throttled, Prometheus",
        counted().service(throttle)
    );
    handle.run_upkeep();
    bench!("stack, Prometheus", stack().build().expect("a stack"));
    handle.run_upkeep();
    let stack = stack().build().expect("a stack");
    group.bench_function("report of a stack, Prometheus", |bencher| {
        bencher.iter(|| stack.report_metrics());
    });
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parts");
    group.bench_function("classify a throttle", |bencher| {
        let classifier = Classifier::default();
        let throttle = || {
            let mut details = ErrorDetails::default();
            details.code = Some("ThrottlingException".to_owned());
            details.status = Some(429);
            details.message = Some("Too many tokens, please wait before trying again.".to_owned());
            RawError::Answered(Box::new(details))
        };
        bencher.iter_with_setup(throttle, |raw| classifier.classify(raw));
    });
    group.bench_function("draw a wait", |bencher| {
        use rand::{SeedableRng, rngs::StdRng};
        let mut rng = StdRng::seed_from_u64(7);
        let backoff = Backoff::new(
            std::time::Duration::from_secs(1),
            std::time::Duration::from_secs(60),
        );
        bencher.iter(|| backoff.draw(black_box(3), &mut rng));
    });
    group.finish();
}

criterion_group!(benches, layers, stack, parts);
#[cfg(feature = "metrics")]
criterion_group!(counting, metrics);
#[cfg(feature = "metrics")]
criterion_main!(benches, counting);
#[cfg(not(feature = "metrics"))]
criterion_main!(benches);
