//! The quiet path costs nothing: a layer that has nothing to do allocates nothing.

use std::{future::ready, hint::black_box};

use tower::{Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    BedrockRequest, CallContext, ClassifyLayer, Error, Operation, Quota, QuotaPace, Quotas,
    Request, Response, RetryLayer, Route, Served, TokenBudgetLayer, Usage,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const CALLS: u64 = 1000;

/// The test harness has threads of its own, which allocate when they like: what a call allocates is
/// there in every round, what they do is not.
const ROUNDS: u64 = 8;

/// What `CALLS` calls of `service` allocate, in the quietest of some rounds.
fn allocations<S>(mut service: S, request: &Request<()>) -> u64
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut round = || {
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..CALLS {
            assert!(service.poll_ready(&mut cx).is_ready());
            let mut call = std::pin::pin!(service.call(request.clone()));
            assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
        }
        dhat::HeapStats::get().total_blocks - before
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or(u64::MAX)
}

/// Retry, classify and token budget pass an answered call through without touching the heap; the
/// measurement itself sees what does.
#[test]
fn an_answered_call_allocates_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let request = Request::new((), CallContext::new(Operation::Converse, route)).with_tenant("t");

    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(ClassifyLayer::new().with_rule(|_| None))
        .service_fn(|_: Request<()>| ready(Ok::<(), Error>(())));
    assert_eq!(allocations(stack, &request), 0);

    // A ledger comes into being with its quota; admission and settlement take it as it is.
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_tokens_per_minute(1_000_000_000)
        .with_requests_per_minute(1_000_000)
        .with_tokens_per_day(1_000_000_000)
        .with_pace(QuotaPace::at(1.0).with_burst(std::time::Duration::from_secs(60)));
    quotas.set(&request.context().route, quota).unwrap();
    let stack = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .service_fn(|_: Request<()>| {
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
    assert_eq!(allocations(stack, &request), 0);
    let snapshot = quotas.snapshot_of(&request.context().route);
    assert_eq!(snapshot.tokens_used, ROUNDS * CALLS * 20);

    let boxed = service_fn(
        |request: Request<()>| -> std::pin::Pin<Box<dyn Future<Output = _>>> {
            Box::pin(async move {
                drop(request);
                Ok(())
            })
        },
    );
    assert_eq!(allocations(boxed, &request), CALLS);
}
