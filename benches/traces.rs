//! What do spans cost a call: where nobody listens, where somebody listens to something else, and where
//! they are kept?

use std::{
    future::{Future, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Waker},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tower::{Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    CallContext, Error, Operation, Request, Response, Route, Served, Stack, TraceLayer,
};
use tracing_subscriber::{Registry, filter::LevelFilter, layer::SubscriberExt};

fn call<S>(service: &mut S, request: Request<()>)
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    let mut call = pin!(service.call(request));
    assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
}

fn traces(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().expect("a model id"));
    let request = Request::new((), CallContext::new(Operation::Converse, route));
    let answer = service_fn(|_: Request<()>| {
        ready(Ok::<_, Error>(Response::new((), Served::default(), None)))
    });
    let traced = || {
        ServiceBuilder::new()
            .layer(TraceLayer::calls())
            .layer(TraceLayer::attempts())
            .service(answer)
    };
    let stack = || Stack::over(answer, "us-east-1").without_metrics();

    let mut group = criterion.benchmark_group("traces");
    macro_rules! bench {
        ($name:literal, $service:expr) => {
            group.bench_function($name, |bencher| {
                let mut service = $service;
                bencher.iter(|| call(&mut service, request.clone()));
            });
        };
    }
    bench!("no layer", answer);
    bench!("call and attempt, nobody listens", traced());
    bench!(
        "stack without",
        stack().without_tracing().build().expect("a stack")
    );
    bench!("stack, nobody listens", stack().build().expect("a stack"));
    let errors_only = Registry::default().with(LevelFilter::ERROR);
    tracing::subscriber::with_default(errors_only, || {
        bench!("call and attempt, errors are listened to", traced());
    });
    let all = Registry::default().with(LevelFilter::TRACE);
    tracing::subscriber::with_default(all, || {
        bench!("call and attempt, spans are kept", traced());
    });
    group.finish();
}

criterion_group!(benches, traces);
criterion_main!(benches);
