use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use super::*;

/// Broken off at any point, a batch tells of every request exactly once whether it is done, was
/// started or was never pulled; what is left can be gone on with, and no call is under way any more.
#[tokio::test(start_paused = true)]
async fn a_batch_can_be_broken_off_at_any_point() {
    for is_ordered in [false, true] {
        let mut unfinished_seen = 0;
        let mut finished_seen = 0;
        for polls in 0.. {
            let load = Load::default();
            let service = service(&load, |number| millis(100 + 70 * (number % 3)));
            let new_batch = || {
                let batch = Batch::new(service.clone()).with_concurrency(at_a_time(4));
                if is_ordered { batch.in_order() } else { batch }
            };

            let mut batch = new_batch().run(requests(20));
            let mut done = Vec::new();
            let mut is_over = false;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                // A `next` that is dropped loses nothing: each poll is by a new one.
                let mut next = pin!(batch.next());
                match next.as_mut().poll(&mut cx) {
                    std::task::Poll::Ready(Some(item)) => done.push(item.key),
                    std::task::Poll::Ready(None) => is_over = true,
                    std::task::Poll::Pending => tokio::time::advance(millis(50)).await,
                }
            }
            let in_flight = batch.progress().in_flight;
            let remains = batch.into_remains();
            assert_eq!(load.now(), 0, "after {polls} polls");
            assert_eq!(remains.unfinished.len() as u64, in_flight);
            unfinished_seen += remains.unfinished.len();
            finished_seen += remains.finished.len();
            done.extend(remains.finished.iter().map(|item| item.key));

            let left = remains.unfinished.into_iter().chain(remains.input);
            let mut rest = new_batch().run(left);
            while let Some(item) = rest.next().await {
                done.push(item.key);
            }
            done.sort_unstable();
            assert!(
                done.iter().copied().eq(0..20),
                "after {polls} polls: {done:?}"
            );
            if is_over {
                break;
            }
        }
        assert!(unfinished_seen > 50, "{unfinished_seen}");
        assert_eq!(finished_seen > 0, is_ordered, "{finished_seen}");
    }
}

/// A stopped batch starts nothing more, yields what was under way, and leaves the rest.
#[tokio::test(start_paused = true)]
async fn a_stopped_batch_finishes_what_is_under_way() {
    let load = Load::default();
    let mut batch = Batch::new(service(&load, |_| millis(100)))
        .with_concurrency(at_a_time(5))
        .run(requests(100));
    assert_eq!(batch.next().await.unwrap().key, 0);
    batch.stop();
    let mut keys = Vec::new();
    while let Some(item) = batch.next().await {
        keys.push(item.key);
    }
    assert_eq!(keys, [1, 2, 3, 4]);
    let mut remains = batch.into_remains();
    assert!(remains.finished.is_empty() && remains.unfinished.is_empty());
    assert_eq!(remains.input.next().unwrap().0, 5);
}

/// A dropped batch drops its calls.
#[tokio::test(start_paused = true)]
async fn a_dropped_batch_drops_its_calls() {
    let load = Load::default();
    let mut batch = Batch::new(service(&load, |_| millis(100))).run(requests(100));
    batch.next().await.unwrap();
    assert!(load.now() > 0);
    drop(batch);
    assert_eq!(load.now(), 0);
}
