//! What a call costs that waits for its quota.

use std::{
    future::{Future, ready},
    task::{Context, Waker},
    time::Duration,
};

use tower::{Service, ServiceBuilder};
use tower_bedrock::{
    CallContext, Error, Operation, Quota, Quotas, Request, Response, Route, Served,
    TokenBudgetLayer,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const WAITING: usize = 100_000;

/// 100 000 calls of 100 tenants wait for one ledger, in at most 512 bytes each beside their futures,
/// and leave nothing behind.
#[test]
fn a_call_in_line_is_small() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_minute(1000);
    quotas.set(&route, quota).unwrap();
    let layer =
        TokenBudgetLayer::new(quotas.clone()).with_max_wait(Duration::from_secs(1_000_000_000));
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .service_fn(|_: Request<()>| {
            ready(Ok::<_, Error>(Response::new((), Served::default(), None)))
        });
    let mut call = CallContext::new(Operation::Converse, route.clone());
    call.tokens.input = Some(1000);
    call.tokens.max_output = Some(0);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut cx = Context::from_waker(Waker::noop());
    let mut calls: Vec<_> = (0..=WAITING)
        .map(|number| {
            let tenant = format!("tenant {}", number % 100);
            let request = Request::new((), call.clone()).with_tenant(tenant);
            Box::pin(service.call(request))
        })
        .collect();
    let before = dhat::HeapStats::get().curr_bytes;
    calls.retain_mut(|call| call.as_mut().poll(&mut cx).is_pending());
    let in_line = dhat::HeapStats::get().curr_bytes - before;
    let snapshot = quotas.snapshot_of(&route);
    assert_eq!(snapshot.waiting, WAITING);
    assert_eq!(snapshot.tokens_waiting, 1000 * WAITING as u64);
    let each = in_line / WAITING;
    assert!((32..=512).contains(&each), "{each} bytes");

    drop(calls);
    assert_eq!(quotas.snapshot_of(&route).waiting, 0);
    let left = dhat::HeapStats::get().curr_bytes.saturating_sub(before);
    assert!(left < 100_000, "{left} bytes");
}
