//! The places of one pool, shared by all its calls.

use std::task::{Poll, Waker};

use tokio::time::Instant;

use super::{
    adaptive::{Adaptation, Sign},
    error::{PoolSaturated, SaturatedReason},
    event::PoolEvent,
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
    /// Whether a place is free that nobody waits for, to be read without the lock.
    has_free: AtomicBool,
    state: Mutex<State>,
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
        Self {
            key,
            has_free: AtomicBool::new(has_free),
            state: Mutex::new(State {
                permits: Permits::new(settings.initial_limit()),
                adaptation: settings.adaptive.map(Adaptation::new),
                is_set: false,
                admitted: 0,
                refused: 0,
            }),
            settings,
        }
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
        let mut state = self.lock();
        if !state.permits.take() {
            drop(state);
            return Err(self);
        }
        let number = self.admitted(&mut state);
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
        let number = state.permits.join();
        self.publish(&state);
        Ok(Err(number))
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
    pub(super) fn give_back(&self, number: u64, sign: Sign) {
        let mut state = self.lock();
        if state.adaptation.is_some() || state.permits.waiting() > 0 {
            drop(state);
            return self.give_back_and_grant(number, sign);
        }
        // Nobody is to be told, and there is nothing to learn.
        state.permits.give_back();
        self.publish(&state);
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
        if self.has_free.load(Ordering::Acquire) {
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

    fn admit(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Permit {
        let number = self.admitted(&mut state);
        drop(state);
        Permit::new(Arc::clone(self), number)
    }

    /// A call has got its place. Returns its number.
    #[inline]
    fn admitted(&self, state: &mut State) -> u64 {
        let number = state.admitted;
        state.admitted += 1;
        self.publish(state);
        number
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
        self.publish(&state);
        drop(state);
        for waker in woken {
            waker.wake();
        }
        result
    }

    /// Tells those who look without the lock what has changed.
    #[inline]
    fn publish(&self, state: &State) {
        let has_free = state.permits.has_free();
        if self.has_free.load(Ordering::Relaxed) != has_free {
            self.has_free.store(has_free, Ordering::Release);
            self.count(has_free);
        }
    }

    #[cold]
    fn count(&self, has_free: bool) {
        if has_free {
            self.settings.full.remove();
        } else {
            self.settings.full.add();
        }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if !self.has_free.load(Ordering::Relaxed) {
            self.settings.full.remove();
        }
    }
}
