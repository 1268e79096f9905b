//! The layers, each for itself and as a stack.

use std::{
    future::ready,
    pin::Pin,
    task::{Context, Poll},
};

use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    AdaptiveLimit, BedrockRequest, CallContext, Cause, CircuitBreakerLayer, CircuitBreakers,
    CircuitPolicy, ClassifyLayer, Error, FallbackLayer, Ladder, Operation, Passage, PoolKey,
    PoolLayer, Pools, Quota, QuotaPace, Quotas, Request, Response, RetryLayer, Route, RouteGate,
    Served, Stack, TokenBudgetLayer, Usage,
};

use crate::{CALLS, ROUNDS, allocations, measure};

/// A gate that is closed for one region.
struct Closed(&'static str);

impl RouteGate for Closed {
    fn ask(&self, _: &CallContext, route: &Route, _: tokio::time::Instant) -> Passage {
        match &route.region {
            Some(region) if region.as_str() == self.0 => Passage::Closed {
                cause: Cause::CircuitOpen,
                retry_in: None,
            },
            _ => Passage::Open,
        }
    }
}

/// Retry, classify and token budget pass an answered call through without touching the heap; the
/// measurement itself sees what does.
#[test]
fn an_answered_call_allocates_nothing() {
    let _measurement = measure();
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

    let answer = |_: Request<()>| ready(Ok::<_, Error>(Response::new((), Served::default(), None)));
    // A circuit comes into being with its first call, in a round that is not the quietest. With slow
    // calls there is a clock for each call, and nothing else.
    let breakers = CircuitBreakers::new();
    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .service_fn(answer);
    assert_eq!(allocations(stack, &request), 0);
    let snapshot = breakers.snapshot_of(&request.context().route);
    assert_eq!(u64::from(snapshot.calls), ROUNDS * CALLS);
    let policy = CircuitPolicy::new().with_slow_calls(std::time::Duration::from_secs(45), 0.5);
    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(
            CircuitBreakers::new().with_policy(policy).unwrap(),
        ))
        .service_fn(answer);
    assert_eq!(allocations(stack, &request), CALLS);

    // A pool comes into being with its first call; a place is taken, watched and given back in place.
    // So it is under a budget, which leaves a signal with each call.
    let adaptive = AdaptiveLimit::between(1, 50).unwrap();
    for pools in [Pools::new(), Pools::new().with_adaptive_limit(adaptive)] {
        let stack = ServiceBuilder::new()
            .layer(PoolLayer::new(pools.clone()))
            .service_fn(answer);
        assert_eq!(allocations(stack, &request), 0);
        assert_eq!(pools.snapshot()[0].admitted, ROUNDS * CALLS);
    }
    let stack = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .layer(PoolLayer::new(Pools::new()))
        .service_fn(|_: Request<()>| {
            let usage = Usage::default();
            ready(Ok::<_, Error>(Response::new(
                (),
                Served::default(),
                Some(usage),
            )))
        });
    assert_eq!(allocations(stack, &request), 0);

    // A fallback asks the circuits and quotas of its routes, and keeps what it needs in place.
    for (closed, index) in [("nowhere", 0), ("us-east-1", 1)] {
        let layer = FallbackLayer::new(Ladder::regions(["us-west-2", "us-east-2"]))
            .unwrap()
            .with_gate(CircuitBreakers::new())
            .with_gate(quotas.clone())
            .with_gate(Closed(closed));
        let stack = layer.layer(service_fn(|request: Request<()>| {
            let mut served = Served::default();
            served.route.clone_from(&request.context().route);
            ready(Ok::<_, Error>(Response::new((), served, None)))
        }));
        let mut first = std::pin::pin!(stack.clone().call(request.clone()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            first.as_mut().poll(&mut cx),
            Poll::Ready(Ok(response)) if response.served().route_index == index
        ));
        assert_eq!(allocations(stack, &request), 0, "{closed} is closed");
    }

    let boxed = service_fn(|request: Request<()>| -> Pin<Box<dyn Future<Output = _>>> {
        Box::pin(async move {
            drop(request);
            Ok(())
        })
    });
    assert_eq!(allocations(boxed, &request), CALLS);
}

/// The whole recommended stack, with a quota and a ladder, passes an answered call through without
/// touching the heap; a deadline costs nothing as long as the call need not wait.
#[test]
fn the_whole_stack_allocates_nothing() {
    let _measurement = measure();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap());
    let request = Request::new((), CallContext::new(Operation::Converse, route.clone()));
    let usage = Usage {
        input: 10,
        output: 10,
        ..Usage::default()
    };
    let answer = service_fn(move |request: Request<()>| {
        let mut served = Served::default();
        served.route.clone_from(&request.context().route);
        ready(Ok::<_, Error>(Response::new((), served, Some(usage))))
    });
    let quota = Quota::new()
        .with_tokens_per_minute(1_000_000_000)
        .with_requests_per_minute(1_000_000);
    let stack = Stack::over(answer, "us-east-1")
        .quota(route.clone(), quota)
        .fallback(FallbackLayer::new(Ladder::regions(["us-west-2"])).unwrap())
        .build()
        .unwrap();
    assert_eq!(allocations(stack.clone(), &request), 0);
    let calls = ROUNDS * CALLS;
    assert_eq!(
        stack.quotas().unwrap().snapshot_of(&route).tokens_used,
        20 * calls
    );
    assert_eq!(
        u64::from(stack.breakers().unwrap().snapshot_of(&route).calls),
        calls
    );
    assert_eq!(
        stack
            .pools()
            .unwrap()
            .snapshot_of(&PoolKey::region("us-east-1"))
            .in_flight,
        0
    );
}
