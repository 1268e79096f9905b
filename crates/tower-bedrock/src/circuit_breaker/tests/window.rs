//! What trips a circuit does not depend on how fast calls come.

use super::*;
use crate::circuit_breaker::{breaker::Breaker, outcome::Outcome};

const FAILURE: Outcome = Outcome::Failure {
    is_slow: false,
    hint: None,
};
const SUCCESS: Outcome = Outcome::Success { is_slow: false };
const SLOW: Outcome = Outcome::Success { is_slow: true };

/// How many calls, `spacing` apart, it takes to trip a circuit if they end as `outcomes` say, over
/// and over.
fn calls_to_trip(policy: CircuitPolicy, spacing: Duration, outcomes: &[Outcome]) -> Option<usize> {
    let mut now = Instant::now();
    let mut breaker = Breaker::new(now, policy);
    for (number, &outcome) in (1..1000).zip(outcomes.iter().cycle()) {
        let ticket = breaker.admit(now).0.unwrap();
        let change = breaker.settle(now, ticket, outcome, |most| most);
        if change.is_some() {
            return Some(number);
        }
        now += spacing;
    }
    None
}

/// By rate: the same count trips it whether calls come each millisecond or each four seconds.
#[test]
fn a_rate_trips_at_the_same_count_at_any_pace() {
    let policy = CircuitPolicy::new().without_consecutive_failures();
    let slow = policy.without_failure_rate();
    let slow = slow.with_slow_calls(secs(30), 0.5);
    for spacing in [millis(1), millis(100), secs(1), secs(4)] {
        let all = calls_to_trip(policy, spacing, &[FAILURE]);
        assert_eq!(all, Some(10), "{spacing:?}");
        let half = calls_to_trip(policy, spacing, &[SUCCESS, FAILURE]);
        assert_eq!(half, Some(10), "{spacing:?}");
        let third = calls_to_trip(policy, spacing, &[SUCCESS, SUCCESS, FAILURE]);
        assert_eq!(third, None, "{spacing:?}");
        let slow = calls_to_trip(slow, spacing, &[SLOW]);
        assert_eq!(slow, Some(10), "{spacing:?}");
    }
    // Ten calls do not come within a minute then.
    assert_eq!(calls_to_trip(policy, secs(7), &[FAILURE]), None);
}

/// A rate trips at exactly its share of the calls: 0.3 of 10 is 3, not a little more.
#[test]
fn a_rate_is_exact() {
    for percent in 1..=100 {
        let rate = f64::from(percent) / 100.0;
        let policy = CircuitPolicy::new()
            .without_consecutive_failures()
            .with_failure_rate(rate)
            .with_min_calls(100);
        let mut outcomes = vec![SUCCESS; 100 - percent as usize];
        outcomes.resize(100, FAILURE);
        assert_eq!(calls_to_trip(policy, millis(1), &outcomes), Some(100));
        let mut one_less = outcomes.clone();
        one_less[100 - percent as usize] = SUCCESS;
        let trips_at = calls_to_trip(policy, millis(1), &one_less);
        assert_ne!(trips_at, Some(100), "{percent} %");
    }
}

/// Failures in a row trip it however far apart they are; a success between them begins anew, and what
/// says nothing of the route does not.
#[test]
fn failures_in_a_row_trip_at_any_pace() {
    let policy = CircuitPolicy::new().without_failure_rate();
    for spacing in [millis(1), secs(4), secs(3600), secs(24 * 3600)] {
        assert_eq!(calls_to_trip(policy, spacing, &[FAILURE]), Some(10));
        let mut broken = [FAILURE; 10];
        broken[9] = SUCCESS;
        assert_eq!(calls_to_trip(policy, spacing, &broken), None);
        broken[9] = Outcome::Nothing;
        assert_eq!(calls_to_trip(policy, spacing, &broken), Some(11));
        broken[9] = Outcome::Throttled { hint: None };
        assert_eq!(calls_to_trip(policy, spacing, &broken), Some(11));
    }
}

/// Nothing of before an idle gap of 60 days counts after it, and the window counts on.
#[test]
fn an_idle_gap_of_60_days_forgets_and_does_not_wedge() {
    let policy = CircuitPolicy::new().without_consecutive_failures();
    let mut now = Instant::now();
    let mut breaker = Breaker::new(now, policy);
    let fail = |breaker: &mut Breaker, now| {
        let ticket = breaker.admit(now).0.unwrap();
        breaker.settle(now, ticket, FAILURE, |most| most)
    };
    for _ in 0..3 {
        for _ in 0..9 {
            assert_eq!(fail(&mut breaker, now), None);
        }
        now += secs(60 * 24 * 3600);
        assert_eq!(breaker.view(now).counts.calls, 0);
    }
    for _ in 0..9 {
        assert_eq!(fail(&mut breaker, now), None);
    }
    assert!(fail(&mut breaker, now).is_some());
}

/// An outcome counts for the whole window less at most a sixtieth, and no longer than the window.
#[test]
fn an_outcome_counts_for_the_window() {
    let start = Instant::now();
    for offset in [0, 1, 499, 500, 999] {
        let mut breaker = Breaker::new(start, CircuitPolicy::new());
        let came = start + millis(offset);
        let ticket = breaker.admit(came).0.unwrap();
        breaker.settle(came, ticket, FAILURE, |most| most);
        assert_eq!(breaker.view(came + millis(59_000)).counts.failures, 1);
        assert_eq!(breaker.view(came + millis(60_000)).counts.failures, 0);
    }
}

/// A clock that stands still counts, one that steps back stands still.
#[test]
fn a_clock_that_steps_back_does_no_harm() {
    let start = Instant::now() + secs(1000);
    let mut breaker = Breaker::new(start, CircuitPolicy::new());
    let ticket = breaker.admit(start).0.unwrap();
    for back in 0..9 {
        let now = start - secs(back * 100);
        assert_eq!(breaker.settle(now, ticket, FAILURE, |most| most), None);
    }
    let opened = breaker.settle(start - secs(900), ticket, FAILURE, |most| most);
    let cooldown = opened.unwrap().cooldown.unwrap();
    assert!(breaker.admit(start - secs(999)).0.is_err());
    assert!(breaker.admit(start + cooldown - millis(1)).0.is_err());
    assert!(breaker.admit(start + cooldown).0.is_ok());
}

/// Calls that take 45 s each count when they end, so that the tenth trips a window of 60 s, as the
/// tenth that fails at once does; begun so far apart that ten do not end within the window, none does.
#[tokio::test(start_paused = true)]
async fn slow_calls_of_45_seconds_trip_at_the_same_count() {
    let policy = CircuitPolicy::new().with_slow_calls(secs(30), 0.5);
    for (spacing, trips) in [(millis(1), true), (secs(5), true), (secs(7), false)] {
        let breakers = breakers(policy);
        let model = Model::new(secs(45), answered);
        for _ in 0..10 {
            tokio::spawn(model.send(&breakers, request()));
            sleep(spacing).await;
        }
        let last_ends_in = secs(45) - spacing;
        sleep(last_ends_in - millis(1)).await;
        assert_eq!(
            breakers.state(&route()),
            CircuitState::Closed,
            "{spacing:?}"
        );
        sleep(millis(2)).await;
        let is_open = breakers.state(&route()) == CircuitState::Open;
        assert_eq!(is_open, trips, "{spacing:?}");
    }
}
