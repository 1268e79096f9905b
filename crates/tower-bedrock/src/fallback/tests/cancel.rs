//! A call can be dropped at any point.

use std::{
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::Waker,
};

use super::*;
use crate::{CircuitBreakerLayer, CircuitBreakers, Quota, Quotas, RetryLayer, TokenBudgetLayer};

/// Dropped at any point of its life, a call leaves nothing under way, no place taken of a cap beyond
/// what was sent, and no hold but for what was; and the next call is answered.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_any_point() {
    struct Alive(Arc<AtomicU32>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    let mut cuts = 0;
    for polls in 0.. {
        let alive = Arc::new(AtomicU32::new(0));
        let sent = Arc::new(AtomicU32::new(0));
        let (counted, started) = (Arc::clone(&alive), Arc::clone(&sent));
        let bed = tower::service_fn(move |request: Request<()>| {
            let (alive, sent) = (Arc::clone(&counted), Arc::clone(&started));
            async move {
                alive.fetch_add(1, Ordering::Relaxed);
                let _alive = Alive(alive);
                sent.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(500)).await;
                match &request.context().route.region {
                    Some(region) if region.as_str() == "us-east-2" => {
                        Ok(Response::new((), Served::default(), None))
                    }
                    _ => Err(Error::new(Cause::Internal)),
                }
            }
        });
        let quotas = Quotas::new();
        let quota = Quota::new().with_requests_per_minute(100);
        for region in ["us-east-1", "us-west-2", "us-east-2"] {
            let route = route("m.x").in_region(region);
            quotas.set(&route, quota.clone()).unwrap();
        }
        let breakers = CircuitBreakers::new();
        let ladder = Ladder::regions(["us-west-2"])
            .then(Rung::in_region("us-east-2").with_max_per_second(1.0));
        let layer = FallbackLayer::new(ladder)
            .unwrap()
            .with_gate(breakers.clone())
            .with_gate(quotas.clone());
        let service = layer.layer(
            RetryLayer::new()
                .with_jitter(crate::Jitter::seeded(7))
                .layer(
                    CircuitBreakerLayer::new(breakers)
                        .layer(TokenBudgetLayer::new(quotas.clone()).layer(bed)),
                ),
        );

        let finished = {
            let mut call = pin!(service.clone().oneshot(request("m.x@us-east-1")));
            let mut finished = false;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                finished = call.as_mut().poll(&mut cx).is_ready();
                if finished {
                    break;
                }
                tokio::time::advance(Duration::from_millis(100)).await;
            }
            finished
        };
        assert_eq!(alive.load(Ordering::Relaxed), 0, "after {polls} polls");
        let drawn: u64 = quotas.snapshot().iter().map(|key| key.requests_used).sum();
        assert_eq!(drawn, u64::from(sent.load(Ordering::Relaxed)));
        if finished {
            break;
        }
        cuts += 1;
        tokio::time::advance(secs(1)).await;
        let response = service.oneshot(request("m.x@us-east-1")).await.unwrap();
        assert_eq!(response.served().route_index, 2);
    }
    assert!(cuts > 35, "seven attempts of half a second: {cuts}");
}
