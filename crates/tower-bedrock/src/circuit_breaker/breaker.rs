//! The state machine of one circuit.

mod quiet;

use std::time::Duration;

use tokio::time::Instant;

use super::{
    cooldown::Cooldown,
    event::TransitionReason,
    lanes::Lanes,
    later,
    outcome::{Change, Outcome, Refused, Ticket, View},
    policy::CircuitPolicy,
    recent::RecentCalls,
    snapshot::CircuitState,
    state::{Probe, State},
    window::{Counts, Window},
};
use crate::sync::Arc;

const MILLION: u64 = 1_000_000;

/// One circuit: what came of its calls, and whether the next one may go.
///
/// It has no clock: `now` is told. One that is before another that was told counts as that one.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: CircuitPolicy,
    /// The rates of failures and of slow calls that open it, in millionths.
    failure_rate: Option<u64>,
    slow_rate: Option<u64>,
    now: Instant,
    state: State,
    /// Counts transitions. What was admitted in one generation says nothing in another.
    generation: u64,
    window: Window,
    recent: RecentCalls,
    consecutive_failures: u32,
    cooldown: Cooldown,
    abandoned: u64,
    refused: u64,
}

impl Breaker {
    pub(super) fn new(now: Instant, policy: CircuitPolicy) -> Self {
        Self {
            now,
            state: State::Closed,
            generation: 0,
            window: Window::new(now, policy.window),
            recent: RecentCalls::new(now),
            consecutive_failures: 0,
            cooldown: Cooldown::new(now, &policy),
            abandoned: 0,
            refused: 0,
            failure_rate: policy.failure_rate.map(millionths),
            slow_rate: policy.slow_calls.map(|slow| millionths(slow.rate)),
            policy,
        }
    }

