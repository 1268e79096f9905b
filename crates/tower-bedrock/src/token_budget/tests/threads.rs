use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Waker},
    thread,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// Everything can be shared between threads, and its futures can be spawned.
#[test]
fn everything_is_send_and_sync() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    fn sent<T: Send + 'static>(_: &T) {}

    let layer = TokenBudgetLayer::new(Quotas::new());
    shared(&layer);
    let steady = Steady::new(secs(1));
    let service = layer.layer(service_fn(move |request| steady.clone().answer(request)));
    sent(&service.oneshot(holding(1)));
    let service = layer.layer(tower::util::BoxCloneSyncService::new(service_fn(
        |_: Request<()>| async { Ok::<_, Error>(answer(usage(1, 0))) },
    )));
    shared(&service);
    shared(&Quotas::new());
    shared(&FailureCharges::default());
}

/// Threads that make, drop and finish calls at one ledger as they like, while its quota changes, end
/// with nothing reserved, nothing held, and nobody waiting.
#[test]
fn threads_leave_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let quotas = quotas(1_000_000);
    let finished = AtomicU32::new(0);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (quotas, runtime, finished) = (&quotas, runtime.handle(), &finished);
            scope.spawn(move || {
                let _entered = runtime.enter();
                let mut rng = StdRng::seed_from_u64(seed);
                let inner = service_fn(|request: Request<()>| async move {
                    let tokens = request.context().tokens.input.unwrap();
                    if tokens.is_multiple_of(3) {
                        tokio::task::yield_now().await;
                    }
                    match tokens % 7 {
                        0 => Err(Error::new(Cause::Internal)),
                        1 => Err(Error::new(Cause::TokenRate)),
                        _ => Ok(answer(usage(u64::from(tokens) / 100, 0))),
                    }
                });
                let layer = TokenBudgetLayer::new(quotas.clone()).with_max_waiting(50);
                let service = layer.layer(inner);
                let mut cx = Context::from_waker(Waker::noop());
                let mut kept = Vec::new();
                for turn in 0..5000 {
                    let tenant = format!("tenant {}", rng.random_range(0..3));
                    let request = holding(rng.random_range(1..400_000)).with_tenant(tenant);
                    let mut call = Box::pin(service.clone().oneshot(request));
                    if call.as_mut().poll(&mut cx).is_ready() {
                        finished.fetch_add(1, Ordering::Relaxed);
                    } else if rng.random_bool(0.5) {
                        kept.push(call);
                    }
                    if rng.random_bool(0.3) && !kept.is_empty() {
                        let index = rng.random_range(0..kept.len());
                        let mut call = kept.swap_remove(index);
                        let mut call = pin!(call.as_mut());
                        if call.as_mut().poll(&mut cx).is_ready() {
                            finished.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    if turn % 500 == 0 && seed == 0 {
                        let quota = Quota::new()
                            .with_tokens_per_minute(rng.random_range(500_000..2_000_000))
                            .without_learning();
                        quotas.set(&route(), quota).unwrap();
                    }
                }
            });
        }
    });
    assert!(finished.load(Ordering::Relaxed) > 1000);
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.waiting, snapshot.tokens_waiting), (0, 0));
    assert_eq!((snapshot.tokens_held, snapshot.tokens_owed), (0, 0));
    let gate = quotas.gate(&route());
    assert!(gate.lock().verdicts.is_empty());
    assert!(gate.lock().keeper.is_none());
}
