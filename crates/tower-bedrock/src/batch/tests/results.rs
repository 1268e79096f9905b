use std::sync::Mutex;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::*;
use crate::{BatchProgress, BedrockRequest, Priority};

/// Every request has one result, under its own key; failures are results like others, and at most as
/// many calls are under way as were asked for.
#[tokio::test(start_paused = true)]
async fn each_request_has_its_result() {
    let load = Load::default();
    let batch = Batch::new(service(&load, |number| millis(100 - number % 100)))
        .with_concurrency(at_a_time(10))
        .run(requests(1000));
    let mut seen: Vec<_> = batch
        .map(|item| (item.key, item.result.ok()))
        .collect()
        .await;
    assert!(!seen.is_sorted(), "they come as they finish");
    seen.sort_unstable();
    let expected: Vec<_> = (0..1000)
        .map(|number| (number, (number % 7 != 6).then_some(number)))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(load.most(), 10);
}

/// In order, results come as the input has them, whatever takes longest.
#[tokio::test(start_paused = true)]
async fn in_order_they_come_as_the_input_has_them() {
    let load = Load::default();
    let batch = Batch::new(service(&load, |number| millis(100 - number % 100)))
        .with_concurrency(at_a_time(10))
        .in_order()
        .run(requests(1000));
    let keys: Vec<_> = batch.map(|item| item.key).collect().await;
    assert!(keys.iter().copied().eq(0..1000));
    assert_eq!(load.most(), 10);
}

/// In order, a slow call lets as many again pass as are in flight, and no more: what waits for it is
/// bounded.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_one_is_bounded() {
    let load = Load::default();
    let slow_first = |number| {
        if number == 0 {
            millis(60_000)
        } else {
            millis(1)
        }
    };
    let mut batch = Batch::new(service(&load, slow_first))
        .with_concurrency(at_a_time(10))
        .in_order()
        .run(requests(1000));
    assert_eq!(batch.next().await.unwrap().key, 0);
    let progress = batch.progress();
    assert_eq!((progress.finished(), progress.in_flight), (20, 0));
    assert_eq!(batch.next().await.unwrap().key, 1);
}

/// A million requests are pulled only as there is room for them, and the batch holds no more of them.
#[tokio::test]
async fn a_million_requests_are_pulled_lazily() {
    for is_ordered in [false, true] {
        let pulled = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&pulled);
        let input = requests(1_000_000).inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let answer = service_fn(|request: Request<u64>| async move {
            if request.input().is_multiple_of(3) {
                tokio::task::yield_now().await;
            }
            Ok::<_, Error>(*request.input())
        });
        let mut batch = Batch::new(answer).with_concurrency(at_a_time(50));
        if is_ordered {
            batch = batch.in_order();
        }
        let mut batch = batch.run(input);
        let mut sum = 0;
        let mut yielded = 0;
        while let Some(item) = batch.next().await {
            sum += item.result.unwrap();
            yielded += 1;
            assert!(pulled.load(Ordering::Relaxed) <= yielded + 100);
        }
        assert_eq!(sum, 999_999 * 500_000);
        assert_eq!(batch.progress().succeeded, 1_000_000);
    }
}

/// Requests that come one after the other are called as they come; while none is there the batch
/// waits without being polled.
#[tokio::test(start_paused = true)]
async fn requests_may_come_as_a_stream() {
    let load = Load::default();
    let start = Instant::now();
    let input = Box::pin(stream::iter(requests(5)).then(|request| async {
        tokio::time::sleep(millis(1000)).await;
        request
    }));
    let mut batch = Batch::new(service(&load, |_| millis(1500))).run_stream(input);
    let mut at = Vec::new();
    while let Some(item) = batch.next().await {
        at.push((item.key, start.elapsed().as_millis()));
    }
    assert_eq!(at, [(0, 2500), (1, 3500), (2, 4500), (3, 5500), (4, 6500)]);
    assert_eq!(batch.progress().total, Some(5));
}

/// Progress is told at every start and end, and can be read at any time.
#[tokio::test(start_paused = true)]
async fn progress_is_told() {
    let load = Load::default();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let mut batch = Batch::new(service(&load, |_| millis(100)))
        .with_concurrency(at_a_time(3))
        .on_progress(move |progress| listener.lock().unwrap().push(progress))
        .run(requests(14));
    let idle = BatchProgress {
        total: Some(14),
        ..BatchProgress::default()
    };
    assert_eq!(batch.progress(), idle);
    while let Some(_item) = batch.next().await {
        assert_eq!(told.lock().unwrap().last(), Some(&batch.progress()));
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 28);
    assert!(told.iter().all(|progress| progress.in_flight <= 3));
    assert!(told.is_sorted_by_key(BatchProgress::finished));
    let last = told.last().unwrap();
    assert_eq!((last.succeeded, last.failed, last.in_flight), (12, 2, 0));
}

/// Calls are of low priority unless the batch says otherwise, and have their time from when they are
/// started; the request that comes back is as the caller gave it.
#[tokio::test(start_paused = true)]
async fn calls_are_low_and_timed_from_their_start() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let start = Instant::now();
    let service = service_fn(move |request: Request<u64>| {
        let call = request.context();
        let deadline = call.deadline.map(|deadline| (deadline - start).as_secs());
        seen.lock().unwrap().push((call.priority, deadline));
        async {
            tokio::time::sleep(millis(5000)).await;
            Ok::<_, Error>(())
        }
    });
    let input = || {
        let hurried = request(1).with_priority(Priority::High);
        [
            (0, request(0)),
            (1, hurried.with_timeout(Duration::from_secs(7))),
        ]
    };
    let batch = || Batch::new(service.clone()).with_concurrency(at_a_time(1));

    let low: Vec<_> = batch()
        .with_timeout(millis(60_000))
        .run(input())
        .collect()
        .await;
    assert_eq!(low[1].request.context().priority, Priority::High);
    assert_eq!(low[0].request.context().deadline, None);
    batch()
        .with_own_priorities()
        .run(input())
        .for_each(|_| async {})
        .await;
    batch()
        .with_priority(Priority::Normal)
        .run(input())
        .for_each(|_| async {})
        .await;
    assert_eq!(
        *sent.lock().unwrap(),
        [
            (Priority::Low, Some(60)),
            (Priority::Low, Some(7)),
            (Priority::Normal, None),
            (Priority::High, Some(17)),
            (Priority::Normal, None),
            (Priority::Normal, Some(27)),
        ]
    );
}

/// The concurrency can be changed while the batch runs.
#[tokio::test(start_paused = true)]
async fn the_concurrency_can_be_changed() {
    let load = Load::default();
    let mut batch = Batch::new(service(&load, |_| millis(100)))
        .with_concurrency(at_a_time(2))
        .run(requests(100));
    batch.next().await.unwrap();
    assert_eq!(load.most(), 2);
    batch.set_concurrency(at_a_time(20));
    batch.next().await.unwrap();
    batch.next().await.unwrap();
    assert_eq!(load.most(), 20);
}

/// A batch can be sent to another thread with a stack that can.
#[test]
fn a_batch_can_be_sent() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Batch::new(service(&Load::default(), millis)).run(requests(1)));
}
