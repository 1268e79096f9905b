//! A call that a circuit has let through.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{
    breaker::{Outcome, Refused, Ticket},
    circuit::Circuit,
};
use crate::{
    call::CallContext,
    cause::{BreakerReaction, Cause},
    error::Error,
    reply::{BedrockResponse, Finish, Watcher},
};

/// What a circuit has let through, and is told the outcome of: the probe's place, if it is a probe.
///
/// Dropping it tells that nobody waits any more.
pub(super) struct Permit {
    circuit: Arc<Circuit>,
    ticket: Ticket,
    deadline: Option<Instant>,
    /// When the call was sent, if slow calls count.
    sent_at: Option<Instant>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The inner service has the call, and was not yet waited for: nothing need be sent.
    Called,
    /// The inner service is being waited for.
    UnderWay,
    /// The response is there, and may not be finished.
    Answered { is_slow: bool },
    /// The circuit knows what came of the call.
    Settled,
}

impl Permit {
    /// Asks `circuit` to let `call` through.
    pub(super) fn ask(
        circuit: Arc<Circuit>,
        call: &CallContext,
    ) -> Result<Self, (Arc<Circuit>, Refused)> {
        let policy = &circuit.settings().policy;
        let sent_at = policy.slow_calls.map(|_| Instant::now());
        let now = || sent_at.unwrap_or_else(Instant::now);
        match circuit.admit(now) {
            Ok(ticket) => Ok(Self {
                circuit,
                ticket,
                deadline: call.deadline,
                sent_at,
                stage: Stage::Called,
            }),
            Err(refused) => Err((circuit, refused)),
        }
    }

    /// The inner service does not answer at once.
    pub(super) const fn waits(&mut self) {
        self.stage = Stage::UnderWay;
    }

    /// The response is there. What comes of the call is known when that is finished.
    pub(super) fn answered(mut self, response: &mut impl BedrockResponse) {
        let is_slow = self.is_slow();
        self.stage = Stage::Answered { is_slow };
        response.watch(self);
    }

    pub(super) fn failed(mut self, error: &Error) {
        let outcome = self.outcome_of(error);
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        self.stage = Stage::Settled;
        self.circuit.settle(Instant::now(), self.ticket, outcome);
    }

    fn outcome_of(&self, error: &Error) -> Outcome {
        let settings = self.circuit.settings();
        let (cause, hint) = (error.cause(), error.retry_after());
        let reaction = match cause {
            Cause::DeadlineExceeded if self.stage == Stage::Called => BreakerReaction::Ignore,
            Cause::DeadlineExceeded => self.deadline_reaction(),
            cause if cause.is_own_refusal() => BreakerReaction::Ignore,
            _ => settings.reactions.of(error).breaker,
        };
        match reaction {
            BreakerReaction::Failure => {
                let is_slow = self.is_slow();
                Outcome::Failure { is_slow, hint }
            }
            BreakerReaction::Slow => self.unanswered(hint),
            BreakerReaction::Ignore if cause.is_throttle() => Outcome::Throttled { hint },
            BreakerReaction::Ignore => Outcome::Nothing,
        }
    }

    /// What the circuit makes of a call that its deadline cut: the same as of one that got no answer
    /// in time.
    fn deadline_reaction(&self) -> BreakerReaction {
        let settings = self.circuit.settings();
        if settings.policy.count_deadlines {
            settings.reactions.get(Cause::Timeout).breaker
        } else {
            BreakerReaction::Ignore
        }
    }

    fn unanswered(&self, hint: Option<std::time::Duration>) -> Outcome {
        match self.circuit.settings().policy.slow_calls {
            Some(_) => Outcome::Slow { hint },
            None => Outcome::Failure {
                is_slow: false,
                hint,
            },
        }
    }

    /// Whether it has taken for too long to get a response.
    fn is_slow(&self) -> bool {
        if let Stage::Answered { is_slow } = self.stage {
            return is_slow;
        }
        let limit = self.circuit.settings().policy.slow_after();
        match (self.sent_at, limit) {
            (Some(sent_at), Some(limit)) => sent_at.elapsed() > limit,
            _ => false,
        }
    }

    /// Nobody waits any more.
    fn abandon(&mut self) {
        let now = Instant::now();
        let is_late = self.deadline.is_some_and(|deadline| deadline <= now);
        let reaction = match self.stage {
            Stage::Settled => return,
            Stage::Called | Stage::Answered { .. } => BreakerReaction::Ignore,
            Stage::UnderWay if is_late => self.deadline_reaction(),
            Stage::UnderWay => BreakerReaction::Ignore,
        };
        let outcome = match reaction {
            BreakerReaction::Failure => Outcome::Failure {
                is_slow: self.is_slow(),
                hint: None,
            },
            BreakerReaction::Slow => self.unanswered(None),
            BreakerReaction::Ignore if self.stage == Stage::UnderWay && self.is_slow() => {
                Outcome::Slow { hint: None }
            }
            BreakerReaction::Ignore => Outcome::Nothing,
        };
        self.stage = Stage::Settled;
        self.circuit.abandon(now, self.ticket, outcome);
    }
}

impl Watcher for Permit {
    fn finish(&mut self, finish: Finish<'_>) {
        let outcome = match finish {
            Finish::Complete => Outcome::Success {
                is_slow: self.is_slow(),
            },
            Finish::Failed(error) => self.outcome_of(error),
            Finish::Abandoned => return self.abandon(),
        };
        self.settle(outcome);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("route", self.circuit.route())
            .field("ticket", &self.ticket)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
