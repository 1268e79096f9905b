//! Who is woken when something happens that several wait for.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Wake, Waker},
    thread,
};

/// The tasks that wait for one thing. It is polled with a waker of theirs in common, so that whoever is
/// left goes on with it when those who polled it last are gone.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    waiting: Mutex<BTreeMap<u64, Waker>>,
    turnouts: AtomicU64,
}

/// One who waits among others. Dropped, it is forgotten.
#[derive(Debug)]
pub(crate) struct Turnout {
    wakers: Arc<Wakers>,
    id: u64,
}

/// To be kept while what all wait for is polled.
pub(crate) struct OnPanic<'a>(&'a Wakers);

impl Wakers {
    pub(crate) fn turn_out(self: &Arc<Self>) -> Turnout {
        Turnout {
            wakers: Arc::clone(self),
            id: self.turnouts.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The waker of all.
    pub(crate) fn all(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    pub(crate) fn wake_all(&self) {
        // Outside of the lock: a waker may do anything.
        let waiting = mem::take(&mut *self.lock());
        for waker in waiting.into_values() {
            waker.wake();
        }
    }

    /// Wakes all if what is done meanwhile panics.
    pub(crate) const fn on_panic(&self) -> OnPanic<'_> {
        OnPanic(self)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

impl Turnout {
    /// Waits, until everybody is woken. To be said before the thing itself is looked at.
    pub(crate) fn wait(&self, waker: &Waker) {
        let mut waiting = self.wakers.lock();
        match waiting.get_mut(&self.id) {
            Some(known) => known.clone_from(waker),
            None => {
                waiting.insert(self.id, waker.clone());
            }
        }
    }

    /// Waits no more.
    pub(crate) fn leave(&self) {
        let waker = self.wakers.lock().remove(&self.id);
        drop(waker);
    }
}

impl Drop for Turnout {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.wake_all();
        }
    }
}