    /// Whether calls pass without being asked for.
    pub(super) const fn passes(&self) -> bool {
        matches!(self.state, State::Closed | State::ForcedClosed)
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The [era](super::recent) of calls that are admitted now.
    pub(super) const fn era(&self) -> u16 {
        self.recent.era()
    }

    pub(super) const fn is_forgotten(&self) -> bool {
        matches!(self.state, State::Forgotten)
    }

    /// Where calls are counted that pass without being asked for.
    pub(super) const fn lanes(&self) -> &Arc<Lanes> {
        self.recent.lanes()
    }

    /// Asks for admission. An open circuit whose cooldown is over becomes half-open by it.
    pub(super) fn admit(&mut self, now: Instant) -> (Result<Ticket, Refused>, Option<Change>) {
        let now = self.advance(now);
        let mut change = None;
        if let State::Open { until } = self.state
            && until <= now
        {
            change = Some(self.turn(State::half_open(), TransitionReason::CooldownOver, None));
        }
        (self.take_place(now), change)
    }

    fn take_place(&mut self, now: Instant) -> Result<Ticket, Refused> {
        if let State::Forgotten = self.state {
            return Err(Refused::Forgotten);
        }
        if let Err(retry_in) = self.state.passage(now, self.policy.probes) {
            self.refused += 1;
            return Err(Refused::Open { retry_in });
        }
        let mut ticket = Ticket::new(self.generation, self.recent.admit());
        if let State::HalfOpen { probes, sent, .. } = &mut self.state {
            let until = later(now, self.policy.probe_limit);
            *sent = sent.wrapping_add(1);
            ticket = ticket.of_probe(*sent);
            probes.retain(|probe| probe.until > now);
            probes.push(Probe {
                number: *sent,
                until,
            });
        }
        Ok(ticket)
    }

    /// Refuses a call that would not be admitted now, and leaves it be if it would: when it is worth
    /// asking again.
    pub(super) fn refuse_early(&mut self, now: Instant) -> Result<(), Option<Duration>> {
        let passage = self.view(now).passage;
        self.refused += u64::from(passage.is_err());
        passage
    }

    /// A call that was refused waits instead.
    pub(super) const fn waits_instead(&mut self) {
        self.refused = self.refused.saturating_sub(1);
    }

    /// A call that waited is refused after all.
    pub(super) const fn waited_in_vain(&mut self) {
        self.refused += 1;
    }

    /// Asks once more for a call that was admitted by `ticket`: it may go while calls pass, or if it
    /// is a probe of this generation.
    pub(super) fn ask_again(
        &mut self,
        now: Instant,
        ticket: Ticket,
    ) -> Result<(), Option<Duration>> {
        let passage = self.view(now).passage;
        if self.passes() || ticket.is_of(self.generation) {
            return Ok(());
        }
        self.refused += 1;
        Err(passage.err().flatten())
    }

    /// A call that was admitted by `ticket` is over. `draw` takes a time up to the one it is given.
    #[inline]
    pub(super) fn settle(
        &mut self,
        now: Instant,
        ticket: Ticket,
        outcome: Outcome,
        draw: impl FnOnce(Duration) -> Duration,
    ) -> Option<Change> {
        let now = self.advance(now);
        let is_recent = self.recent.end(ticket.era());
        if !ticket.is_of(self.generation) {
            return None;
        }
        let reason = match &self.state {
            State::Closed => self.count(now, is_recent, outcome)?,
            State::HalfOpen { .. } => return self.settle_probe(now, ticket, outcome, draw),
            _ => return None,
        };
        self.cooldown.decay(now);
        Some(self.open(now, reason, draw))
    }

    /// Nobody waits any more for a call that was admitted by `ticket`, and `outcome` is what that
    /// says of the route.
    pub(super) fn abandon(
        &mut self,
        now: Instant,
        ticket: Ticket,
        outcome: Outcome,
        draw: impl FnOnce(Duration) -> Duration,
    ) -> Option<Change> {
        self.abandoned += 1;
        self.settle(now, ticket, outcome, draw)
    }

    /// Counts what came of a call through the closed circuit, and tells whether that trips it.
    #[inline]
    fn count(
        &mut self,
        now: Instant,
        is_recent: bool,
        outcome: Outcome,
    ) -> Option<TransitionReason> {
        match outcome {
            Outcome::Success { is_slow } => {
                self.window.record(false, is_slow);
                self.consecutive_failures = 0;
            }
            Outcome::Failure { is_slow, hint } => {
                self.window.record(true, is_slow);
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                self.cooldown.hint(now, hint);
            }
            Outcome::Slow { hint } => {
                self.window.record(false, true);
                self.cooldown.hint(now, hint);
            }
            Outcome::Throttled { .. } | Outcome::Nothing => return None,
        }
        let Counts { failures, slow, .. } = self.window.total();
        if failures == 0 && slow == 0 {
            return None;
        }
        self.verdict(is_recent)
    }

    /// Whether what was counted trips the circuit. `is_recent` tells of the call that was counted
    /// last: others that were sent with it may be under way.
    fn verdict(&self, is_recent: bool) -> Option<TransitionReason> {
        let policy = &self.policy;
        let Counts {
            calls,
            failures,
            slow,
        } = self.window.total();
        let under_way = if is_recent {
            self.recent.under_way()
        } else {
            0
        };
        let in_a_row = self.consecutive_failures;
        let is_row = policy
            .consecutive_failures
            .is_some_and(|most| in_a_row >= most);
        let is_enough = calls >= policy.min_calls;
        if is_row && u64::from(in_a_row) >= under_way {
            Some(TransitionReason::ConsecutiveFailures)
        } else if is_enough && is_over(failures, u64::from(calls) + under_way, self.failure_rate) {
            Some(TransitionReason::FailureRate)
        } else if is_enough && is_over(slow, calls.into(), self.slow_rate) {
            Some(TransitionReason::SlowCallRate)
        } else {
            None
        }
    }

    fn settle_probe(
        &mut self,
        now: Instant,
        ticket: Ticket,
        outcome: Outcome,
        draw: impl FnOnce(Duration) -> Duration,
    ) -> Option<Change> {
        let State::HalfOpen {
            probes, successes, ..
        } = &mut self.state
        else {
            return None;
        };
        probes.retain(|probe| probe.number != ticket.probe());
        match outcome {
            Outcome::Success { is_slow: false } => {
                *successes += 1;
                if *successes < self.policy.successes_to_close {
                    return None;
                }
                Some(self.close(TransitionReason::ProbesSucceeded))
            }
            Outcome::Success { is_slow: true } => {
                Some(self.open(now, TransitionReason::ProbeFailed, draw))
            }
            Outcome::Failure { hint, .. }
            | Outcome::Slow { hint }
            | Outcome::Throttled { hint } => {
                self.cooldown.hint(now, hint);
                Some(self.open(now, TransitionReason::ProbeFailed, draw))
            }
            Outcome::Nothing => None,
        }
    }

    /// Opens the circuit until it is told otherwise.
    pub(super) fn force_open(&mut self, now: Instant) -> Option<Change> {
        self.advance(now);
        match self.state {
            State::ForcedOpen | State::Forgotten => None,
            _ => Some(self.turn(State::ForcedOpen, TransitionReason::Forced, None)),
        }
    }

    /// Closes the circuit until it is told otherwise, whatever its calls say.
    pub(super) fn force_closed(&mut self, now: Instant) -> Option<Change> {
        self.advance(now);
        match self.state {
            State::ForcedClosed | State::Forgotten => None,
            _ => Some(self.turn(State::ForcedClosed, TransitionReason::Forced, None)),
        }
    }

    /// Closes the circuit as if nothing had ever happened.
    pub(super) fn reset(&mut self, now: Instant) -> Option<Change> {
        let now = self.advance(now);
        if let State::Forgotten = self.state {
            return None;
        }
        self.cooldown = Cooldown::new(now, &self.policy);
        Some(self.close(TransitionReason::Reset))
    }

    /// Lets nobody through any more: another circuit takes its place.
    pub(super) fn forget(&mut self) -> Option<Change> {
        let was_closed = self.state.name() == CircuitState::Closed;
        let change = self.turn(State::Forgotten, TransitionReason::Forgotten, None);
        (!was_closed).then_some(change)
    }

    /// What is known at `now`. Changes nothing but what time changes.
    pub(super) fn view(&mut self, now: Instant) -> View {
        let now = self.advance(now);
        View {
            state: self.state.name(),
            is_forced: self.state.is_forced(),
            generation: self.generation,
            counts: self.window.total(),
            consecutive_failures: self.consecutive_failures,
            probes: self.state.places(now),
            passage: self.state.passage(now, self.policy.probes),
            abandoned: self.abandoned,
            refused: self.refused,
        }
    }

    pub(super) const fn state(&self) -> CircuitState {
        self.state.name()
    }

    /// When it was last asked or told anything.
    pub(super) const fn last_used(&self) -> Instant {
        self.now
    }

    #[inline]
    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.window.advance(self.now);
        self.recent.advance(self.now);
        self.now
    }

