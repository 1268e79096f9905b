//! What a call has drawn.

use std::{fmt, mem, sync::Arc};

use tokio::time::Instant;

use super::{
    estimate::Estimate,
    event::TokenBudgetEvent,
    gate::{Gate, Line},
    layer::Rules,
    ledger::Sent,
    open_calls,
    routes::{Found, Kept},
    state::State,
    terms::Draw,
};
use crate::{
    call::CallContext,
    cause::Limit,
    clock,
    reply::{Usage, UsageEstimate},
    send_signal::SendSignal,
};

/// What an admitted call has drawn of its quotas.
///
/// Dropping it while the call is under way keeps what it holds until that has aged out: nobody knows
/// what the service has done. Dropping it before gives everything back.
pub(super) struct Hold {
    // What was drawn is with the open call: a hold is moved several times on its way. And the one thing
    // that counts who has it is the rules: they keep the routes, which keep the gate.
    rules: Arc<Rules>,
    gate: Kept,
    /// The open call at the gate.
    key: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Counted as sent. The inner service does not have the call, or was not waited for: nothing need
    /// be sent.
    Admitted,
    /// Counted as waiting below.
    Recalled,
    /// The inner service is being waited for, for the first time.
    Begun,
    /// The inner service was waited for.
    UnderWay,
    /// Settled.
    Over,
}

impl Hold {
    /// What the call of `key`, open at `gate`, has drawn.
    #[inline]
    pub(super) fn new(rules: &Arc<Rules>, gate: Kept, key: u64) -> Self {
        Self {
            rules: Arc::clone(rules),
            gate,
            key,
            stage: Stage::Admitted,
        }
    }

