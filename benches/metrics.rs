//! What does it cost to be counted?
//!
//! The two layers that count, and a stack with and without them: where no recorder is installed, and
//! with Prometheus.

use std::{
    future::{Future, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
};

use criterion::{Criterion, criterion_group, criterion_main};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tower::{Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    BedrockRequest, CallContext, Cause, Error, Operation, Quota, Request, Response, Route, Served,
    Stack, Usage,
    metrics::{AttemptMetricsLayer, CallMetricsLayer, Metric, Metrics},
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

fn counting(criterion: &mut Criterion) {
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

criterion_group!(benches, counting);
criterion_main!(benches);
