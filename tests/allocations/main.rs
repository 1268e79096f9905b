//! The quiet path costs nothing: a layer that has nothing to do allocates nothing.

mod cache;
mod counting;
mod layers;
mod sdk;
mod streams;

use std::{
    hint::black_box,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Context,
};

use tower::Service;
use tower_bedrock::{Error, Request};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Counts allocations, one measurement at a time.
struct Measurement {
    _profiler: dhat::Profiler,
    _alone: MutexGuard<'static, ()>,
}

fn measure() -> Measurement {
    static MEASURING: Mutex<()> = Mutex::new(());
    let alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    Measurement {
        _profiler: dhat::Profiler::builder().testing().build(),
        _alone: alone,
    }
}

const CALLS: u64 = 1000;

/// The test harness has threads of its own, which allocate when they like: what a call allocates is
/// there in every round, what they do is not.
const ROUNDS: u64 = 8;

/// What `CALLS` calls of `service` allocate, in the quietest of some rounds.
fn allocations<S>(mut service: S, request: &Request<()>) -> u64
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut round = || {
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..CALLS {
            assert!(service.poll_ready(&mut cx).is_ready());
            let mut call = std::pin::pin!(service.call(request.clone()));
            assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
        }
        dhat::HeapStats::get().total_blocks - before
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or(u64::MAX)
}
