//! Who waits for a circuit: no clock, no lock.

use std::{collections::BTreeMap, task::Waker, time::Duration};

use tokio::time::Instant;

use super::{nanos, outcome::View, ramp::Ramp, snapshot::CircuitState};
use crate::answer_time::AnswerTime;

/// Those who wait for a circuit, first come, first served.
#[derive(Debug)]
pub(super) struct Line {
    waiting: BTreeMap<u64, Option<Waker>>,
    next: u64,
    ramp: Ramp,
    answers: AnswerTime,
    /// Whose turn has come and who are not back, of those who went since the circuit opened last.
    under_way: u32,
    /// How often it has opened.
    round: u32,
}

/// What somebody in line is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is its turn, in this round.
    Come(u32),
    /// It is worth looking again then, for the first in line.
    Wait(Option<Instant>),
    /// It will not get through in time, or the circuit is opened by hand.
    Never,
}

/// What came of a call that had waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Answered { took: Duration },
    Failed { took: Duration },
    Nothing,
}

impl Line {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: BTreeMap::new(),
            next: 0,
            ramp: Ramp::new(now),
            answers: AnswerTime::default(),
            under_way: 0,
            round: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Stands in line, and returns the number drawn.
    pub(super) fn join(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.rejoin(number);
        number
    }

    /// Stands in line as `number` again, ahead of all who came after it.
    pub(super) fn rejoin(&mut self, number: u64) {
        self.waiting.insert(number, None);
    }

    /// Leaves the line. Returns a waker that is not needed any more.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waker> {
        self.waiting.remove(&number).flatten()
    }

    /// Whether it is the turn of `number`, whom `waker` wakes, at a circuit that `view` tells of.
    /// Returns a waker that is not needed any more, too.
    pub(super) fn look(
        &mut self,
        number: u64,
        now: Instant,
        deadline: Instant,
        view: &View,
        waker: &Waker,
    ) -> (Look, Option<Waker>) {
        let is_first = self.waiting.keys().next() == Some(&number);
        let look = if is_first {
            self.first_look(now, deadline, view)
        } else {
            Look::Wait(None)
        };
        if let Look::Come(_) = look {
            self.under_way += 1;
            return (look, self.leave(number));
        }
        let known = self.waiting.entry(number).or_default();
        let is_known = known.as_ref().is_some_and(|known| known.will_wake(waker));
        let retired = if is_known {
            None
        } else {
            known.replace(waker.clone())
        };
        (look, retired)
    }

    fn first_look(&mut self, now: Instant, deadline: Instant, view: &View) -> Look {
        let left = deadline.saturating_duration_since(now);
        if nanos(left) < self.answers.expected() {
            return Look::Never;
        }
        match view.passage {
            Ok(()) if view.state == CircuitState::Closed => {
                let (most, next) = self.ramp.most(now);
                if self.under_way < most {
                    Look::Come(self.round)
                } else {
                    Look::Wait(Some(next))
                }
            }
            Ok(()) => Look::Come(self.round),
            Err(Some(retry_in)) => Look::Wait(now.checked_add(retry_in)),
            Err(None) => Look::Never,
        }
    }

    /// One whose turn came in `round` is back.
    pub(super) fn back(&mut self, now: Instant, round: u32, sign: Sign) {
        if let Sign::Answered { took } | Sign::Failed { took } = sign {
            self.answers.observe(nanos(took));
        }
        if round != self.round {
            return;
        }
        self.under_way = self.under_way.saturating_sub(1);
        match sign {
            Sign::Answered { took } => self.ramp.answered(now, took),
            Sign::Failed { .. } => self.ramp.failed(now),
            Sign::Nothing => {}
        }
    }

    /// The circuit has opened: the next time, they begin anew.
    pub(super) const fn open(&mut self, now: Instant) {
        self.round = self.round.wrapping_add(1);
        self.under_way = 0;
        self.ramp = Ramp::new(now);
    }

    /// Who is to be woken when anything has changed.
    pub(super) fn first(&self) -> Option<Waker> {
        self.waiting.values().next().cloned().flatten()
    }
}