    /// What a call has drawn that stood in line at `gate` and was let go.
    pub(super) fn of_waiter(
        rules: &Arc<Rules>,
        gate: Arc<Gate>,
        call: &CallContext,
        draw: Draw,
        line: Line,
        sent: Sent,
    ) -> Self {
        let mut state = gate.lock();
        state.ledger.admitted(draw.tokens);
        let key = state.open.open(draw, sent, line, call);
        drop(state);
        Self::new(rules, Found::Other(gate), key)
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// There is one as long as there are the rules.
    #[inline]
    pub(super) fn gate(&self) -> Option<&Arc<Gate>> {
        self.rules.quotas.kept(&self.gate)
    }

    /// Tells the gate when the call is really sent, if it waits below.
    #[inline]
    pub(super) fn signal(&self) -> Option<SendSignal> {
        self.gate()?.signal(self.key)
    }

    /// The call does not go at once after all: what it draws counts, and does not age, until it
    /// does.
    pub(super) fn recall(&mut self, now: Instant) {
        if self.stage == Stage::Admitted {
            self.stage = Stage::Recalled;
            if let Some(gate) = self.gate() {
                gate.at(now, |state| state.recall(self.key));
            }
        }
    }

    /// The call goes now. `false` if something has come between: then it has drawn nothing, and has
    /// to be admitted anew.
    pub(super) fn send(&mut self) -> bool {
        if self.stage != Stage::Recalled {
            return true;
        }
        self.stage = Stage::Admitted;
        let now = Instant::now();
        let is_sent = self
            .gate()
            .is_none_or(|gate| gate.at(now, |state| state.send(self.key)));
        if !is_sent {
            self.finish(now, |_, _, _| {});
        }
        is_sent
    }

    /// The inner service has the call, and is waited for now.
    #[inline]
    pub(super) fn begins(&mut self) {
        if self.stage == Stage::Admitted {
            self.stage = Stage::Begun;
        }
    }

    /// The inner service does not answer at once.
    #[inline]
    pub(super) fn waits(&mut self) {
        if self.stage == Stage::Begun {
            self.stage = Stage::UnderWay;
            if let Some(gate) = self.gate() {
                gate.at(clock::now(), |state| state.send_late(self.key));
            }
        }
    }

    /// The call used `usage`.
    #[inline]
    pub(super) fn settle(mut self, now: Instant, usage: &Usage) {
        let is_first_poll = self.stage == Stage::Begun;
        let is_settled = self
            .gate()
            .is_some_and(|gate| gate.settle_at_rest(now, self.key, is_first_poll, usage));
        if is_settled {
            self.stage = Stage::Over;
        } else {
            self.settle_otherwise(now, usage);
        }
    }

    #[cold]
    fn settle_otherwise(&mut self, now: Instant, usage: &Usage) {
        self.finish(now, |state, draw, sent| {
            if let Estimate::Size(size) = &draw.estimate {
                state.calibration.observe(size, usage.all_input());
            }
            state.answers.observe(sent.age(state.ledger.now()));
            let used = state.terms.charge(usage);
            state.ledger.settle(sent, draw.tokens, used);
        });
    }

    /// The call used about `estimate`, which teaches nothing of what calls use.
    pub(super) fn settle_estimate(mut self, now: Instant, estimate: &UsageEstimate) {
        self.finish(now, |state, draw, sent| {
            let usage = estimate.with_input(draw.input);
            let used = state.terms.charge(&usage);
            state.ledger.settle_estimate(sent, draw.tokens, used);
        });
    }

    /// The call used its input and nothing else.
    pub(super) fn settle_input(mut self, now: Instant) {
        self.finish(now, |state, draw, sent| {
            let used = draw.input.min(draw.tokens);
            state.ledger.settle(sent, draw.tokens, used);
        });
    }

    /// The service did nothing for the call.
    pub(super) fn give_back(mut self, now: Instant) {
        self.finish(now, |state, draw, sent| {
            state.ledger.give_back(sent, draw.tokens);
        });
    }

    /// The service refused the call for `limit`. Tells what that taught, if it taught anything.
    pub(super) fn learn(mut self, now: Instant, limit: Limit) {
        let mut learned = None;
        self.finish(now, |state, draw, sent| {
            learned = state.ledger.refused(sent, draw.tokens, limit);
        });
        if let Some(learned) = learned
            && let Some(gate) = self.gate()
        {
            self.rules.tell(&TokenBudgetEvent::Learned {
                key: gate.key(),
                limit,
                learned,
            });
        }
    }

    /// Nobody knows what the call used: its hold stays until it has aged out.
    pub(super) fn lapse(mut self, now: Instant) {
        self.finish(now, |state, draw, sent| {
            state.ledger.lapse(sent, draw.tokens);
        });
    }

    fn finish(&mut self, now: Instant, settle: impl FnOnce(&mut State, Draw, Sent)) {
        let stage = mem::replace(&mut self.stage, Stage::Over);
        if stage == Stage::Over {
            return;
        }
        let key = self.key;
        let Some(gate) = self.gate() else {
            return;
        };
        // Who was to be told is dropped when the lock is released.
        let _above = gate.at(now, |state| {
            if stage == Stage::Begun {
                state.send_late(key);
            }
            let (draw, stage, above) = state.open.close(key)?;
            match stage {
                open_calls::Stage::Reserved => state.ledger.unreserve(draw.tokens),
                open_calls::Stage::Sent(sent) => settle(state, draw, sent),
                open_calls::Stage::Out | open_calls::Stage::Closed => {}
            }
            above
        });
    }

    #[cold]
    fn abandon(&mut self) {
        let was_waited_for = matches!(self.stage, Stage::Begun | Stage::UnderWay);
        self.finish(Instant::now(), |state, draw, sent| {
            if was_waited_for {
                state.ledger.lapse(sent, draw.tokens);
            } else {
                state.ledger.give_back(sent, draw.tokens);
            }
        });
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        if self.stage != Stage::Over {
            self.abandon();
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("key", &self.gate().map(|gate| gate.key()))
            .finish_non_exhaustive()
    }
}
