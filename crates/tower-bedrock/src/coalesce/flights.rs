//! The attempts that are under way.

use std::{
    any::Any,
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    call::{CallContext, Priority, RetryOverride},
    call_key::CallKey,
};

/// The share of a call's time that an attempt is given beyond it, so that calls may join that have the
/// same timeout and come later.
const SPARE: u32 = 10;

/// What is under way, by the key of its calls.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<CallKey, UnderWay>>,
    ids: AtomicU64,
}

#[derive(Debug)]
struct UnderWay {
    id: u64,
    flight: Weak<dyn Any + Send + Sync>,
    is_open: Arc<AtomicBool>,
    terms: Terms,
}

/// On what terms an attempt is made: what a call that joins it has to put up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) deadline: Option<Instant>,
    attempt_timeout: Option<Duration>,
    priority: Priority,
    retry: RetryOverride,
    has_next_route: bool,
    max_wait: Option<Duration>,
}

/// Takes an attempt off the list when it is over, whoever drops it.
#[derive(Debug)]
pub(super) struct Listing {
    flights: Arc<Flights>,
    key: CallKey,
    id: u64,
}

/// What `join` came to.
pub(super) enum Joined<T> {
    /// An attempt that was under way.
    UnderWay(Arc<T>),
    /// The caller's own, listed before anybody else could.
    Own(Arc<T>),
}

impl Terms {
    /// Those of an attempt that is made for `call`, now.
    pub(super) fn of(call: &CallContext, now: Instant) -> Self {
        Self {
            deadline: call.deadline.and_then(|deadline| {
                let left = deadline.saturating_duration_since(now);
                deadline.checked_add(left / SPARE)
            }),
            attempt_timeout: call.attempt_timeout,
            priority: call.priority,
            retry: call.retry,
            has_next_route: call.has_next_route,
            max_wait: call.max_wait,
        }
    }

    /// Whether `call` gets all that it asks for.
    fn suit(&self, call: &CallContext) -> bool {
        let has_time = match (self.deadline, call.deadline) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(attempt), Some(call)) => call <= attempt,
        };
        has_time
            && self.priority >= call.priority
            && self.attempt_timeout == call.attempt_timeout
            && self.retry == call.retry
            && self.has_next_route == call.has_next_route
            && self.max_wait == call.max_wait
    }
}

impl Flights {
    /// Joins what is under way for `key` on terms that suit `call`, or else lists what `make` makes.
    ///
    /// `make` is told how to get off the list, and whether others may join.
    pub(super) fn join<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        key: CallKey,
        call: &CallContext,
        now: Instant,
        make: impl FnOnce(Listing, Arc<AtomicBool>) -> Arc<T>,
    ) -> Joined<T> {
        // Dropped after the lock is given back: with the last of those who wait for it, an attempt
        // takes itself off the list.
        let found;
        let mut under_way = self.lock();
        let entry = under_way.entry(key);
        if let Entry::Occupied(listed) = &entry {
            let listed = listed.get();
            found = listed.flight.upgrade();
            let is_open = listed.is_open.load(Ordering::Acquire);
            if let Some(flight) = &found
                && is_open
                && listed.terms.suit(call)
                && let Ok(flight) = Arc::clone(flight).downcast()
            {
                return Joined::UnderWay(flight);
            }
        }
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let is_open = Arc::new(AtomicBool::new(true));
        let listing = Listing {
            flights: Arc::clone(self),
            key: entry.key().clone(),
            id,
        };
        let flight = make(listing, Arc::clone(&is_open));
        let weak = Arc::downgrade(&flight);
        entry.insert_entry(UnderWay {
            id,
            flight: weak,
            is_open,
            terms: Terms::of(call, now),
        });
        drop(under_way);
        Joined::Own(flight)
    }

    /// How many are listed.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallKey, UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let mut under_way = self.flights.lock();
        // Another may have taken its place.
        let is_own = under_way
            .get(&self.key)
            .is_some_and(|listed| listed.id == self.id);
        let entry = is_own.then(|| under_way.remove_entry(&self.key));
        drop(under_way);
        drop(entry);
    }
}
