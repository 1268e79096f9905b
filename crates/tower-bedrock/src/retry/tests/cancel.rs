use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Waker},
};

use super::*;
use crate::RetryBudget;

/// A service that takes a while, counts its attempts and those of them that are alive, and fails
/// twice before it answers.
#[derive(Clone, Default)]
struct Slow {
    alive: Arc<AtomicU32>,
    started: Arc<AtomicU32>,
}

struct Alive(Arc<AtomicU32>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slow {
    async fn answer(self) -> Result<&'static str, Error> {
        self.alive.fetch_add(1, Ordering::Relaxed);
        let _alive = Alive(self.alive);
        let earlier = self.started.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(secs(1)).await;
        if earlier % 3 < 2 {
            internal()
        } else {
            answered()
        }
    }
}

/// Dropped at any point of its life, a call leaves no attempt under way and pays only for the
/// retries that were sent; and the next call succeeds.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_at_any_point() {
    let mut cuts = 0;
    for polls in 0.. {
        let slow = Slow::default();
        let budget = RetryBudget::new();
        let inner = slow.clone();
        let service = seeded()
            .with_budget(budget.clone())
            .layer(service_fn(move |_: Request<()>| inner.clone().answer()));

        let finished = {
            let mut call = pin!(service.clone().oneshot(request()));
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
        assert_eq!(slow.alive.load(Ordering::Relaxed), 0, "after {polls} polls");
        if finished {
            break;
        }
        cuts += 1;
        let retries_sent = slow.started.load(Ordering::Relaxed).saturating_sub(1);
        assert_eq!(
            budget.available(),
            500 - 14 * retries_sent,
            "after {polls} polls"
        );

        assert_eq!(service.oneshot(request()).await.unwrap(), "answered");
        assert_eq!(slow.alive.load(Ordering::Relaxed), 0);
    }
    assert!(
        cuts > 30,
        "three attempts of a second each, polled every 100 ms: {cuts}"
    );
}
