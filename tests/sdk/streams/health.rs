use bedrock_sim::{ErrorText, FaultKind, FaultSpec};
use tower_bedrock::{Cause, CircuitBreakerLayer, CircuitBreakers, CircuitPolicy, CircuitState};
use tower_bedrock_tests::{MODEL, converse_stream, faulty, scenario};

use super::*;

/// What the circuit of the route has come to after twenty streams, of which `taken` events are read
/// each; and whether the next call is let through.
async fn circuit_after(sim: &SimService, taken: u64) -> (CircuitState, bool) {
    let policy = CircuitPolicy::new().with_min_calls(10);
    let breakers = CircuitBreakers::new().with_home_region(REGION);
    let breakers = breakers.with_policy(policy).expect("a valid policy");
    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .layer(ClassifyLayer::new())
        .service(bedrock(sim));
    for _ in 0..20 {
        let request = Request::from(converse_stream(MODEL));
        let Ok(mut stream) = stack.clone().oneshot(request).await else {
            break;
        };
        for _ in 0..taken {
            let _event = stream.next().await;
        }
    }
    let next = stack.oneshot(Request::from(converse_stream(MODEL))).await;
    let is_refused = next.is_err_and(|error| error.cause() == Cause::CircuitOpen);
    let state = breakers.state(&route());
    (state, !is_refused)
}

/// Streams that begin well and break later open the circuit of their route, as failed calls do.
#[tokio::test(start_paused = true)]
async fn streams_that_break_open_the_circuit() {
    let sim = faulty(FaultSpec::new(FaultKind::StreamException {
        after_events: 4,
        error: ErrorText::InternalServer.into(),
    }));
    let (state, is_let_through) = circuit_after(&sim, 10).await;
    assert!(!is_let_through, "{state:?}");
}

/// Streams that the caller drops half way say nothing of the route, be it healthy or sick; nor do
/// those that a quota ends.
#[tokio::test(start_paused = true)]
async fn streams_that_are_dropped_open_no_circuit() {
    let healthy = SimService::new(scenario().build().expect("a valid scenario"));
    let sick = faulty(FaultSpec::new(FaultKind::StreamCut { after_events: 6 }));
    let throttled = faulty(FaultSpec::new(FaultKind::StreamException {
        after_events: 4,
        error: ErrorText::TokensPerMinute.into(),
    }));
    for (sim, taken) in [(healthy, 3), (sick, 3), (throttled, 10)] {
        let (state, is_let_through) = circuit_after(&sim, taken).await;
        assert!(is_let_through, "{state:?}");
    }
}
