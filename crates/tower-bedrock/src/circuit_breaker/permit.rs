//! A call that a circuit has let through.

use std::{fmt, sync::Arc};

use tokio::time::Instant;

use super::{
    breaker::{Outcome, Ticket},
    circuit::Circuit,
};
use crate::{
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
    /// Whether the response came too late.
    is_slow: bool,
    stage: Stage,
}

/// A call whose response is there. What comes of it is known when that is finished.
struct Answered(Permit);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The inner service has the call, and was not yet waited for: nothing need be sent.
    Called,
    /// The inner service is being waited for.
    UnderWay,
    /// The circuit knows what came of the call.
    Settled,
}

impl Permit {
    /// A call that `circuit` has admitted by `ticket`.
    #[inline]
    pub(super) const fn new(
        circuit: Arc<Circuit>,
        ticket: Ticket,
        deadline: Option<Instant>,
        sent_at: Option<Instant>,
    ) -> Self {
        Self {
            circuit,
            ticket,
            deadline,
            sent_at,
            is_slow: false,
            stage: Stage::Called,
        }
    }

    /// The inner service does not answer at once.
    pub(super) const fn waits(&mut self) {
        self.stage = Stage::UnderWay;
    }

    /// The response is there. What comes of the call is known when that is finished.
    #[inline]
    pub(super) fn answered(self, response: &mut impl BedrockResponse) {
        response.watch(Answered(match self.sent_at {
            Some(_) => self.timed(),
            None => self,
        }));
    }

    /// The same call, which has taken as long as it will: from here on, the caller sets the pace.
    #[inline(never)]
    fn timed(mut self) -> Self {
        self.note_slowness();
        self.sent_at = None;
        self
    }

    #[cold]
    pub(super) fn failed(mut self, error: &Error) {
        self.settle_failure(error);
    }

    fn settle_failure(&mut self, error: &Error) {
        let outcome = self.outcome_of(error);
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        self.stage = Stage::Settled;
        self.circuit.settle(Instant::now(), self.ticket, outcome);
    }

    fn outcome_of(&mut self, error: &Error) -> Outcome {
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
                let is_slow = self.note_slowness();
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

    /// Whether it has taken too long already.
    fn note_slowness(&mut self) -> bool {
        let limit = self.circuit.settings().policy.slow_after();
        if let (Some(sent_at), Some(limit)) = (self.sent_at, limit) {
            self.is_slow = sent_at.elapsed() > limit;
        }
        self.is_slow
    }

    /// What it says of the route that nobody waits any more.
    fn outcome_of_drop(&mut self, now: Instant) -> Outcome {
        if self.stage == Stage::Called {
            return Outcome::Nothing;
        }
        let is_late = self.deadline.is_some_and(|deadline| deadline <= now);
        let reaction = if is_late {
            self.deadline_reaction()
        } else {
            BreakerReaction::Ignore
        };
        match reaction {
            BreakerReaction::Failure => Outcome::Failure {
                is_slow: self.note_slowness(),
                hint: None,
            },
            BreakerReaction::Slow => self.unanswered(None),
            BreakerReaction::Ignore if self.note_slowness() => Outcome::Slow { hint: None },
            BreakerReaction::Ignore => Outcome::Nothing,
        }
    }

    fn abandon(&mut self, now: Instant, outcome: Outcome) {
        self.stage = Stage::Settled;
        self.circuit.abandon(now, self.ticket, outcome);
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        if self.stage != Stage::Settled {
            let now = Instant::now();
            let outcome = self.outcome_of_drop(now);
            self.abandon(now, outcome);
        }
    }
}

impl Watcher for Answered {
    fn finish(&mut self, finish: Finish<'_>) {
        let Self(permit) = self;
        match finish {
            Finish::Complete => permit.settle(Outcome::Success {
                is_slow: permit.is_slow,
            }),
            Finish::Failed(error) => {
                permit.stage = Stage::UnderWay;
                permit.settle_failure(error);
            }
            Finish::Abandoned => permit.abandon(Instant::now(), Outcome::Nothing),
        }
    }
}

/// A response that is let go without a word says nothing of the route.
impl Drop for Answered {
    #[inline]
    fn drop(&mut self) {
        if self.0.stage != Stage::Settled {
            self.0.abandon(Instant::now(), Outcome::Nothing);
        }
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
