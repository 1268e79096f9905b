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
    Backoff, CallContext, Classifier, ClassifyLayer, Error, ErrorDetails, Operation, RawError,
    Request, RetryLayer, Route,
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

criterion_group!(benches, layers, parts);
criterion_main!(benches);
