use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use bedrock_sim::SimService;
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, ClassifyLayer, Quota, Quotas, Request, RetryLayer, Route, TokenBudgetLayer,
};
use tower_bedrock_tests::{MODEL, converse, in_process, model};

/// Dropped at any point of its life, a call through the whole stack leaves nothing in flight at the
/// service, and the next call is answered.
#[tokio::test(start_paused = true)]
async fn a_call_through_the_stack_can_be_dropped_at_any_point() {
    let mut cuts = 0;
    for polls in 0.. {
        let slow = model().latency(Duration::from_millis(500)).concurrency(1);
        let scenario = bedrock_sim::Scenario::builder().model(slow).build();
        let sim = SimService::new(scenario.expect("a valid scenario"));
        let quotas = Quotas::new();
        let route = Route::to(MODEL.parse().expect("a model id"));
        let quota = Quota::new().with_tokens_per_minute(10_000);
        quotas.set(&route, quota).expect("a valid quota");
        let stack = ServiceBuilder::new()
            .layer(RetryLayer::new())
            .layer(TokenBudgetLayer::new(quotas.clone()))
            .layer(ClassifyLayer::new())
            .service(Bedrock::from_builder(in_process(&sim)));

        let finished = {
            let mut call = pin!(stack.clone().oneshot(Request::from(converse(MODEL))));
            let mut finished = false;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                finished = call.as_mut().poll(&mut cx).is_ready();
                if finished {
                    break;
                }
                tokio::time::advance(Duration::from_millis(50)).await;
            }
            finished
        };
        let counts = sim.ledger().totals;
        assert_eq!(
            (counts.in_flight, counts.tokens_held),
            (0, 0),
            "after {polls} polls"
        );
        if finished {
            break;
        }
        cuts += 1;
        // The one slot is free again.
        let next = stack.oneshot(Request::from(converse(MODEL))).await;
        assert!(next.is_ok(), "after {polls} polls: {next:?}");
        assert_eq!(quotas.snapshot_of(&route).waiting, 0);
    }
    assert!(
        cuts > 5,
        "an answer takes half a second, polled every 50 ms: {cuts}"
    );
}
