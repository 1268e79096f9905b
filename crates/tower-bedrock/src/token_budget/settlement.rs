//! How a call's end is settled.

use std::time::Duration;

use tokio::time::Instant;

use super::{charge::FailureCharge, event::TokenBudgetEvent, hold::Hold};
use crate::{
    cause::Limit,
    clock,
    error::Error,
    reply::{Finish, Usage, UsageEstimate, Watcher},
};

/// Settles a hold when its call is over.
pub(super) struct Settlement {
    /// Taken when it is settled.
    hold: Option<Hold>,
    /// In the place of usage, for a stream that does not tell it.
    estimate: Option<UsageEstimate>,
}

impl Settlement {
    #[inline]
    pub(super) const fn new(hold: Hold) -> Self {
        Self {
            hold: Some(hold),
            estimate: None,
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
        let now = clock::now();
        // A stream that had begun: it was admitted, and has used what came of it.
        if let Some(estimate) = &self.estimate {
            if hold.rules().reactions.of(error).limit == Some(Limit::TokensPerDay) {
                close_day(&hold, now);
            }
            return hold.settle_estimate(now, estimate);
        }
        // Our own layers' refusals teach nothing: they come from our own limits.
        let limit = hold.rules().reactions.of(error).limit;
        match limit.filter(|_| !error.cause().is_own_refusal()) {
            Some(Limit::TokensPerDay) => {
                // Closed first, so that nobody goes on what comes back.
                close_day(&hold, now);
                hold.give_back(now);
            }
            Some(limit) => hold.learn(now, limit),
            None => match hold.rules().charges.get(error.cause()) {
                FailureCharge::Nothing => hold.give_back(now),
                FailureCharge::Input => hold.settle_input(now),
                FailureCharge::Hold => hold.lapse(now),
            },
        }
    }

    /// The call is over, and has not failed. Where nothing is known, the hold stays until it has aged out.
    fn settle(&mut self) {
        if let Some(estimate) = &self.estimate
            && let Some(hold) = self.hold.take()
        {
            hold.settle_estimate(clock::now(), estimate);
        }
    }
}

/// The service has said that the day's tokens are used up.
fn close_day(hold: &Hold, now: Instant) {
    let Some(gate) = hold.gate() else {
        return;
    };
    let until = hold.rules().quotas.closes_until(gate, now);
    gate.at(now, |state| state.ledger.close(until));
    let closed_for = Duration::from_nanos(until.saturating_sub(gate.time(now)));
    hold.rules().tell(&TokenBudgetEvent::DayUsedUp {
        key: gate.key(),
        closed_for,
    });
}

impl Watcher for Settlement {
    /// However the reply ends, this is what it costs.
    #[inline]
    fn usage(&mut self, usage: &Usage) {
        if let Some(hold) = self.hold.take() {
            hold.settle(clock::now(), usage);
        }
    }

    fn estimate(&mut self, estimate: &UsageEstimate) {
        self.estimate = Some(*estimate);
    }

    #[inline]
    fn finish(&mut self, finish: Finish<'_>) {
        match finish {
            Finish::Failed(error) => self.settle_failure(error),
            Finish::Complete | Finish::Abandoned if self.hold.is_some() => self.settle(),
            Finish::Complete | Finish::Abandoned => {}
        }
    }
}

impl Drop for Settlement {
    #[inline]
    fn drop(&mut self) {
        if self.hold.is_some() {
            self.settle();
        }
    }
}
