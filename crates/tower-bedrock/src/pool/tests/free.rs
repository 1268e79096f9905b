//! Places that are taken and given back without the lock.

use std::sync::Arc;

use super::{places::Places, *};
use crate::pool::free::{Changed, FreePlaces, MOST, Tally};

fn open(free: u64) -> FreePlaces {
    let places = FreePlaces::closed();
    places.open(free);
    places
}

fn places(pools: &Pools) -> Arc<Places> {
    pools.of_call(&call())
}

/// As many are taken as are free; the one that makes it full, and the one that makes it no longer full,
/// are told.
#[test]
fn the_last_place_and_the_first_are_told() {
    let places = open(2);
    assert_eq!(places.take(), Changed::Done);
    assert_eq!(places.take(), Changed::AtTheEdge);
    assert_eq!(places.take(), Changed::Closed);
    assert_eq!(places.give_back(), Changed::AtTheEdge);
    assert_eq!(places.give_back(), Changed::Done);
    let tally = Tally {
        free: 2,
        least_free: 0,
        taken: 2,
    };
    assert_eq!(places.close(), Some(tally));
}

/// While it is closed nothing changes, and it tells so.
#[test]
fn nothing_changes_while_it_is_closed() {
    let places = open(2);
    assert!(places.close().is_some());
    assert_eq!(places.take(), Changed::Closed);
    assert_eq!(places.give_back(), Changed::Closed);
    assert_eq!((places.free(), places.close()), (None, None));
}

/// What the word has no room for is left to the lock, and nothing spills into what is beside it.
#[test]
fn nothing_is_counted_beyond_what_the_word_holds() {
    let places = open(MOST + 7);
    assert_eq!(places.free(), Some(MOST));
    assert_eq!(places.give_back(), Changed::Closed);
    for _ in 0..MOST {
        assert_eq!(places.take(), Changed::Done);
        assert_eq!(places.give_back(), Changed::Done);
    }
    assert_eq!(places.take(), Changed::Closed);
    let tally = Tally {
        free: MOST,
        least_free: MOST - 1,
        taken: MOST,
    };
    assert_eq!(places.close(), Some(tally));
}

/// A snapshot tells of calls that never took the lock, now and at their most.
#[test]
fn what_happens_without_the_lock_is_counted() {
    let pools = Pools::new().with_max_in_flight(5);
    let places = places(&pools);
    let take = || {
        Arc::clone(&places)
            .take()
            .unwrap_or_else(|_| panic!("free"))
    };
    let mut held: Vec<_> = (0..4).map(|_| take()).collect();
    held.truncate(1);
    held.push(take());
    for _ in 0..2 {
        let snapshot = places.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.most_in_flight), (2, 4));
        assert_eq!((snapshot.admitted, snapshot.limit), (5, 5));
    }
    // Those who came before the snapshot go after it.
    drop(held);
    let snapshot = places.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.most_in_flight), (0, 4));
}

/// A limit that is lowered below what is in flight lets nobody in until there is room, and one that is
/// raised lets as many in as it says.
#[test]
fn a_changed_limit_holds_for_those_who_take_no_lock() {
    let pools = Pools::new().with_max_in_flight(3);
    let places = places(&pools);
    let take = || Arc::clone(&places).take();
    let mut held: Vec<_> = (0..3).map(|_| take().expect("a place")).collect();
    places.set_limit(1);
    held.truncate(1);
    assert!(take().is_err());
    drop(held);
    let held = take().expect("a place");
    assert!(take().is_err());
    places.set_limit(2);
    let other = take().expect("a place");
    assert!(take().is_err());
    drop((held, other));
    assert_eq!(places.snapshot().in_flight, 0);
}
