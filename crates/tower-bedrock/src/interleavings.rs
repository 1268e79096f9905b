//! What several threads may do at once, in every order or in many: `cargo xtask loom`.
//!
//! Models are beside the tests of what they are about, in files of this name. Each makes what is shared,
//! a few threads that use it, and looks at the end at what is left. Under loom it is run in every order
//! in which two preemptions can bring it (`LOOM_MAX_PREEMPTIONS`), with every value that a load may
//! see; under shuttle in random orders (`SHUTTLE_ITERATIONS` of them). A thread that nobody wakes any
//! more is a deadlock, which both of them report.
//!
//! Time stands still, unless a model lets it go on.

use std::time::Duration;
#[cfg(loom_cores)]
use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use tokio::runtime::{Builder, Runtime};

use crate::sync::Arc;
#[cfg(loom_cores)]
use crate::sync::{Condvar, Mutex};

#[cfg(loom_cores)]
pub(crate) use loom::thread;
#[cfg(shuttle_cores)]
pub(crate) use shuttle::thread;
#[cfg(shuttle_cores)]
use shuttle::{
    Runner,
    scheduler::{PctScheduler, RandomScheduler},
};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
}

/// Runs `model` in every order.
#[cfg(loom_cores)]
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.max_branches = builder.max_branches.max(20_000);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    RUNTIME.with(|runtime| {
        let _entered = runtime.enter();
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            model();
        });
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} orders");
    assert!(runs > 1, "nothing was shared");
}

/// How often in a run it changes who is preferred.
#[cfg(shuttle_cores)]
const CHANGES: usize = 3;

/// Runs `model` in many orders: half of them random, half with a few changes of who is preferred.
#[cfg(shuttle_cores)]
pub(crate) fn check(model: impl Fn() + Send + Sync + 'static) {
    let iterations = std::env::var("SHUTTLE_ITERATIONS").ok();
    let iterations = iterations.and_then(|text| text.parse().ok());
    let each = iterations.unwrap_or(1000) / 2;
    let mut config = shuttle::Config::new();
    // Futures of all layers are on it.
    config.stack_size = 1 << 20;
    // That it takes all atomics for sequentially consistent. Loom does not.
    config.silence_warnings = true;
    let model = Arc::new(model);
    RUNTIME.with(|runtime| {
        let _entered = runtime.enter();
        let random = Arc::clone(&model);
        let scheduler = RandomScheduler::new(each);
        Runner::new(scheduler, config.clone()).run(move || random());
        let scheduler = PctScheduler::new(CHANGES, each);
        Runner::new(scheduler, config).run(move || model());
    });
}

/// Lets time go on, and timers go off.
pub(crate) fn advance(time: Duration) {
    RUNTIME.with(|runtime| runtime.block_on(tokio::time::advance(time)));
}

/// Runs `future` on this thread, which waits while nobody wakes it.
#[cfg(shuttle_cores)]
pub(crate) use shuttle::future::block_on;

/// Runs `future` on this thread, which waits while nobody wakes it.
#[cfg(loom_cores)]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        parker.park();
    }
}

/// Wakes a thread.
#[cfg(loom_cores)]
#[derive(Default)]
struct Parker {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

#[cfg(loom_cores)]
impl Parker {
    fn park(&self) {
        let mut is_woken = self.is_woken.lock().expect("nobody panics");
        while !*is_woken {
            is_woken = self.woken.wait(is_woken).expect("nobody panics");
        }
        *is_woken = false;
    }
}

#[cfg(loom_cores)]
impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().expect("nobody panics") = true;
        self.woken.notify_one();
    }
}
