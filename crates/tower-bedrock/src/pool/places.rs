//! The places of one pool, shared by all its calls.

use std::{
    ops::{Deref, DerefMut},
    task::{Poll, Waker},
};

use tokio::time::Instant;

use super::{
    adaptive::{Adaptation, Sign},
    error::{PoolSaturated, SaturatedReason},
    event::PoolEvent,
    free::{Changed, FreePlaces, MOST, Tally},
    key::PoolKey,
    permit::Permit,
    permits::Permits,
    pools::Settings,
    snapshot::PoolSnapshot,
};
use crate::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// The places of one pool, and the line before them.
#[derive(Debug)]
pub(super) struct Places {
    key: PoolKey,
    settings: Arc<Settings>,
    free: FreePlaces,
    /// Whether a place is free that nobody waits for, as the last who had the lock has left it.
    has_free: AtomicBool,
    state: Mutex<State>,
}

/// The state, while it is locked. When it is released, places may be taken without the lock again, and
/// those who look hear what has changed.
struct Locked<'a> {
    places: &'a Places,
    state: MutexGuard<'a, State>,
}

#[derive(Debug)]
struct State {
    permits: Permits,
    adaptation: Option<Adaptation>,
    /// Whether somebody has set the limit by hand.
    is_set: bool,
    admitted: u64,
    refused: u64,
}

impl Places {
    pub(super) fn new(key: PoolKey, settings: Arc<Settings>) -> Self {
        let has_free = settings.initial_limit() > 0;
        if !has_free {
            settings.full.add();
        }
        let places = Self {
            key,
            free: FreePlaces::closed(),
            has_free: AtomicBool::new(has_free),
            state: Mutex::new(State {
                permits: Permits::new(settings.initial_limit()),
                adaptation: settings.adaptive.map(Adaptation::new),
                is_set: false,
                admitted: 0,
                refused: 0,
            }),
            settings,
        };
        drop(places.lock());
        places
    }

    pub(super) const fn key(&self) -> &PoolKey {
        &self.key
    }

    /// Whether what is said of a model is said of the whole pool.
    pub(super) const fn is_of_one_model(&self) -> bool {
        self.key.model.is_some()
    }

    pub(super) const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes a place if one is free that nobody waits for.
    #[inline]
    pub(super) fn take(self: Arc<Self>) -> Result<Permit, Arc<Self>> {
        match self.free.take() {
            Changed::Done => {}
            Changed::AtTheEdge => self.tell(),
            Changed::Closed => return self.take_locked(),
        }
        // A number is asked for by limits that adapt, whose pools are never open.
        Ok(Permit::new(self, 0))
    }

    #[cold]
    fn take_locked(self: Arc<Self>) -> Result<Permit, Arc<Self>> {
        let mut state = self.lock();
        if !state.permits.take() {
            drop(state);
            return Err(self);
        }
        let number = state.admit();
        drop(state);
        Ok(Permit::new(self, number))
    }

    /// Takes a place if one is free, else one in the line, if that may be longer.
    pub(super) fn ask(
        self: &Arc<Self>,
        max_waiting: usize,
    ) -> Result<Result<Permit, u64>, PoolSaturated> {
        let mut state = self.lock();
        if state.permits.take() {
            return Ok(Ok(self.admit(state)));
        }
        if state.permits.waiting() >= max_waiting {
            state.refused += 1;
            return Err(self.refusal(&state, SaturatedReason::QueueFull));
        }
        Ok(Err(state.permits.join()))
    }

    /// Gives a call back the place in line that it had; its turn may have come at once.
    pub(super) fn rejoin(&self, number: u64) -> u64 {
        self.change(|state| state.permits.rejoin(number));
        number
    }

    /// Waits for the turn of `number`.
    pub(super) fn poll(self: &Arc<Self>, number: u64, waker: &Waker) -> Poll<Permit> {
        let mut state = self.lock();
        let (is_granted, retired) = state.permits.poll(number, waker);
        let polled = if is_granted {
            Poll::Ready(self.admit(state))
        } else {
            drop(state);
            Poll::Pending
        };
        // Dropping a waker may run anything, even something that comes back here.
        drop(retired);
        polled
    }

    /// Leaves the line without a place.
    pub(super) fn leave(&self, number: u64) {
        let retired = self.change(|state| state.permits.leave(number));
        drop(retired);
    }

    /// What a call is told that has left the line because it may not wait any longer.
    pub(super) fn refuse(&self, reason: SaturatedReason) -> PoolSaturated {
        let mut state = self.lock();
        state.refused += 1;
        self.refusal(&state, reason)
    }

