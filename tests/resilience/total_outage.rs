//! What a process sends to a service that is gone (RELIABILITY.md §2.7, row 4).

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tower::{Layer, service_fn};
use tower_bedrock::{Cause, Error, Jitter, Request, Response, RetryBudget, RetryLayer, Served};

use crate::load::{Arrivals, request, run};

const OUTAGE: Duration = Duration::from_secs(60);

/// In an outage of a minute, at a hundred calls a second, a process makes as many retries as its
/// budget pays for and no more; 500 successes later the budget is full again.
#[tokio::test(start_paused = true)]
async fn retries_of_a_total_outage_are_bounded() {
    for (cause, most) in [(Cause::ServiceUnavailable, 35), (Cause::RequestRate, 100)] {
        let start = Instant::now();
        let attempts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&attempts);
        let gone = service_fn(move |_: Request<()>| {
            if start.elapsed() >= OUTAGE {
                return ready(Ok(Response::new((), Served::default(), None)));
            }
            counter.fetch_add(1, Ordering::Relaxed);
            ready(Err(Error::new(cause)))
        });
        let budget = RetryBudget::new();
        let stack = RetryLayer::new()
            .with_jitter(Jitter::seeded(7))
            .with_budget(budget.clone())
            .layer(gone);

        let even = Arrivals::Even { rate: 100.0 };
        let trace = run(stack.clone(), even, OUTAGE, request).await;
        let calls = trace.0.len();
        let retries = attempts.load(Ordering::Relaxed) - calls;
        println!("{cause}: {retries} retries of {calls} calls");
        assert!((most - 5..=most).contains(&retries), "{cause}: {retries}");

        run(stack, even, Duration::from_millis(5010), request).await;
        assert_eq!(budget.available(), budget.capacity(), "{cause}");
    }
}
