//! Other routes, and what is told of those that failed.

use std::error::Error as _;

use tokio::time::Instant;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_bedrock::{
    BedrockResponse, Cause, CircuitOpen, FallbackExhausted, FallbackLayer, Ladder, Stack,
};
use tower_bedrock_tests::{
    REGION,
    probe::{Play, Probe, Readiness},
};

use crate::{always, request, route, secs};

fn layer() -> FallbackLayer {
    let ladder = Ladder::regions(["us-west-2", "us-east-2"]);
    FallbackLayer::new(ladder).expect("a sound ladder")
}

/// Row "fallback": the primary error is lost.
#[tokio::test(start_paused = true)]
async fn no_error_is_lost() {
    let probe = Probe::new(Readiness::AtOnce, |call, _| {
        let region = call.route.region.as_ref().map(|region| region.as_str());
        let cause = match region {
            Some(REGION) => Cause::ModelOverloaded,
            Some("us-west-2") => Cause::CapacityExceeded,
            _ => Cause::ServiceUnavailable,
        };
        Play::failure(secs(0), cause)
    });
    let service = ServiceBuilder::new().layer(layer()).service(probe);
    let error = service.oneshot(request()).await.expect_err("all fail");
    assert_eq!(error.cause(), Cause::ServiceUnavailable);
    let others = FallbackExhausted::of(&error).expect("the routes before");
    let causes: Vec<_> = others
        .errors()
        .iter()
        .map(tower_bedrock::Error::cause)
        .collect();
    assert_eq!(causes, [Cause::ModelOverloaded, Cause::CapacityExceeded]);
}

/// Row "fallback": all fallbacks behind one lock. A hundred calls that fall back take as long as one.
#[tokio::test(start_paused = true)]
async fn calls_fall_back_side_by_side() {
    let probe = Probe::new(Readiness::AtOnce, |call, _| {
        match call.route.region.as_ref().map(|region| region.as_str()) {
            Some(REGION) => Play::failure(secs(1), Cause::ModelOverloaded),
            _ => Play::whole(secs(1)),
        }
    });
    let service = layer().layer(probe);
    let start = Instant::now();
    let calls = (0..100).map(|_| service.clone().oneshot(request()));
    for reply in futures_util::future::join_all(calls).await {
        assert_eq!(reply.expect("the second answers").served().route_index, 1);
    }
    assert_eq!(start.elapsed(), secs(2));
}

/// Row "errors": five generic wrappers nest, `source()` is not implemented, no retry-after. Through
/// the whole stack an error is one type, that tells its cause, its source, and when to try again.
#[tokio::test(start_paused = true)]
async fn one_error_tells_all() {
    let stack = Stack::over(always(Play::whole(secs(0))), REGION).build();
    let stack = stack.expect("a sound stack");
    let breakers = stack.breakers().expect("it has circuits");
    let down = always(Play::failure(secs(0), Cause::ServiceUnavailable));
    let failing = Stack::over(down, REGION)
        .circuit_breaker(breakers.clone())
        .build()
        .expect("a sound stack");
    for _ in 0..10 {
        let failed = failing.send(request()).await;
        failed.expect_err("it is down");
    }
    // It has no time to wait for the circuit.
    let hasty = request().with_timeout(secs(1));
    let error: tower_bedrock::Error = stack.send(hasty).await.expect_err("it is open");
    assert_eq!(error.cause(), Cause::CircuitOpen);
    assert_eq!(error.route(), Some(&route()));
    let wait = error.retry_after().expect("it says when");
    assert!(wait > secs(0) && wait <= secs(60), "{wait:?}");
    let source = error.source().expect("it has a source");
    assert!(source.is::<CircuitOpen>());
    assert!(source.source().is_none(), "nothing nests");
}
