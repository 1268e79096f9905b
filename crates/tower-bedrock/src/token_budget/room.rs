//! Whether a call is sure to fit, without the lock of its ledger.

use super::{calibration::most_tokens, state::State};
use crate::{
    call::Tokens,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// The least room that is worth telling, in tokens.
const LEAST: u64 = 1 << 10;
/// The most that is told; as good as no limit.
const MOST: u64 = 1 << 56;
/// Room is told in steps so large that most calls change nothing, and only ever too low.
const STEP: u32 = 2;

/// How much room a ledger is sure to have: so many tokens fit now, and fit later if nobody draws.
///
/// Made smaller by whoever draws, under the ledger's lock; made larger again by whoever looks because
/// it was too small to tell.
#[derive(Debug)]
pub(super) struct Room {
    /// 0 where it is not known that anything fits.
    tokens: AtomicU64,
    least: Arc<LeastRoom>,
    /// What a call holds for its output that leaves it to the model, and for each token of output.
    max_output: AtomicU64,
    held_rate: AtomicU64,
}

impl Room {
    /// That of a ledger that comes into being.
    pub(super) fn unknown(least: &Arc<LeastRoom>) -> Self {
        Self {
            tokens: AtomicU64::new(0),
            least: Arc::clone(least),
            max_output: AtomicU64::new(0),
            held_rate: AtomicU64::new(0),
        }
    }

    /// Whether a call with `tokens` fits for sure, whatever was learned of inputs of its size.
    pub(super) fn has(&self, tokens: &Tokens) -> bool {
        let room = self.tokens.load(Ordering::Acquire);
        if room == 0 {
            return false;
        }
        let max_output = self.max_output.load(Ordering::Relaxed);
        let rate = self.held_rate.load(Ordering::Relaxed);
        most(tokens, max_output, rate) <= room
    }

    /// Something was drawn, or given back. To be told before the lock is released.
    #[inline]
    pub(super) fn shrink(&self, state: &State) {
        let known = self.tokens.load(Ordering::Relaxed);
        if known > 0 && !state.has_room(known) {
            self.shrink_below(known, state);
        }
    }

    #[cold]
    fn shrink_below(&self, known: u64, state: &State) {
        let mut room = known >> STEP;
        while room >= LEAST && !state.has_room(room) {
            room >>= STEP;
        }
        let room = if room < LEAST { 0 } else { room };
        self.tokens.store(room, Ordering::Release);
        self.least.lower(room);
    }

    /// Nothing is known any more. To be told, with the lock held, before calls are counted otherwise.
    pub(super) fn forget(&self) {
        self.tokens.store(0, Ordering::Release);
        self.least.lower(0);
    }

    /// Whether it is known that anything fits.
    pub(super) fn is_known(&self) -> bool {
        self.tokens.load(Ordering::Relaxed) > 0
    }

    /// Tells again how much there is, if that is far more than was told.
    pub(super) fn grow(&self, state: &State) {
        let known = self.tokens.load(Ordering::Relaxed);
        let mut room = known.max(LEAST >> STEP);
        while room < MOST && state.has_room(room << (2 * STEP)) {
            room <<= STEP;
        }
        if room > known && room >= LEAST {
            self.max_output
                .store(state.terms.max_output(), Ordering::Relaxed);
            self.held_rate
                .store(state.terms.held_rate(), Ordering::Relaxed);
            self.tokens.store(room, Ordering::Release);
        }
    }
}

/// The most that a call with `tokens` draws, whatever was learned of inputs of its size.
fn most(tokens: &Tokens, max_output: u64, rate: u64) -> u64 {
    let input = match tokens.input {
        Some(input) => input.into(),
        None => most_tokens(&tokens.size),
    };
    let output = tokens.max_output.map_or(max_output, u64::from);
    input.saturating_add(output.saturating_mul(rate))
}

/// How much room all ledgers are sure to have, each of them: never more than any of them tells.
///
/// A ledger that tells less lowers it at once. It is raised by whoever looks at all of them, unless one of
/// them has told less meanwhile.
#[derive(Debug, Default)]
pub(super) struct LeastRoom {
    /// Tokens, below how often that was changed.
    told: AtomicU64,
    /// The most of any ledger, ever.
    max_output: AtomicU64,
    held_rate: AtomicU64,
    /// How often it was asked in vain, about.
    in_vain: AtomicU32,
}

const CHANGES: u32 = 48;
const TOLD: u64 = (1 << CHANGES) - 1;
/// Once for so many calls that find too little, all ledgers are looked at.
pub(super) const LOOKS: u32 = if cfg!(any(loom_cores, shuttle_cores)) {
    1
} else {
    64
};

impl LeastRoom {
    /// Whether a call with `tokens` fits for sure, wherever it goes.
    #[inline]
    pub(super) fn has(&self, tokens: &Tokens) -> bool {
        let room = self.told.load(Ordering::Acquire) & TOLD;
        if room == 0 {
            return false;
        }
        let max_output = self.max_output.load(Ordering::Relaxed);
        let rate = self.held_rate.load(Ordering::Relaxed);
        most(tokens, max_output, rate) <= room
    }

    /// Whether it is worth looking at all ledgers again.
    pub(super) fn is_to_be_looked_for(&self) -> bool {
        // Not counted exactly, so that those who ask need not wait for each other.
        let asked = self.in_vain.load(Ordering::Relaxed).wrapping_add(1);
        self.in_vain.store(asked, Ordering::Relaxed);
        asked.is_multiple_of(LOOKS)
    }

    /// A ledger has no more room than `room`.
    #[cold]
    fn lower(&self, room: u64) {
        let mut known = self.told.load(Ordering::Relaxed);
        // Changed even if it is less already: somebody may be about to raise it.
        while let Err(changed) = self.told.compare_exchange(
            known,
            next(known, room.min(known & TOLD)),
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            known = changed;
        }
    }

    /// A ledger comes into being.
    pub(super) fn forget(&self) {
        self.lower(0);
    }

    /// Raises it to the least of what the ledgers tell that `look` goes through, which are all. `false` if
    /// that is no more, or one of them has told less meanwhile: then it is looked for another time.
    pub(super) fn raise(&self, look: impl FnOnce(&mut Least)) -> bool {
        let known = self.told.load(Ordering::Acquire);
        let mut least = Least {
            room: TOLD,
            max_output: 0,
            held_rate: 0,
        };
        look(&mut least);
        if least.room <= known & TOLD {
            return false;
        }
        self.max_output
            .fetch_max(least.max_output, Ordering::Relaxed);
        self.held_rate.fetch_max(least.held_rate, Ordering::Relaxed);
        let raised = next(known, least.room);
        let raised = self
            .told
            .compare_exchange(known, raised, Ordering::AcqRel, Ordering::Relaxed);
        raised.is_ok()
    }
}

/// What several ledgers tell, put together.
pub(super) struct Least {
    room: u64,
    max_output: u64,
    held_rate: u64,
}

impl Least {
    /// Whether there is still any room.
    pub(super) const fn is_any(&self) -> bool {
        self.room > 0
    }

    /// Of a ledger nothing is known.
    pub(super) const fn add_unknown(&mut self) {
        self.room = 0;
    }

    pub(super) fn add(&mut self, room: &Room) {
        self.room = self.room.min(room.tokens.load(Ordering::Acquire));
        let max_output = room.max_output.load(Ordering::Relaxed);
        self.max_output = self.max_output.max(max_output);
        let held_rate = room.held_rate.load(Ordering::Relaxed);
        self.held_rate = self.held_rate.max(held_rate);
    }
}

const fn next(known: u64, room: u64) -> u64 {
    ((known >> CHANGES).wrapping_add(1) << CHANGES) | room
}
