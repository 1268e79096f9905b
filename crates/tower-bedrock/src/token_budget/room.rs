//! Whether a call is sure to fit, without the lock of its ledger.

use super::{calibration::most_tokens, state::State};
use crate::{
    call::Tokens,
    sync::atomic::{AtomicU64, Ordering},
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
    /// What a call holds for its output that leaves it to the model, and for each token of output.
    max_output: AtomicU64,
    held_rate: AtomicU64,
}

impl Room {
    pub(super) fn unknown() -> Self {
        Self {
            tokens: AtomicU64::new(0),
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
        let input = match tokens.input {
            Some(input) => input.into(),
            None => most_tokens(&tokens.size),
        };
        let output = match tokens.max_output {
            Some(most) => most.into(),
            None => self.max_output.load(Ordering::Relaxed),
        };
        let rate = self.held_rate.load(Ordering::Relaxed);
        input.saturating_add(output.saturating_mul(rate)) <= room
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
    }

    /// Nothing is known any more. To be told, with the lock held, before calls are counted otherwise.
    pub(super) fn forget(&self) {
        self.tokens.store(0, Ordering::Release);
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
