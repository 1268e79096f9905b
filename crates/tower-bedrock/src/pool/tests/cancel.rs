use std::{
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};

use tokio_test::task::spawn;
use tower::ServiceExt;

use super::*;

/// A service that becomes ready at the second look.
#[derive(Debug)]
struct SlowToReady<S> {
    inner: S,
    looks: u32,
}

impl<S: Clone> Clone for SlowToReady<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            looks: 0,
        }
    }
}

impl<S: Service<Request<()>>> Service<Request<()>> for SlowToReady<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.looks += 1;
        if self.looks < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<()>) -> S::Future {
        assert!(self.looks >= 2, "called before it was ready");
        self.inner.call(request)
    }
}

/// Dropped after any number of polls, in line or in flight, a call leaves nothing behind, and the
/// next one goes.
#[tokio::test(start_paused = true)]
async fn dropping_a_call_anywhere_frees_its_place() {
    for others in [0, 1, 3] {
        for polls in 0..12 {
            let pools = Pools::new().with_max_in_flight(1);
            let inner = SlowToReady {
                inner: steady(secs(2)),
                looks: 0,
            };
            let service = over(&pools, inner);
            for _ in 0..others {
                tokio::spawn(service.clone().oneshot(request()));
            }
            settle_tasks().await;
            let mut victim = spawn(service.clone().oneshot(request()));
            for _ in 0..polls {
                if victim.poll().is_ready() {
                    break;
                }
                sleep(Duration::from_millis(900)).await;
            }
            let later = tokio::spawn(service.clone().oneshot(request()));
            settle_tasks().await;
            drop(victim);
            later.await.unwrap().unwrap();
            let PoolSnapshot {
                in_flight, waiting, ..
            } = snapshot(&pools);
            assert_eq!(
                (in_flight, waiting),
                (0, 0),
                "{others} others, {polls} polls"
            );
        }
    }
}

/// One who was granted a place and goes away without it passes it on.
#[tokio::test(start_paused = true)]
async fn a_granted_place_is_passed_on() {
    let pools = Pools::new().with_max_in_flight(1);
    let service = over(&pools, steady(secs(2)));
    let first = tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    let mut second = spawn(service.clone().oneshot(request()));
    assert!(second.poll().is_pending());
    let third = tokio::spawn(service.clone().oneshot(request()));
    first.await.unwrap().unwrap();
    assert!(second.is_woken());
    let start = Instant::now();
    drop(second);
    third.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), secs(2));
}

/// A place is given back when the inner future panics, and when the inner service breaks.
#[tokio::test(start_paused = true)]
async fn a_panic_frees_the_place() {
    let pools = Pools::new().with_max_in_flight(1);
    let calls = Arc::new(AtomicU32::new(0));
    let service = service_fn(move |_: Request<()>| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        async move {
            assert!(call > 0, "on purpose");
            Ok::<_, Error>(answer())
        }
    });
    let service = over(&pools, service);
    let panicked = tokio::spawn(service.clone().oneshot(request())).await;
    assert!(panicked.unwrap_err().is_panic());
    service.oneshot(request()).await.unwrap();
    assert_eq!(snapshot(&pools).in_flight, 0);
}