    /// Gives back the place of the `number`th call, of which `sign` is what came.
    #[inline]
    pub(super) fn give_back(&self, number: u64, sign: Sign) {
        match self.free.give_back() {
            Changed::Done => {}
            Changed::AtTheEdge => self.tell(),
            Changed::Closed => self.give_back_and_grant(number, sign),
        }
    }

    #[cold]
    fn give_back_and_grant(&self, number: u64, sign: Sign) {
        let (from, to) = self.change(|state| {
            let (from, in_flight) = (state.permits.limit(), state.permits.taken());
            let sent = state.admitted;
            let to = match &mut state.adaptation {
                Some(adaptation) => {
                    adaptation.observe(sign, number, sent, in_flight, Instant::now())
                }
                None => from,
            };
            state.permits.set_limit(to);
            state.permits.give_back();
            (from, to)
        });
        if from != to {
            let key = &self.key;
            self.settings
                .tell(&PoolEvent::LimitChanged { key, from, to });
        }
    }

    /// Allows as many calls in flight, and no other number from now on.
    pub(super) fn set_limit(&self, limit: usize) {
        self.change(|state| {
            state.adaptation = None;
            state.is_set = true;
            state.permits.set_limit(limit);
        });
    }

    /// Whether a call would be refused at once.
    pub(super) fn is_full(&self, max_waiting: usize) -> bool {
        let has_free = match self.free.free() {
            Some(free) => free > 0,
            None => self.has_free.load(Ordering::Acquire),
        };
        if has_free {
            return false;
        }
        let state = self.lock();
        !state.permits.has_free() && state.permits.waiting() >= max_waiting
    }

    /// Whether anything would be lost with it.
    pub(super) fn is_in_use(&self) -> bool {
        let state = self.lock();
        state.is_set || state.permits.taken() > 0 || state.permits.waiting() > 0
    }

    pub(super) fn snapshot(&self) -> PoolSnapshot {
        let state = self.lock();
        let (most_in_flight, most_waiting) = state.permits.high_water();
        PoolSnapshot {
            key: self.key.clone(),
            limit: state.permits.limit(),
            in_flight: state.permits.taken(),
            waiting: state.permits.waiting(),
            most_in_flight,
            most_waiting,
            admitted: state.admitted,
            refused: state.refused,
        }
    }

    fn admit(self: &Arc<Self>, mut state: Locked<'_>) -> Permit {
        let number = state.admit();
        drop(state);
        Permit::new(Arc::clone(self), number)
    }

    fn refusal(&self, state: &State, reason: SaturatedReason) -> PoolSaturated {
        PoolSaturated {
            key: self.key.clone(),
            limit: state.permits.limit(),
            in_flight: state.permits.taken(),
            waiting: state.permits.waiting(),
            reason,
        }
    }

    /// Changes the state, grants the places that are free then, and wakes who got them.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut woken = Vec::new();
        let mut state = self.lock();
        let result = change(&mut state);
        state.permits.grant(&mut woken);
        drop(state);
        for waker in woken {
            waker.wake();
        }
        result
    }

    /// Tells those who look without the lock that the pool is full, or no longer full.
    #[cold]
    fn tell(&self) {
        drop(self.lock());
    }

    fn lock(&self) -> Locked<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = self.free.close() {
            state.call_in(tally);
        }
        Locked {
            places: self,
            state,
        }
    }
}

impl State {
    /// A call has got its place. Returns its number.
    fn admit(&mut self) -> u64 {
        let number = self.admitted;
        self.admitted += 1;
        number
    }

    /// Counts what happened without the lock.
    fn call_in(&mut self, tally: Tally) {
        self.admitted += tally.taken;
        self.permits
            .call_in(tally.free as usize, tally.least_free as usize);
    }

    /// How many places may be taken without the lock; `None` if that is needed for each.
    fn lend(&mut self) -> Option<u64> {
        if self.adaptation.is_some() {
            return None;
        }
        self.permits.lend(MOST as usize).map(|free| free as u64)
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let places = self.places;
        let has_free = self.permits.has_free();
        if places.has_free.swap(has_free, Ordering::AcqRel) != has_free {
            if has_free {
                places.settings.full.remove();
            } else {
                places.settings.full.add();
            }
        }
        if let Some(free) = self.lend() {
            places.free.open(free);
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if !self.has_free.load(Ordering::Relaxed) {
            self.settings.full.remove();
        }
    }
}
