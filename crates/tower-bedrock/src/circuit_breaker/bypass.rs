//! The way past a closed circuit that takes no lock.
//!
//! A call that goes through and is answered changes nothing but numbers, as long as no answer can open
//! the circuit. So it only counts, in the [lane](super::lanes) of its thread. Whoever takes the lock
//! closes the lanes, has the state machine know what they have counted, and opens them again when all
//! is done: to the state machine, answers come before it is asked or told anything else, or after.

use tokio::time::Instant;

use super::{breaker::Breaker, lanes::Lanes, nanos, outcome::Ticket};
use crate::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What is known of a circuit without its lock. Written by whoever holds that.
#[derive(Debug)]
pub(super) struct Bypass {
    start: Instant,
    /// The generation above two bits, whether calls pass and whether they are stopped. Neither is true
    /// of a circuit that is forgotten.
    word: AtomicU64,
    /// Until when answers count as of one moment, in nanoseconds from the start.
    until: AtomicU64,
    lanes: Arc<Lanes>,
}

/// What the word of a circuit is made of.
const PASSES: u64 = 1;
const STOPS: u64 = 2;
const GENERATION: u32 = 2;

impl Bypass {
    /// The way past `breaker`, which is as old as `start`. It is not open yet.
    pub(super) fn new(start: Instant, breaker: &Breaker) -> Self {
        Self {
            start,
            word: AtomicU64::new(word_of(breaker)),
            until: AtomicU64::new(0),
            lanes: Arc::clone(breaker.lanes()),
        }
    }

    /// The generation, if calls pass at the moment.
    #[inline]
    pub(super) fn passes(&self) -> Option<u64> {
        let word = self.word.load(Ordering::Acquire);
        (word & PASSES != 0).then_some(word >> GENERATION)
    }

    /// Admits a call that passes in `generation`.
    #[inline]
    pub(super) fn admit(&self, lane: usize, generation: u64) -> Ticket {
        Ticket::new(generation, self.lanes.admit(lane))
    }

    /// A call that was admitted by `ticket` is answered, and was not slow. Tells whether that is all
    /// that has to be done.
    #[inline]
    pub(super) fn answered(&self, lane: usize, now: Instant, ticket: Ticket) -> bool {
        let generation = self.word.load(Ordering::Acquire) >> GENERATION;
        ticket.is_of(generation)
            && self.since_start(now) < self.until.load(Ordering::Acquire)
            && self.lanes.answer(lane, generation, ticket.era())
    }

    /// Lets nobody past, and `breaker` know who went.
    pub(super) fn close(&self, breaker: &mut Breaker) {
        breaker.take_over(self.lanes.close());
    }

    /// Lets those past for whom `breaker` need not be asked.
    pub(super) fn open(&self, breaker: &Breaker) {
        if let Some(until) = breaker.quiet_until() {
            self.until.store(self.since_start(until), Ordering::Release);
            self.lanes.open(breaker.generation(), breaker.era());
        }
    }

    /// Tells those who look without the lock what has changed. Tells in turn if the circuit has come to
    /// stop calls, or to let them pass.
    pub(super) fn publish(&self, breaker: &Breaker) -> Option<bool> {
        let word = word_of(breaker);
        let known = self.word.load(Ordering::Relaxed);
        if word != known {
            self.word.store(word, Ordering::Release);
        }
        ((word ^ known) & STOPS != 0).then_some(word & STOPS != 0)
    }

    #[inline]
    fn since_start(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start))
    }
}

fn word_of(breaker: &Breaker) -> u64 {
    let generation = breaker.generation() << GENERATION;
    if breaker.passes() {
        generation | PASSES
    } else if breaker.is_forgotten() {
        generation
    } else {
        generation | STOPS
    }
}
