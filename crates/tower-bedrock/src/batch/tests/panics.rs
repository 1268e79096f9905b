use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use super::*;

async fn panics_at_five(request: Request<u64>) -> Result<u64, Error> {
    let number = *request.input();
    tokio::time::sleep(millis(1)).await;
    assert_ne!(number, 5, "the fifth panics");
    Ok(number)
}

/// A batch that wedges fails the test instead of hanging it.
async fn within_a_minute<T>(next: impl Future<Output = T>) -> T {
    tokio::time::timeout(millis(60_000), next).await.unwrap()
}

/// A panic of the service reaches whoever polls. Polled on, the batch yields all others, in order
/// too, and the lost one is among the unfinished.
#[tokio::test(start_paused = true)]
async fn a_panic_reaches_the_caller_and_loses_nothing_else() {
    for is_ordered in [false, true] {
        let mut batch = Batch::new(service_fn(panics_at_five)).with_concurrency(at_a_time(4));
        if is_ordered {
            batch = batch.in_order();
        }
        let mut batch = batch.run(requests(100));
        let mut keys = Vec::new();
        let mut panics = 0;
        while panics < 2 {
            match AssertUnwindSafe(within_a_minute(batch.next()))
                .catch_unwind()
                .await
            {
                Ok(Some(item)) => keys.push(item.key),
                Ok(None) => break,
                Err(_) => panics += 1,
            }
        }
        assert_eq!(panics, 1);
        assert!(keys.iter().copied().eq((0..100).filter(|&key| key != 5)));
        let progress = batch.progress();
        assert_eq!((progress.succeeded, progress.in_flight), (99, 0));
        let remains = batch.into_remains();
        let unfinished: Vec<_> = remains.unfinished.iter().map(|(key, _)| *key).collect();
        assert_eq!(unfinished, [5]);
    }
}

/// Even where every call panics, nothing wedges.
#[tokio::test(start_paused = true)]
async fn a_service_that_always_panics_wedges_nothing() {
    let service = service_fn(|_: Request<u64>| async { panic!("always") as Result<(), Error> });
    let mut batch = Batch::new(service).in_order().run(requests(200));
    let mut panics = 0;
    while AssertUnwindSafe(within_a_minute(batch.next()))
        .catch_unwind()
        .await
        .is_err()
    {
        assert!(panics < 200);
        panics += 1;
    }
    assert_eq!(panics, 200);
    assert_eq!(batch.into_remains().unfinished.len(), 200);
}
