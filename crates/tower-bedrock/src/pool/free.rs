//! Places that are taken and given back without a lock, while nobody waits for one.

use crate::sync::atomic::{AtomicU64, Ordering};

/// How many places are free, in one word; or that whoever asks has to take the lock.
///
/// Whoever has the lock closes it, changes what there is to be changed, and opens it again with as many
/// places as are free then, unless somebody stands in line.
#[derive(Debug)]
pub(super) struct FreePlaces(AtomicU64);

/// What happened while the places were open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many are free.
    pub(super) free: u64,
    /// The fewest that were.
    pub(super) least_free: u64,
    /// How often one was taken.
    pub(super) taken: u64,
}

/// What came of taking a place, or of giving one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// It is done.
    Done,
    /// It is done; the pool has become full by it, or is no longer full.
    AtTheEdge,
    /// Not done: that takes the lock.
    Closed,
}

/// The word: how many are free, the fewest that were, how often one was taken, and whether it is closed.
const BITS: u32 = 21;
/// The most that each of them can tell. What is more takes the lock once in a while.
pub(super) const MOST: u64 = (1 << BITS) - 1;
const FREE: u64 = 1;
const LEAST_FREE: u64 = 1 << BITS;
const TAKEN: u64 = 1 << (2 * BITS);
const CLOSED: u64 = 1 << (3 * BITS);

impl FreePlaces {
    pub(super) fn closed() -> Self {
        Self(AtomicU64::new(CLOSED))
    }

    /// Takes a place.
    #[inline]
    pub(super) fn take(&self) -> Changed {
        self.change(|word| {
            let tally = Tally::of(word);
            if tally.free == 0 || tally.taken == MOST {
                return None;
            }
            let least = if tally.least_free == tally.free {
                LEAST_FREE
            } else {
                0
            };
            Some((word + TAKEN - FREE - least, tally.free == 1))
        })
    }

    /// Gives one back.
    #[inline]
    pub(super) fn give_back(&self) -> Changed {
        self.change(|word| {
            let free = Tally::of(word).free;
            (free < MOST).then_some((word + FREE, free == 0))
        })
    }

    #[inline]
    fn change(&self, change: impl Fn(u64) -> Option<(u64, bool)>) -> Changed {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Changed::Closed;
            }
            let Some((changed, is_edge)) = change(word) else {
                return Changed::Closed;
            };
            let exchanged =
                (self.0).compare_exchange_weak(word, changed, Ordering::AcqRel, Ordering::Relaxed);
            match exchanged {
                Ok(_) if is_edge => return Changed::AtTheEdge,
                Ok(_) => return Changed::Done,
                Err(now) => word = now,
            }
        }
    }

    /// How many are free, unless it is closed.
    #[inline]
    pub(super) fn free(&self) -> Option<u64> {
        let word = self.0.load(Ordering::Acquire);
        (word & CLOSED == 0).then(|| Tally::of(word).free)
    }

    /// Has everybody take the lock from now on. Returns what has happened; `None` if it was closed.
    pub(super) fn close(&self) -> Option<Tally> {
        let word = self.0.swap(CLOSED, Ordering::AcqRel);
        (word & CLOSED == 0).then(|| Tally::of(word))
    }

    /// Opens with `free` places, at most [`MOST`].
    pub(super) fn open(&self, free: u64) {
        let free = free.min(MOST);
        self.0.store(free * (FREE + LEAST_FREE), Ordering::Release);
    }
}

impl Tally {
    #[inline]
    const fn of(word: u64) -> Self {
        Self {
            free: word & MOST,
            least_free: (word / LEAST_FREE) & MOST,
            taken: (word / TAKEN) & MOST,
        }
    }
}
