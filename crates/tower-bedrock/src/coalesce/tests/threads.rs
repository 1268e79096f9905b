use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    thread,
};

use super::*;

/// Waits until it is polled again.
async fn pause() {
    let mut is_over = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// On many threads, with calls that are dropped in between, everybody who stays is answered, every attempt
/// is charged at most once, and in the end nothing is under way.
#[test]
fn nobody_is_forgotten() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 300;
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let inner = tower::service_fn(move |_: Request<Question>| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            for _ in 0..attempt % 4 {
                pause().await;
            }
            says("one")
        }
    });
    let layer = CoalesceLayer::new();
    let service = layer.layer(inner);
    let charged = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (service, charged) = (service.clone(), &charged);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mut call = Box::pin(service.clone().oneshot(ask("hello")));
                    if (thread * 7 + round * 3).is_multiple_of(5) {
                        // Polled once, and gone.
                        drop(call.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                        continue;
                    }
                    let response = tokio_test::block_on(call).unwrap();
                    if !response.served().coalesced {
                        charged.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let (attempts, charged) = (attempts.load(Ordering::SeqCst), charged.into_inner());
    assert!(charged <= attempts, "{charged} charged, {attempts} made");
    assert!(attempts < THREADS * ROUNDS, "nothing was shared");
    assert_eq!(layer.under_way(), 0);
}
