//! How a call's end is settled.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{charge::FailureCharge, event::TokenBudgetEvent, hold::Hold, layer::Rules};
use crate::{
    cause::Limit,
    error::Error,
    reply::{Finish, Usage, Watcher},
};

/// Settles a hold when its call is over.
pub(super) struct Settlement {
    /// Taken when it is settled.
    hold: Option<Hold>,
    usage: Option<Usage>,
    rules: Arc<Rules>,
}

impl Settlement {
    pub(super) const fn new(hold: Hold, rules: Arc<Rules>) -> Self {
        Self {
            hold: Some(hold),
            usage: None,
            rules,
        }
    }

    /// The call failed. A refusal for a limit teaches it.
    pub(super) fn failed(mut self, error: &Error) {
        self.settle_failure(error);
    }

    fn settle_failure(&mut self, error: &Error) {
        let Some(hold) = self.hold.take() else {
            return;
        };
        let now = Instant::now();
        if let Some(usage) = &self.usage {
            return hold.settle(now, usage);
        }
        // Our own layers' refusals teach nothing: they come from our own limits.
        let limit = self.rules.reactions.of(error).limit;
        match limit.filter(|_| !error.cause().is_own_refusal()) {
            Some(Limit::TokensPerDay) => self.close_day(hold, now),
            Some(limit) => self.learn(hold, now, limit),
            None => match self.rules.charges.get(error.cause()) {
                FailureCharge::Nothing => hold.give_back(now),
                FailureCharge::Input => hold.settle_input(now),
                FailureCharge::Hold => hold.lapse(now),
            },
        }
    }

    fn learn(&self, hold: Hold, now: Instant, limit: Limit) {
        let gate = hold.gate_arc();
        if let Some(learned) = hold.refused(now, limit) {
            self.rules.tell(&TokenBudgetEvent::Learned {
                key: gate.key(),
                limit,
                learned,
            });
        }
    }

    fn close_day(&self, hold: Hold, now: Instant) {
        let gate = hold.gate_arc();
        let until = self.rules.quotas.closes_until(&gate, now);
        // Closed first, so that nobody goes on what comes back.
        gate.at(now, |state| state.ledger.close(until));
        hold.give_back(now);
        let closed_for = Duration::from_nanos(until.saturating_sub(gate.time(now)));
        self.rules.tell(&TokenBudgetEvent::DayUsedUp {
            key: gate.key(),
            closed_for,
        });
    }
}

impl Watcher for Settlement {
    fn usage(&mut self, usage: &Usage) {
        self.usage = Some(*usage);
    }

    fn finish(&mut self, finish: Finish<'_>) {
        match finish {
            Finish::Failed(error) => self.settle_failure(error),
            // What is known is settled; without usage, the hold stays until it has aged out.
            Finish::Complete | Finish::Abandoned => {
                if let (Some(hold), Some(usage)) = (self.hold.take(), &self.usage) {
                    hold.settle(Instant::now(), usage);
                }
            }
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if self.hold.is_some() {
            self.finish(Finish::Abandoned);
        }
    }
}
