use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_test::{assert_pending, assert_ready, task::spawn};
use tower::service_fn;

use super::*;
use crate::{CacheControl, CacheLayer, CoalesceControl, CoalesceLayer, Stack};

/// A stack counts what its cache has and has not, what that saved, and who shares; what is kept is reported.
/// A hit uses no tokens and is no attempt.
#[tokio::test(start_paused = true)]
async fn a_stack_counts_hits_and_misses() {
    let recorded = Recorded::new();
    let is_open = Arc::new(AtomicBool::new(true));
    let door = Arc::clone(&is_open);
    let service = service_fn(move |_: Request<()>| {
        let door = Arc::clone(&door);
        poll_fn(move |_| match door.load(Ordering::SeqCst) {
            true => Poll::Ready(Ok::<_, Error>(answer())),
            false => Poll::Pending,
        })
    });
    let cache = CacheLayer::new(1 << 20, Duration::from_secs(60)).unwrap();
    let store = cache.store().clone();
    let stack = Stack::over(service, REGION)
        .cache(cache)
        .coalesce(CoalesceLayer::new())
        .build()
        .unwrap();
    let keep = || request(Operation::Converse).with_cache(CacheControl::Use);
    for _ in 0..3 {
        stack.send(keep()).await.unwrap();
    }
    stack.report_metrics();
    let names = ["cache_", "input_tokens", "invocations_total", "calls_total"];
    let bytes = store.bytes();
    assert_eq!(
        recorded.lines(&names),
        [
            format!("cache_bytes{{}} {bytes}"),
            "cache_entries{} 1".to_owned(),
            format!("cache_lookups_total{{model={MODEL},operation=Converse,outcome=hit}} 2"),
            format!("cache_lookups_total{{model={MODEL},operation=Converse,outcome=miss}} 1"),
            format!("cache_read_input_tokens_total{{model={MODEL},region={REGION}}} 7"),
            format!("cache_saved_tokens_total{{model={MODEL}}} 52"),
            format!("cache_write_input_tokens_total{{model={MODEL},region={REGION}}} 11"),
            format!("calls_total{{model={MODEL},operation=Converse,outcome=answered}} 3"),
            format!("input_tokens_total{{model={MODEL},region={REGION}}} 3"),
            format!("invocations_total{{model={MODEL},region={REGION},operation=Converse}} 1"),
        ]
    );

    let share = || {
        let request = request(Operation::Converse);
        spawn(stack.send(request.with_coalesce(CoalesceControl::Share)))
    };
    let mut calls = [share(), share(), share()];
    is_open.store(false, Ordering::SeqCst);
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    is_open.store(true, Ordering::SeqCst);
    for call in &mut calls {
        assert_ready!(call.poll()).unwrap();
    }
    assert_eq!(
        recorded.lines(&["coalesce", "invocations_total"]),
        [
            format!("coalesce_calls_total{{model={MODEL},operation=Converse,role=joined}} 2"),
            format!("coalesce_calls_total{{model={MODEL},operation=Converse,role=led}} 1"),
            format!("invocations_total{{model={MODEL},region={REGION},operation=Converse}} 1"),
        ]
    );
}

/// What a cache gives up for want of room is reported.
#[tokio::test(start_paused = true)]
async fn evictions_are_reported() {
    let recorded = Recorded::new();
    let service = service_fn(|_: Request<()>| async { Ok::<_, Error>(answer()) });
    let cache = CacheLayer::new(2048, Duration::from_secs(60)).unwrap();
    let store = cache.store().clone();
    let stack = Stack::over(service, REGION).cache(cache).build().unwrap();
    for tenant in ["a", "b", "c", "d", "e", "f", "g"] {
        let request = request(Operation::Converse).with_tenant(tenant);
        stack
            .send(request.with_cache(CacheControl::Use))
            .await
            .unwrap();
    }
    stack.report_metrics();
    assert!(store.evicted() > 0);
    assert_eq!(
        recorded.lines(&["cache_evictions"]),
        [format!("cache_evictions_total{{}} {}", store.evicted())]
    );
}