    fn open(
        &mut self,
        now: Instant,
        reason: TransitionReason,
        draw: impl FnOnce(Duration) -> Duration,
    ) -> Change {
        let length = self.cooldown.next(now, draw);
        let until = later(now, length);
        self.turn(State::Open { until }, reason, Some(length))
    }

    fn close(&mut self, reason: TransitionReason) -> Change {
        self.cooldown.closed(self.now);
        self.turn(State::Closed, reason, None)
    }

    fn turn(&mut self, to: State, reason: TransitionReason, cooldown: Option<Duration>) -> Change {
        let from = std::mem::replace(&mut self.state, to).name();
        let counts = self.window.total();
        self.generation += 1;
        self.window.clear();
        self.consecutive_failures = 0;
        Change {
            from,
            to: self.state.name(),
            reason,
            generation: self.generation,
            cooldown,
            counts,
        }
    }
}

/// Whether `part` is some of it, and at least so many millionths.
fn is_over(part: u32, of: u64, rate: Option<u64>) -> bool {
    part > 0 && rate.is_some_and(|rate| u64::from(part) * MILLION >= of * rate)
}

/// A rate as a whole number, so that comparing it is exact.
fn millionths(rate: f64) -> u64 {
    ((rate * MILLION as f64).round() as u64).clamp(1, MILLION)
}
