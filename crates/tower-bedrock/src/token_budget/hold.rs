//! What a call has drawn.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{
    estimate::Estimate,
    gate::{Gate, State},
    ledger::Sent,
    terms::Draw,
};
use crate::{cause::Limit, reply::Usage};

/// What an admitted call has drawn of its quotas.
///
/// Dropping it while the call is sent keeps what it holds until that has aged out: nobody knows what
/// the service has done. Dropping it before gives everything back.
pub(super) struct Hold {
    gate: Arc<Gate>,
    draw: Draw,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Reserved,
    Sent(Sent),
    Over,
}

impl Hold {
    pub(super) const fn sent(gate: Arc<Gate>, draw: Draw, sent: Sent) -> Self {
        Self {
            gate,
            draw,
            stage: Stage::Sent(sent),
        }
    }

    pub(super) fn gate_arc(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// The call does not go at once after all: what it draws counts, and does not age, until it
    /// does.
    pub(super) fn recall(&mut self, now: Instant) {
        if let Stage::Sent(sent) = self.stage {
            let tokens = self.draw.tokens;
            self.stage = Stage::Reserved;
            self.gate.at(now, |state| state.ledger.recall(sent, tokens));
        }
    }

    /// The call goes now. `false` if something has come between: then it has drawn nothing, and has
    /// to be admitted anew.
    pub(super) fn send(&mut self) -> bool {
        let Stage::Reserved = self.stage else {
            return matches!(self.stage, Stage::Sent(_));
        };
        let tokens = self.draw.tokens;
        self.stage = self.gate.at(Instant::now(), |state| {
            if state.ledger.can_send(tokens) {
                Stage::Sent(state.ledger.send(tokens))
            } else {
                state.ledger.unreserve(tokens);
                Stage::Over
            }
        });
        matches!(self.stage, Stage::Sent(_))
    }

    /// The call used `usage`.
    pub(super) fn settle(mut self, now: Instant, usage: &Usage) {
        let estimate = self.draw.estimate;
        self.finish(now, |state, tokens, sent| {
            if let Estimate::Size(size) = estimate {
                let input = usage.total().saturating_sub(usage.output);
                state.calibration.observe(&size, input);
            }
            let used = state.terms.charge(usage);
            state.ledger.settle(sent, tokens, used);
        });
    }

    /// The call used its input and nothing else.
    pub(super) fn settle_input(mut self, now: Instant) {
        let input = self.draw.input;
        self.finish(now, |state, tokens, sent| {
            state.ledger.settle(sent, tokens, input.min(tokens));
        });
    }

    /// The service did nothing for the call.
    pub(super) fn give_back(mut self, now: Instant) {
        self.finish(now, |state, tokens, sent| {
            state.ledger.give_back(sent, tokens);
        });
    }

    /// The service refused the call for `limit`. Returns what it taught, if it taught anything.
    pub(super) fn refused(mut self, now: Instant, limit: Limit) -> Option<u64> {
        let mut learned = None;
        self.finish(now, |state, tokens, sent| {
            learned = state.ledger.refused(sent, tokens, limit);
        });
        learned
    }

    /// Nobody knows what the call used: its hold stays until it has aged out.
    pub(super) fn lapse(mut self, now: Instant) {
        self.finish(now, |state, tokens, sent| {
            state.ledger.lapse(sent, tokens);
        });
    }

    fn finish(&mut self, now: Instant, settle: impl FnOnce(&mut State, u64, Sent)) {
        let tokens = self.draw.tokens;
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Reserved => self.gate.at(now, |state| state.ledger.unreserve(tokens)),
            Stage::Sent(sent) => self.gate.at(now, |state| settle(state, tokens, sent)),
            Stage::Over => {}
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.finish(Instant::now(), |state, tokens, sent| {
                state.ledger.lapse(sent, tokens);
            });
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("key", self.gate.key())
            .field("tokens", &self.draw.tokens)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
