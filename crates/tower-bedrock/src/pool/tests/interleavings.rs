//! Threads at one pool, in every order (`cargo xtask loom`).

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Waker},
};

use super::{
    permit::{Permit, Turn},
    places::Places,
    *,
};
use crate::interleavings::{block_on, check, thread};

fn places(pools: &Pools) -> Arc<Places> {
    pools.of_call(&call())
}

/// Waits for a place as long as it takes.
fn wait(places: &Arc<Places>) -> Permit {
    match places.ask(usize::MAX).expect("the line has no end") {
        Ok(permit) => permit,
        Err(number) => {
            let mut turn = Turn::new(Arc::clone(places), number);
            block_on(poll_fn(|cx| turn.poll(cx)))
        }
    }
}

/// Takes a place without the lock if one is free, and waits for one otherwise.
fn take(places: &Arc<Places>) -> Permit {
    Arc::clone(places)
        .take()
        .unwrap_or_else(|places| wait(&places))
}

/// Waits for a place, counts itself as in flight meanwhile, and gives it back.
fn come_and_go(places: &Arc<Places>, in_flight: &AtomicUsize) {
    go(wait(places), in_flight);
}

fn go(permit: Permit, in_flight: &AtomicUsize) {
    let others = in_flight.fetch_add(1, Ordering::SeqCst);
    assert_eq!(others, 0, "more in flight than may be");
    thread::yield_now();
    in_flight.fetch_sub(1, Ordering::SeqCst);
    drop(permit);
}

fn assert_at_rest(places: &Places) {
    let snapshot = places.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.waiting), (0, 0));
    assert!(!places.is_full(0), "free, and nobody sees it");
}

/// One place, three who want it: never more than one has it, everybody gets it in the end, and then it
/// is free.
#[test]
fn one_place_goes_round() {
    check(|| {
        let places = places(&Pools::new().with_max_in_flight(1));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (places, in_flight) = (Arc::clone(&places), Arc::clone(&in_flight));
                thread::spawn(move || come_and_go(&places, &in_flight))
            })
            .collect();
        come_and_go(&places, &in_flight);
        threads.into_iter().for_each(|one| one.join().unwrap());
        assert_at_rest(&places);
    });
}

/// One place, and two who take it without the lock if they can: never both have it.
#[test]
fn a_place_is_taken_without_the_lock_by_one_at_a_time() {
    check(|| {
        let places = places(&Pools::new().with_max_in_flight(1));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let other = {
            let (places, in_flight) = (Arc::clone(&places), Arc::clone(&in_flight));
            thread::spawn(move || go(take(&places), &in_flight))
        };
        go(take(&places), &in_flight);
        other.join().unwrap();
        assert_at_rest(&places);
    });
}

/// Somebody comes to wait while the place is given back, and another passes by who would take it: who
/// waits gets it in the end.
#[test]
fn who_waits_is_not_forgotten_for_one_who_takes_no_lock() {
    check(|| {
        let places = places(&Pools::new().with_max_in_flight(1));
        let first = take(&places);
        let passes_by = {
            let places = Arc::clone(&places);
            thread::spawn(move || drop(places.take()))
        };
        let waits = {
            let places = Arc::clone(&places);
            thread::spawn(move || drop(wait(&places)))
        };
        drop(first);
        passes_by.join().unwrap();
        waits.join().unwrap();
        assert_at_rest(&places);
    });
}

/// Somebody leaves the line in the moment in which a place is granted: it goes to the next.
#[test]
fn a_place_that_nobody_comes_for_goes_to_the_next() {
    check(|| {
        let places = places(&Pools::new().with_max_in_flight(1));
        let first = wait(&places);
        let leaves = {
            let places = Arc::clone(&places);
            thread::spawn(move || {
                if let Err(number) = places.ask(usize::MAX).unwrap() {
                    let mut turn = Turn::new(places, number);
                    let mut cx = Context::from_waker(Waker::noop());
                    drop(turn.poll(&mut cx));
                }
            })
        };
        let waits = {
            let places = Arc::clone(&places);
            thread::spawn(move || drop(wait(&places)))
        };
        drop(first);
        leaves.join().unwrap();
        waits.join().unwrap();
        assert_at_rest(&places);
    });
}

/// A limit that is raised by hand while somebody comes to wait for it lets him go.
#[test]
fn a_raised_limit_lets_those_go_who_wait() {
    check(|| {
        let pools = Pools::new().with_max_in_flight(0);
        let places = places(&pools);
        let waits = {
            let places = Arc::clone(&places);
            thread::spawn(move || drop(wait(&places)))
        };
        places.set_limit(1);
        waits.join().unwrap();
        assert_at_rest(&places);
    });
}

/// Who has the only place sees that the pool is full, whatever others do who find it taken; and who is
/// turned away has taken nothing.
#[test]
fn a_pool_is_full_while_its_place_is_taken() {
    check(|| {
        let places = places(&Pools::new().with_max_in_flight(1));
        let passes_by = {
            let places = Arc::clone(&places);
            thread::spawn(move || drop(places.ask(0)))
        };
        let permit = wait(&places);
        assert!(places.is_full(0));
        passes_by.join().unwrap();
        assert!(places.is_full(0));
        drop(permit);
        assert_at_rest(&places);
    });
}

/// The whole layer: calls through a pool of one place are answered, one at a time, even if one of them
/// is dropped while it waits.
#[test]
fn calls_through_the_layer_go_one_by_one() {
    check(|| {
        let pools = Pools::new().with_max_in_flight(1);
        let service = over(&pools, service_fn(|_| async { Ok::<_, Error>(answer()) }));
        let permit = wait(&places(&pools));
        let dropped = {
            let mut service = service.clone();
            thread::spawn(move || {
                let mut cx = Context::from_waker(Waker::noop());
                let call = pin!(service.call(request()));
                drop(call.poll(&mut cx));
            })
        };
        let mut service = service;
        let answered = thread::spawn(move || block_on(service.call(request())).map(drop));
        drop(permit);
        dropped.join().unwrap();
        answered.join().unwrap().expect("an answer");
        assert_at_rest(&places(&pools));
    });
}

/// A table that is full forgets pools that nobody uses. Whoever has or gets a place of one, while that
/// happens, shares it with all others of its key.
#[test]
fn a_pool_in_use_is_not_forgotten() {
    fn at(pools: &Pools, region: &str) -> Arc<Places> {
        let mut call = call();
        call.route = call.route.in_region(region);
        pools.of_call(&call)
    }

    check(|| {
        let pools = Pools::new().with_max_in_flight(1);
        // The first one stays; of others there is room for one.
        drop(at(&pools, "first"));
        drop(at(&pools, "shared"));
        let in_flight = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = ["this", "that"]
            .into_iter()
            .map(|own| {
                let (pools, in_flight) = (pools.clone(), Arc::clone(&in_flight));
                thread::spawn(move || {
                    drop(at(&pools, own));
                    come_and_go(&at(&pools, "shared"), &in_flight);
                })
            })
            .collect();
        threads.into_iter().for_each(|one| one.join().unwrap());
        assert_at_rest(&at(&pools, "shared"));
    });
}
