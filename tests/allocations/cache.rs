//! The cache and what shares attempts, for calls that they are not about.

use std::{future::ready, time::Duration};

use tower::{ServiceBuilder, service_fn};
use tower_bedrock::{
    CacheControl, CacheLayer, CallContext, CoalesceControl, CoalesceLayer, Error, Operation,
    Request, Response, Route, Served, Stack,
};

use crate::{CALLS, allocations, measure};

type Answer = Result<Response<()>, Error>;

fn answer(_: Request<()>) -> std::future::Ready<Answer> {
    ready(Ok(Response::new((), Served::default(), None)))
}

/// A call that neither is about passes both without touching the heap, whether it says so itself or the
/// rule does; one that they are about does not.
#[test]
fn a_call_that_is_not_kept_allocates_nothing() {
    let _measurement = measure();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let request = Request::new((), CallContext::new(Operation::Converse, route)).with_tenant("t");
    let cache = CacheLayer::new(1 << 20, Duration::from_secs(60)).unwrap();
    let coalesce = CoalesceLayer::new();

    let stack = ServiceBuilder::new()
        .layer(cache.clone())
        .layer(coalesce.clone())
        .service_fn(answer);
    assert_eq!(allocations(stack.clone(), &request), 0, "by rule");
    let bypass = request
        .clone()
        .with_cache(CacheControl::Bypass)
        .with_coalesce(CoalesceControl::Alone);
    assert_eq!(allocations(stack.clone(), &bypass), 0, "by its own wish");
    let shared = request.clone().with_coalesce(CoalesceControl::Share);
    assert!(allocations(stack.clone(), &shared) >= CALLS);
    // What is there is given again for nothing but its copy, which has nothing in it here, and what
    // moka does now and then.
    let kept = request.clone().with_cache(CacheControl::Use);
    assert!(allocations(stack, &kept) < CALLS / 50, "a hit");

    let stack = Stack::over(service_fn(answer), "us-east-1")
        .cache(cache)
        .coalesce(coalesce)
        .build()
        .unwrap();
    assert_eq!(allocations(stack, &request), 0, "in a stack");
}
