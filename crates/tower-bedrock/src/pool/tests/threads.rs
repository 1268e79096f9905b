use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tower::ServiceExt;

use super::*;

/// Threads that come and go at once never have more in flight than may be, and nothing is left over.
#[test]
fn threads_share_a_pool() {
    const LIMIT: usize = 3;
    let pools = Pools::new()
        .with_max_in_flight(LIMIT)
        .with_max_waiting(2000)
        .with_max_wait(secs(600));
    let in_flight = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (pools, in_flight) = (pools.clone(), Arc::clone(&in_flight));
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let service = service_fn(move |_: Request<()>| {
                        let in_flight = Arc::clone(&in_flight);
                        async move {
                            let now = in_flight.fetch_add(1, Ordering::SeqCst) + 1;
                            assert!(now <= LIMIT, "{now} in flight");
                            tokio::task::yield_now().await;
                            in_flight.fetch_sub(1, Ordering::SeqCst);
                            Ok::<_, Error>(answer())
                        }
                    });
                    let service = over(&pools, service);
                    let calls: Vec<_> = (0..500)
                        .map(|_| tokio::spawn(service.clone().oneshot(request())))
                        .collect();
                    for call in calls {
                        call.await.unwrap().unwrap();
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let PoolSnapshot {
        in_flight,
        waiting,
        admitted,
        ..
    } = snapshot(&pools);
    assert_eq!((in_flight, waiting, admitted), (0, 0, 2000));
}
