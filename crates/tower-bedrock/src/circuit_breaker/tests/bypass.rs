//! The way past the lock: what goes there counts as it would if it took the lock.

use super::*;
use crate::circuit_breaker::{
    breaker::Breaker,
    bypass::Bypass,
    outcome::{Outcome, Ticket},
};

const FAILURE: Outcome = Outcome::Failure {
    is_slow: false,
    hint: None,
};
const SUCCESS: Outcome = Outcome::Success { is_slow: false };

/// A state machine, and the way past it.
pub(super) struct Subject {
    pub(super) breaker: Breaker,
    pub(super) bypass: Bypass,
}

impl Subject {
    pub(super) fn new(start: Instant, policy: CircuitPolicy) -> Self {
        let breaker = Breaker::new(start, policy);
        let bypass = Bypass::new(start, &breaker);
        bypass.open(&breaker);
        Self { breaker, bypass }
    }

    /// As whoever has the lock does it.
    pub(super) fn locked<T>(&mut self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        self.bypass.close(&mut self.breaker);
        let result = change(&mut self.breaker);
        self.bypass.publish(&self.breaker);
        self.bypass.open(&self.breaker);
        result
    }

    fn call(&self) -> Ticket {
        let generation = self.bypass.passes().expect("it is closed");
        self.bypass.admit(0, generation)
    }

    /// A call is answered. Tells whether the lock was taken for it.
    fn answer(&mut self, now: Instant, ticket: Ticket) -> bool {
        let takes_lock = !self.bypass.answered(0, now, ticket);
        if takes_lock {
            self.locked(|breaker| breaker.settle(now, ticket, SUCCESS, |most| most));
        }
        takes_lock
    }

    fn fail(&mut self, now: Instant) -> bool {
        let ticket = self.call();
        self.locked(|breaker| breaker.settle(now, ticket, FAILURE, |most| most))
            .is_some()
    }
}

/// Whenever an answer comes, it counts for the window less at most a sixtieth, and no longer.
#[test]
fn an_answer_counts_for_the_window() {
    let start = Instant::now();
    for offset in [0, 1, 999, 1000, 1001, 5500] {
        let mut subject = Subject::new(start, CircuitPolicy::new());
        let came = start + millis(offset);
        let ticket = subject.call();
        // The first of its slice takes the lock, to begin that.
        assert_eq!(subject.answer(came, ticket), offset >= 1000, "{offset}");
        let ticket = subject.call();
        assert!(!subject.answer(came, ticket));
        for (age, calls) in [(59_000, 2), (60_000, 0)] {
            let view = subject.locked(|breaker| breaker.view(came + millis(age)));
            assert_eq!(view.counts.calls, calls, "{offset} {age}");
        }
    }
}

/// Answers alone have eras end when they should: what was sent in the last one is still recent, and not
/// forgotten.
#[test]
fn eras_end_when_there_are_only_answers() {
    let start = Instant::now();
    let policy = CircuitPolicy::new().with_window(secs(24 * 3600));
    let mut subject = Subject::new(start, policy);
    let hang: Vec<_> = (0..100).map(|_| subject.call()).collect();
    let ticket = subject.call();
    assert!(subject.answer(start + millis(19_900), ticket));
    for _ in 0..20 {
        assert!(!subject.fail(start + secs(29)), "they may be answered yet");
    }
    // Once they are, they are a fifth.
    for ticket in hang {
        subject.answer(start + secs(29), ticket);
    }
    let view = subject.locked(|breaker| breaker.view(start + secs(29)));
    assert_eq!((view.counts.calls, view.counts.failures), (121, 20));
}

/// While too few have failed for answers to matter, they take no lock; when one of them may be the one
/// that makes enough calls of which too many have failed, all do.
#[test]
fn answers_take_the_lock_where_they_may_open_it() {
    let start = Instant::now();
    let policy = CircuitPolicy::new().without_consecutive_failures();
    for (failures, takes_lock) in [(0, false), (4, false), (5, true), (9, true)] {
        let mut subject = Subject::new(start, policy);
        for _ in 0..failures {
            assert!(!subject.fail(start));
        }
        let ticket = subject.call();
        assert_eq!(subject.answer(start, ticket), takes_lock, "{failures}");
        for _ in failures + 1..10 {
            let ticket = subject.call();
            subject.answer(start, ticket);
        }
        let is_open = subject.breaker.state() == CircuitState::Open;
        assert_eq!(is_open, failures >= 5, "{failures}");
    }
}
