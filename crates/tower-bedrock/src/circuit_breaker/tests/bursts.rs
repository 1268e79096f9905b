//! Failures come back sooner than answers.

use super::*;
use crate::circuit_breaker::{
    breaker::Breaker,
    outcome::{Outcome, Ticket},
};

const FAILURE: Outcome = Outcome::Failure {
    is_slow: false,
    hint: None,
};
const SUCCESS: Outcome = Outcome::Success { is_slow: false };

/// A circuit, and `calls` of it under way that were sent at once.
fn burst(calls: usize) -> (Instant, Breaker, Vec<Ticket>) {
    let now = Instant::now();
    let mut breaker = Breaker::new(now, CircuitPolicy::new());
    let tickets = (0..calls).map(|_| breaker.admit(now).0.unwrap()).collect();
    (now, breaker, tickets)
}

/// Of 120 calls at once, sixteen fail at once and the others are answered seconds later: nothing opens,
/// before or after the answers come.
#[test]
fn the_quick_failures_of_a_burst_open_nothing() {
    let (now, mut breaker, mut calls) = burst(120);
    for call in calls.drain(..16) {
        assert_eq!(
            breaker.settle(now + millis(2), call, FAILURE, |most| most),
            None
        );
    }
    for call in calls {
        assert_eq!(
            breaker.settle(now + secs(8), call, SUCCESS, |most| most),
            None
        );
    }
    let counts = breaker.view(now + secs(8)).counts;
    assert_eq!((counts.calls, counts.failures), (120, 16));
}

/// When all of them fail, half of them open the circuit.
#[test]
fn half_of_a_burst_opens() {
    let (now, mut breaker, calls) = burst(120);
    let opened = calls
        .into_iter()
        .position(|call| breaker.settle(now, call, FAILURE, |most| most).is_some());
    assert_eq!(opened, Some(59));
}

/// Calls that get no answer for a minute say that the route is gone, however many were sent since.
#[test]
fn slow_failures_are_held_against_nobody() {
    let start = Instant::now();
    let mut breaker = Breaker::new(start, CircuitPolicy::new());
    let spacing = millis(200);
    let mut calls = Vec::new();
    for number in 0..1000 {
        let now = start + spacing * number;
        calls.push(breaker.admit(now).0.unwrap());
        let Some(gone) = number.checked_sub(300) else {
            continue;
        };
        let change = breaker.settle(now, calls[gone as usize], FAILURE, |most| most);
        if change.is_some() {
            assert_eq!(gone, 9);
            return;
        }
    }
    panic!("it does not open");
}

/// What was sent and is not answered for long is not waited for: once it is no longer recent, ten
/// quick failures open.
#[test]
fn calls_that_hang_do_not_keep_a_circuit_closed() {
    let (now, mut breaker, _hang) = burst(120);
    for waited in [secs(1), secs(11), secs(21)] {
        let now = now + waited;
        let opened = (1..=9)
            .map(|_| {
                let call = breaker.admit(now).0.unwrap();
                breaker.settle(now, call, FAILURE, |most| most)
            })
            .position(|change| change.is_some());
        let is_recent = waited < secs(21);
        assert_eq!(opened.is_none(), is_recent, "{waited:?}");
    }
}
