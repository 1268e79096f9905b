//! What threads write apart from each other.

use std::ops::Deref;

use crate::sync::{Arc, OnceLock};

/// So many threads write nothing that another one reads; of more than that, some share lanes.
pub(crate) const LANES: usize = if cfg!(any(loom_cores, shuttle_cores)) {
    2
} else {
    8
};

/// The lane of this thread.
#[cfg(not(any(loom_cores, shuttle_cores)))]
#[inline]
pub(crate) fn of_thread() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
    }
    LANE.with(|lane| *lane)
}

/// The threads of a model are all on one, and say themselves where they want to be on another lane.
#[cfg(any(loom_cores, shuttle_cores))]
pub(crate) const fn of_thread() -> usize {
    0
}

/// What all calls hold on to while they are under way, and only read. How many do is counted for each
/// lane apart: it would be the one thing that all threads write.
#[repr(align(128))]
pub(crate) struct Held<T> {
    value: Arc<T>,
    lanes: [OnceLock<Arc<Lane<T>>>; LANES],
}

/// What a call holds on to.
pub(crate) struct Hold<T>(Arc<Lane<T>>);

/// As wide as what processors fetch at once, so that no lane slows another down.
#[repr(align(128))]
struct Lane<T>(Arc<T>);

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: Arc::new(value),
            lanes: Default::default(),
        }
    }

    /// Holds on to it, in the lane of this thread.
    #[inline]
    pub(crate) fn hold(&self) -> Hold<T> {
        self.hold_in(of_thread())
    }

    #[inline]
    fn hold_in(&self, lane: usize) -> Hold<T> {
        let lane = self.lanes[lane % LANES].get_or_init(|| Arc::new(Lane(Arc::clone(&self.value))));
        Hold(Arc::clone(lane))
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for Hold<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.0
    }
}

#[cfg(all(test, not(any(loom_cores, shuttle_cores))))]
mod tests {
    use super::*;

    /// What is held stays for as long as anybody holds it, in whatever lane, and no longer.
    #[test]
    fn what_is_held_stays() {
        let value = Arc::new(5);
        let held = Held::new(Arc::clone(&value));
        let holds: Vec<_> = (0..2 * LANES).map(|lane| held.hold_in(lane)).collect();
        let one = held.hold();
        drop(held);
        assert!(holds.iter().all(|hold| ***hold == 5));
        drop(holds);
        assert_eq!(Arc::strong_count(&value), 2);
        drop(one);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    /// Lanes share nothing that is written: not even what processors fetch at once.
    #[test]
    fn lanes_are_apart() {
        let held = Held::new(5);
        let [one, other] = [0, 1].map(|lane| held.hold_in(lane));
        assert!(!Arc::ptr_eq(&one.0, &other.0));
        assert!(align_of::<Lane<u8>>() >= 128 && align_of::<Held<u8>>() >= 128);
        assert!(Arc::ptr_eq(&one.0, &held.hold_in(LANES).0));
    }
}
