use std::{pin::pin, task::Waker};

use super::*;
use crate::Pools;

/// Dropped at any point of its life, a call through the whole stack leaves nothing under way, no
/// place in line and no probe, and the next call is answered.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_any_point() {
    let mut cuts = 0;
    for polls in 0.. {
        let service = Regions::default();
        service.take(Duration::from_secs(1));
        service.fail(None, Some(Cause::Internal));
        let stack = Stack::over(service.clone(), HOME)
            .quota(route(), Quota::new().with_requests_per_minute(2))
            .pool(Pools::new().with_home_region(HOME).with_max_in_flight(1))
            .retry(RetryLayer::new().with_jitter(Jitter::seeded(7)))
            .fallback(to_second())
            .build()
            .unwrap();

        let is_over = {
            let mut call = pin!(stack.send(request()));
            let mut is_over = false;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                is_over = call.as_mut().poll(&mut cx).is_ready();
                if is_over {
                    break;
                }
                tokio::time::advance(Duration::from_millis(200)).await;
            }
            is_over
        };
        assert_eq!(service.alive(), 0, "after {polls} polls");
        let own = stack.quotas().unwrap().snapshot_of(&route());
        assert_eq!(
            (own.waiting, own.tokens_waiting),
            (0, 0),
            "after {polls} polls"
        );
        for pool in stack.pools().unwrap().snapshot() {
            assert_eq!(
                (pool.in_flight, pool.waiting),
                (0, 0),
                "after {polls} polls"
            );
        }
        for circuit in stack.breakers().unwrap().snapshot() {
            assert_eq!(circuit.probes, 0);
        }
        if is_over {
            break;
        }
        cuts += 1;
        let retries = service
            .sent_to()
            .iter()
            .filter(|to| *to == "-")
            .count()
            .saturating_sub(1);
        let available = stack.retry_budget().unwrap().available();
        assert_eq!(available, 500 - 14 * retries as u32, "after {polls} polls");

        let response = stack.send(request()).await.unwrap();
        assert_eq!(response.served().route_index, 1);
        assert_eq!(service.alive(), 0);
    }
    assert!(cuts > 10, "{cuts}");
}
