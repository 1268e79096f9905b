//! When calls may be answered without the state machine, and what it makes of that later.

use tokio::time::Instant;

use super::{Breaker, is_over};
use crate::circuit_breaker::{lanes::Answers, state::State, window::Counts};

impl Breaker {
    /// Until when answers to calls of this generation may be counted in the lanes, to be
    /// [taken over](Self::take_over) later as if all of them had come at the same time; `None` if one
    /// of them might open the circuit.
    pub(in crate::circuit_breaker) fn quiet_until(&self) -> Option<Instant> {
        let is_quiet = match self.state {
            State::Closed => !self.may_answers_trip(),
            State::ForcedClosed => true,
            _ => false,
        };
        is_quiet.then(|| self.window.now_ends().min(self.recent.era_ends()))
    }

    /// Whether an answer that is not slow may be the outcome by which it shows that too many calls have
    /// failed or were slow: where others have slid out of the window, are not under way any more, or
    /// were too few to tell.
    fn may_answers_trip(&self) -> bool {
        let Counts {
            calls,
            failures,
            slow,
        } = self.window.total();
        let calls = calls.saturating_add(1).max(self.policy.min_calls);
        is_over(failures, calls.into(), self.failure_rate)
            || is_over(slow, calls.into(), self.slow_rate)
    }

    /// Calls of this generation were answered in the lanes, since this was asked or told something
    /// last.
    pub(in crate::circuit_breaker) fn take_over(&mut self, answers: Answers) {
        self.recent.take_over(answers);
        if matches!(self.state, State::Closed) && answers.total() > 0 {
            // There are fewer than this in a moment.
            let calls = u32::try_from(answers.total()).unwrap_or(u32::MAX);
            self.window.record_successes(calls);
            self.consecutive_failures = 0;
        }
    }
}
