//! Many threads at one circuit.

use std::{
    sync::atomic::AtomicBool,
    task::{Context, Poll, Waker},
    thread,
};

use tower::Service;

use super::*;

/// A service whose calls end in their second poll, as the test says at the time, and which counts how
/// many are in flight.
#[derive(Clone, Default)]
struct Shared {
    is_sick: Arc<AtomicBool>,
    in_flight: Arc<AtomicU32>,
    calls: Arc<AtomicU32>,
}

impl Shared {
    async fn call(self) -> Result<Response<()>, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let _in_flight = InFlight(self.in_flight.clone());
        tokio::task::yield_now().await;
        if self.is_sick.load(Ordering::SeqCst) {
            failed(Cause::Internal)
        } else {
            answered()
        }
    }
}

/// Four threads at a half-open circuit with two places: never are more than two calls in flight,
/// whoever drops or finishes them, and in the end no place is taken.
#[test]
fn threads_never_send_more_probes_than_may_go() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let policy = CircuitPolicy::new()
        .with_cooldown(Duration::from_nanos(1), Duration::from_nanos(1))
        .with_probes(2)
        .with_successes_to_close(u32::MAX)
        .with_probe_limit(secs(3600));
    let breakers = breakers(policy);
    let shared = Shared::default();
    shared.is_sick.store(true, Ordering::SeqCst);
    let most = AtomicU32::new(0);
    let mut cx = Context::from_waker(Waker::noop());
    let inner = shared.clone();
    let mut service = CircuitBreakerLayer::new(breakers.clone())
        .layer(service_fn(move |_: Request<()>| inner.clone().call()));
    while breakers.state(&route()) == CircuitState::Closed {
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut call = Box::pin(service.call(request()));
        while call.as_mut().poll(&mut cx).is_pending() {}
    }
    shared.is_sick.store(false, Ordering::SeqCst);
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let (mut service, shared, most) = (service.clone(), &shared, &most);
            let handle = runtime.handle();
            scope.spawn(move || {
                let _entered = handle.enter();
                let mut cx = Context::from_waker(Waker::noop());
                let mut kept = Vec::new();
                for turn in 0..20_000_usize {
                    assert!(service.poll_ready(&mut cx).is_ready());
                    let mut call = Box::pin(service.call(request()));
                    if call.as_mut().poll(&mut cx).is_pending() {
                        most.fetch_max(shared.in_flight.load(Ordering::SeqCst), Ordering::SeqCst);
                        kept.push(call);
                    }
                    // Some end, some are dropped.
                    if (turn + seed) % 3 == 0
                        && let Some(mut call) = kept.pop()
                        && turn % 2 == 0
                    {
                        assert!(call.as_mut().poll(&mut cx).is_ready());
                    }
                }
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(shared.calls.load(Ordering::SeqCst) > 1000);
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!(
        (snapshot.state, snapshot.probes),
        (CircuitState::HalfOpen, 0)
    );
}

/// Threads that call while the route falls sick and heals, over and over: every transition is told
/// once, in order, with no generation left out, and what is told last is the state.
#[test]
fn threads_hear_transitions_in_order() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let policy = CircuitPolicy::new()
        .with_min_calls(2)
        .with_consecutive_failures(2)
        .with_cooldown(Duration::from_nanos(1), Duration::from_nanos(1));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let breakers = breakers(policy).on_event(move |event| {
        if let CircuitEvent::Changed { transition } = event {
            let told = (transition.generation, transition.from, transition.to);
            ears.lock().unwrap().push(told);
        }
    });
    let state = breakers.watch(&route());
    let shared = Shared::default();
    let inner = shared.clone();
    let service = CircuitBreakerLayer::new(breakers.clone())
        .layer(service_fn(move |_: Request<()>| inner.clone().call()));
    thread::scope(|scope| {
        for seed in 0..4_u32 {
            let (mut service, shared) = (service.clone(), &shared);
            let handle = runtime.handle();
            scope.spawn(move || {
                let _entered = handle.enter();
                let mut cx = Context::from_waker(Waker::noop());
                for turn in 0..5_000_u32 {
                    if turn % 7 == 0 {
                        shared
                            .is_sick
                            .store((turn + seed) % 2 == 0, Ordering::SeqCst);
                    }
                    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
                    let mut call = Box::pin(service.call(request()));
                    if call.as_mut().poll(&mut cx).is_pending() && turn % 5 != 0 {
                        assert!(call.as_mut().poll(&mut cx).is_ready());
                    }
                }
            });
        }
    });
    let heard = heard.lock().unwrap();
    assert!(heard.len() > 100, "{}", heard.len());
    let mut last = CircuitState::Closed;
    for (expected, (generation, from, to)) in (1..).zip(&*heard) {
        assert_eq!((*generation, *from), (expected, last));
        last = *to;
    }
    assert_eq!(breakers.state(&route()), last);
    assert_eq!(*state.borrow(), last);
    assert_eq!(
        breakers.snapshot_of(&route()).generation,
        heard.len() as u64
    );
}

/// More threads than there are lanes have calls answered while another looks: what it sees only grows,
/// and in the end each answer has been counted once.
#[test]
fn threads_count_each_answer_once() {
    const THREADS: u32 = 12;
    const CALLS: u32 = 5_000;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    // So that none of them is too old.
    let breakers = breakers(CircuitPolicy::new().with_window(secs(24 * 3600)));
    let service = CircuitBreakerLayer::new(breakers.clone())
        .layer(service_fn(|_: Request<()>| std::future::ready(answered())));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let mut service = service.clone();
            let handle = runtime.handle();
            scope.spawn(move || {
                let _entered = handle.enter();
                let mut cx = Context::from_waker(Waker::noop());
                for _ in 0..CALLS {
                    assert!(service.poll_ready(&mut cx).is_ready());
                    let mut call = Box::pin(service.call(request()));
                    assert!(call.as_mut().poll(&mut cx).is_ready());
                }
            });
        }
        let mut seen = 0;
        while seen < THREADS * CALLS {
            let calls = breakers.snapshot_of(&route()).calls;
            assert!((seen..=THREADS * CALLS).contains(&calls), "{calls}");
            seen = calls;
            thread::yield_now();
        }
    });
    assert_eq!(breakers.snapshot_of(&route()).calls, THREADS * CALLS);
}
