//! What threads count at a circuit without its lock, each in a lane of its own.

use crate::sync::atomic::{AtomicU64, Ordering};

pub(super) use crate::lane::{LANES, of_thread};

/// Counts of the calls that are admitted, by [era](super::recent), and of those that are answered
/// while the lanes are open. Who holds the lock of the circuit opens and closes them, nobody else.
#[derive(Debug, Default)]
pub(super) struct Lanes([Lane; LANES]);

/// As wide as what processors fetch at once, so that no lane slows another down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    /// The era, above the number of calls that were admitted in it.
    admitted: AtomicU64,
    /// Whether the lane is open, for which generation and in which era; below that the calls that
    /// were answered since it was opened: of older eras, of the last and of this one.
    answered: AtomicU64,
}

/// Calls that were answered, by the era in which they were admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) this_era: u64,
    pub(super) last_era: u64,
    pub(super) older: u64,
}

const ADMITTED_ERA: u32 = 32;

/// How wide one of the three counts is.
const COUNT: u32 = 12;
const FULL: u64 = (1 << COUNT) - 1;
/// Era and generation are cut short. Of the generation that is enough: whoever comes has compared the
/// whole of it just before. Eras come again after two days.
const ERA: u32 = 3 * COUNT;
const ERAS: u64 = (1 << 14) - 1;
const GENERATION: u32 = 50;
const GENERATIONS: u64 = (1 << 13) - 1;
const OPEN: u64 = 1 << 63;
const CLOSED: u64 = 0;

impl Lanes {
    /// Counts a call that is admitted, and tells the era.
    #[inline]
    pub(super) fn admit(&self, lane: usize) -> u16 {
        let admitted = &self.0[lane % LANES].admitted;
        (admitted.fetch_add(1, Ordering::Relaxed) >> ADMITTED_ERA) as u16
    }

    /// Counts the answer to a call that was admitted in `generation` and `era`, unless the lane is
    /// closed, open for another generation, or full.
    #[inline]
    pub(super) fn answer(&self, lane: usize, generation: u64, era: u16) -> bool {
        let answered = &self.0[lane % LANES].answered;
        let mut known = answered.load(Ordering::Acquire);
        loop {
            let is_open_for = (OPEN >> GENERATION) | (generation & GENERATIONS);
            if known >> GENERATION != is_open_for {
                return false;
            }
            let age = (known >> ERA).wrapping_sub(u64::from(era)) & ERAS;
            let count = COUNT * age.min(2) as u32;
            if known >> count & FULL == FULL {
                return false;
            }
            let next = known + (1 << count);
            match answered.compare_exchange(known, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(changed) => known = changed,
            }
        }
    }

    /// Lets answers to calls of `generation` be counted, now that `era` is.
    pub(super) fn open(&self, generation: u64, era: u16) {
        let generation = (generation & GENERATIONS) << GENERATION;
        let era = (u64::from(era) & ERAS) << ERA;
        for lane in &self.0 {
            lane.answered
                .store(OPEN | generation | era, Ordering::Release);
        }
    }

    /// Lets none be counted any more, and tells of those that were.
    pub(super) fn close(&self) -> Answers {
        let mut answers = Answers::default();
        for lane in &self.0 {
            if lane.answered.load(Ordering::Relaxed) == CLOSED {
                continue;
            }
            let counts = lane.answered.swap(CLOSED, Ordering::AcqRel);
            answers.this_era += counts & FULL;
            answers.last_era += counts >> COUNT & FULL;
            answers.older += counts >> (2 * COUNT) & FULL;
        }
        answers
    }

    /// How many calls were admitted in this era.
    pub(super) fn admitted(&self) -> u64 {
        let admitted = self.0.iter().map(|lane| &lane.admitted);
        admitted
            .map(|admitted| count_of(admitted.load(Ordering::Relaxed)))
            .sum()
    }

    /// Begins `era`, and tells how many calls were admitted in the one before.
    pub(super) fn begin(&self, era: u16) -> u64 {
        let first = u64::from(era) << ADMITTED_ERA;
        let admitted = self.0.iter().map(|lane| &lane.admitted);
        admitted
            .map(|admitted| count_of(admitted.swap(first, Ordering::Relaxed)))
            .sum()
    }
}

const fn count_of(admitted: u64) -> u64 {
    admitted & ((1 << ADMITTED_ERA) - 1)
}

impl Answers {
    pub(super) const fn total(self) -> u64 {
        self.this_era + self.last_era + self.older
    }
}
