//! A call that a circuit has let through.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{
    circuit::Circuit,
    entrance::Entrance,
    outcome::{Outcome, Ticket},
    send_clock::SendClock,
};
use crate::{
    call::CallContext,
    cause::{BreakerReaction, Cause},
    clock,
    error::Error,
    reply::{BedrockResponse, Finish, Watcher},
    sync::Arc,
};

/// What a circuit has let through, and is told the outcome of: the probe's place, if it is a probe.
///
/// Dropping it tells that nobody waits any more.
// In the order in which it is written: whole words first. A permit is moved several times on its way,
// and with the `Instant`, which is not a whole number of words, between them each move is a stall:
// ten of sixty-five nanoseconds a call (`benches/circuit_breaker.rs`).
#[repr(C)]
pub(super) struct Permit {
    entrance: Arc<Entrance>,
    ticket: Ticket,
    /// When the call was sent, if that matters.
    clock: Option<Arc<SendClock>>,
    deadline: Option<Instant>,
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
    /// A call that the circuit behind `entrance` has admitted by `ticket`.
    #[inline]
    pub(super) const fn new(
        entrance: Arc<Entrance>,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            entrance,
            ticket,
            deadline,
            clock: None,
            is_slow: false,
            stage: Stage::Called,
        }
    }

    #[inline]
    fn circuit(&self) -> &Arc<Circuit> {
        &self.entrance.circuit
    }

    /// The same call, which is sent now, or when layers below say so.
    #[cold]
    pub(super) fn timed(mut self, now: Instant, call: &mut CallContext) -> Self {
        let asks_again = self.circuit().settings().policy.ask_again_when_sent;
        let asks_again = asks_again.then(|| (Arc::clone(self.circuit()), self.ticket));
        self.clock = Some(SendClock::start(now, asks_again, call));
        self
    }

    /// The inner service does not answer at once.
    pub(super) const fn waits(&mut self) {
        self.stage = Stage::UnderWay;
    }

    /// The response is there, or will never be: from here on, the caller sets the pace.
    #[inline]
    fn stop_clock(&mut self) {
        if self.clock.is_some() {
            self.note_slowness();
            self.clock = None;
        }
    }

    /// The response is there: finds out what comes of the call when that is finished.
    #[inline]
    pub(super) fn watch(permit: &mut Option<Self>, response: &mut impl BedrockResponse) {
        let Some(known) = permit else {
            return;
        };
        known.stop_clock();
        if response.is_whole() {
            // Where it is: to hand it to a watcher is to move it.
            known.answered();
            *permit = None;
        } else if let Some(permit) = permit.take() {
            response.watch(Answered(permit));
        }
    }

    #[cold]
    pub(super) fn failed(mut self, error: &Error) {
        self.settle_failure(error);
    }

    /// The response has broken off.
    #[cold]
    fn broke(&mut self, error: &Error) {
        self.stage = Stage::UnderWay;
        self.settle_failure(error);
    }

    fn settle_failure(&mut self, error: &Error) {
        let outcome = self.outcome_of(error);
        self.settle(outcome);
    }

    fn answered(&mut self) {
        if self.is_slow {
            return self.settle(Outcome::Success { is_slow: true });
        }
        self.stage = Stage::Settled;
        let Entrance { circuit, lane } = &*self.entrance;
        circuit.answered(*lane, clock::now(), self.ticket);
    }

    #[cold]
    fn settle(&mut self, outcome: Outcome) {
        self.stage = Stage::Settled;
        self.circuit().settle(clock::now(), self.ticket, outcome);
    }

    fn outcome_of(&mut self, error: &Error) -> Outcome {
        let settings = self.circuit().settings();
        let (cause, hint) = (error.cause(), error.retry_after());
        let reaction = match cause {
            Cause::DeadlineExceeded if self.is_sent() => self.deadline_reaction(),
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

    /// Whether the call was sent, as far as that can be told. What refuses it without sending it does
    /// so at once, or says that it stands in line.
    fn is_sent(&self) -> bool {
        let is_in_line = self
            .clock
            .as_ref()
            .is_some_and(|clock| clock.sent_at().is_none());
        self.stage != Stage::Called && !is_in_line
    }

    /// What the circuit makes of a call that its deadline cut: the same as of one that got no answer
    /// in time.
    fn deadline_reaction(&self) -> BreakerReaction {
        let settings = self.circuit().settings();
        if settings.policy.count_deadlines {
            settings.reactions.get(Cause::Timeout).breaker
        } else {
            BreakerReaction::Ignore
        }
    }

    fn unanswered(&self, hint: Option<Duration>) -> Outcome {
        match self.circuit().settings().policy.slow_calls {
            Some(_) => Outcome::Slow { hint },
            None => Outcome::Failure {
                is_slow: false,
                hint,
            },
        }
    }

    /// Whether it has taken too long already.
    #[cold]
    fn note_slowness(&mut self) -> bool {
        let limit = self.circuit().settings().policy.slow_after();
        let sent_at = self.clock.as_ref().and_then(|clock| clock.sent_at());
        if let (Some(sent_at), Some(limit)) = (sent_at, limit) {
            self.is_slow = sent_at.elapsed() > limit;
        }
        self.is_slow
    }

    /// What it says of the route that nobody waits any more.
    fn outcome_of_drop(&mut self, now: Instant) -> Outcome {
        if !self.is_sent() {
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

    /// The call was dropped before it was over.
    #[cold]
    fn dropped(&mut self) {
        let now = Instant::now();
        let outcome = self.outcome_of_drop(now);
        self.abandon(now, outcome);
    }

    #[cold]
    fn abandon(&mut self, now: Instant, outcome: Outcome) {
        self.stage = Stage::Settled;
        self.circuit().abandon(now, self.ticket, outcome);
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        if self.stage != Stage::Settled {
            self.dropped();
        }
    }
}

impl Watcher for Answered {
    #[inline]
    fn finish(&mut self, finish: Finish<'_>) {
        let Self(permit) = self;
        match finish {
            Finish::Complete => permit.answered(),
            Finish::Failed(error) => permit.broke(error),
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
            .field("route", self.circuit().route())
            .field("ticket", &self.ticket)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
