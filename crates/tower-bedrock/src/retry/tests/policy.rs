use std::num::NonZeroU32;

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    Backoff, GaveUp, NextRoute, Reaction, Reactions, RetryBudget,
    retry::{
        minute::MinuteClock,
        policy::{Decision, History, Policy},
    },
};

/// Decides as for the attempt that follows `earlier` retries after the same cause.
fn decide(policy: &Policy, call: &CallContext, error: &Error, earlier: u32) -> Decision {
    let mut history = History::default();
    for _ in 0..earlier {
        let paid = RetryBudget::new().withdraw(error.cause()).unwrap();
        history.sent(error.cause(), paid);
    }
    let rng = &mut StdRng::seed_from_u64(5);
    policy.decide(&history, call, error, Instant::now(), rng)
}

fn wait(policy: &Policy, error: &Error, earlier: u32) -> Duration {
    match decide(policy, &call(), error, earlier) {
        Decision::Retry { after, .. } => after,
        Decision::GiveUp(reason) => panic!("gave up: {reason}"),
    }
}

/// How often `cause` is retried before the call gives up.
fn retries(policy: &Policy, cause: Cause) -> u32 {
    let error = Error::new(cause).with_original_status(503);
    (0..)
        .find(|&earlier| {
            matches!(
                decide(policy, &call(), &error, earlier),
                Decision::GiveUp(_)
            )
        })
        .unwrap()
}

/// Every cause has its own number of retries; what a wait cannot cure has none.
#[test]
fn each_cause_has_its_own_retries() {
    let policy = Policy::default();
    for &cause in Cause::ALL {
        let expected = match cause {
            Cause::RequestRate | Cause::TokenRate | Cause::Throttled => 8,
            Cause::ModelNotReady => 10,
            Cause::ModelOverloaded | Cause::CapacityExceeded | Cause::ServiceUnavailable => 3,
            Cause::Connect => 3,
            Cause::Internal | Cause::StreamFailed => 2,
            Cause::ModelFailed | Cause::ModelTimeout => 1,
            Cause::StreamTruncated | Cause::StreamStalled => 1,
            _ => 0,
        };
        assert_eq!(retries(&policy, cause), expected, "{cause}");
    }
}

/// A call's waits for a quota outlive a minute's refill: even if every draw were at its mean.
#[test]
fn waits_for_a_minute_quota_fit_a_minute() {
    for cause in [Cause::RequestRate, Cause::TokenRate, Cause::Throttled] {
        let crate::RetryReaction::Backoff {
            backoff,
            max_retries,
        } = cause.reaction().retry
        else {
            panic!("{cause} is retried");
        };
        assert!(
            backoff.cap() <= secs(60),
            "{cause}: no single wait is longer than a minute"
        );
        let mean: Duration = (0..max_retries)
            .map(|retry| backoff.ceiling(retry) / 2)
            .sum();
        assert!(mean >= secs(60), "{cause}: {mean:?}");
    }
}

/// Retries of a capacity shortage are short: all of them together within seconds.
#[test]
fn waits_for_capacity_are_short() {
    for cause in [
        Cause::ModelOverloaded,
        Cause::CapacityExceeded,
        Cause::ServiceUnavailable,
    ] {
        let crate::RetryReaction::Backoff {
            backoff,
            max_retries,
        } = cause.reaction().retry
        else {
            panic!("{cause} is retried");
        };
        let most: Duration = (0..max_retries).map(|retry| backoff.ceiling(retry)).sum();
        assert!(most <= secs(5), "{cause}: {most:?}");
    }
}

/// A server's hint is a floor of the wait, and never holds a call longer than the cap allows.
#[test]
fn a_hint_is_a_floor_and_is_capped() {
    let policy = Policy::default();
    for seconds in [0, 1, 3, 30, 60] {
        let error = Error::new(Cause::RequestRate).with_retry_after(secs(seconds));
        for earlier in 0..8 {
            let wait = wait(&policy, &error, earlier);
            assert!(
                wait >= secs(seconds),
                "{seconds} s, retry {earlier}: {wait:?}"
            );
            assert!(wait <= secs(61), "{seconds} s, retry {earlier}: {wait:?}");
        }
    }
    let an_hour = Error::new(Cause::RequestRate).with_retry_after(secs(3600));
    assert!(wait(&policy, &an_hour, 0) <= secs(61));
}

/// Clients that were told the same hint together do not all come back at the hint's end.
#[test]
fn a_hint_does_not_kill_the_jitter() {
    let policy = Policy::default();
    let error = Error::new(Cause::RequestRate).with_retry_after(secs(60));
    let rng = &mut StdRng::seed_from_u64(5);
    let mut waits: Vec<_> = (0..100)
        .map(
            |_| match policy.decide(&History::default(), &call(), &error, Instant::now(), rng) {
                Decision::Retry { after, .. } => after,
                Decision::GiveUp(reason) => panic!("gave up: {reason}"),
            },
        )
        .collect();
    waits.sort();
    waits.dedup();
    assert_eq!(waits.len(), 100);
}

/// A wait that would end after the deadline is not begun, and pays nothing.
#[test]
fn no_wait_ends_after_the_deadline() {
    let policy = Policy::default();
    let error = Error::new(Cause::RequestRate).with_retry_after(secs(10));
    let mut call = call();
    call.deadline = Some(Instant::now() + secs(10));
    let decision = decide(&policy, &call, &error, 0);
    assert!(
        matches!(decision, Decision::GiveUp(GaveUp::Deadline)),
        "{decision:?}"
    );
    assert_eq!(policy.budget.available(), 500);
    call.deadline = Some(Instant::now() + secs(12));
    assert!(matches!(
        decide(&policy, &call, &error, 0),
        Decision::Retry { .. }
    ));
}

/// Where another route is at hand, a wait takes at most half of the time that is left, and pays nothing
/// if it would take more; a cause that no other route cures is waited for as without one.
#[test]
fn half_of_the_time_is_kept_for_another_route() {
    let policy = Policy::default();
    let hinted = |cause| Error::new(cause).with_retry_after(secs(10));
    let mut call = call();
    call.has_next_route = true;
    call.deadline = Some(Instant::now() + secs(19));
    let decision = decide(&policy, &call, &hinted(Cause::RequestRate), 0);
    assert!(
        matches!(decision, Decision::GiveUp(GaveUp::NextRoute)),
        "{decision:?}"
    );
    assert_eq!(policy.budget.available(), 500);

    // The jitter comes on top of the hint: up to a second.
    call.deadline = Some(Instant::now() + secs(23));
    let decision = decide(&policy, &call, &hinted(Cause::RequestRate), 0);
    assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");

    call.deadline = Some(Instant::now() + secs(19));
    let row = Cause::RequestRate.reaction().then(NextRoute::Never);
    let alone = Policy {
        reactions: Arc::new(Reactions::default().with(Cause::RequestRate, row)),
        ..Policy::default()
    };
    let decision = decide(&alone, &call, &hinted(Cause::RequestRate), 0);
    assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");
}

/// Time for the wait and as much again is just enough: no jitter, so to the nanosecond.
#[test]
fn just_half_of_the_time_may_be_waited() {
    let none = Backoff::new(Duration::ZERO, Duration::ZERO);
    let row = Cause::RequestRate.reaction().retried(none, 3);
    let policy = Policy {
        reactions: Arc::new(Reactions::default().with(Cause::RequestRate, row)),
        ..Policy::default()
    };
    let error = Error::new(Cause::RequestRate).with_retry_after(secs(10));
    let now = Instant::now();
    let decide = |left| {
        let mut call = call();
        call.has_next_route = true;
        call.deadline = Some(now + left);
        let rng = &mut StdRng::seed_from_u64(5);
        policy.decide(&History::default(), &call, &error, now, rng)
    };
    let just = decide(secs(20));
    assert!(matches!(just, Decision::Retry { .. }), "{just:?}");
    let less = decide(secs(20) - Duration::from_nanos(1));
    assert!(
        matches!(less, Decision::GiveUp(GaveUp::NextRoute)),
        "{less:?}"
    );
}

/// A server that asks for years is given them where the caller allows that, but no more than timers
/// can count.
#[test]
fn waits_of_years_are_waited() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let policy = Policy {
        max_server_hint: Duration::MAX,
        ..Policy::default()
    };
    let hinted = |wait| Error::new(Cause::RequestRate).with_retry_after(wait);
    assert!(wait(&policy, &hinted(9 * YEAR), 0) >= 9 * YEAR);
    assert_eq!(wait(&policy, &hinted(Duration::MAX), 0), 10 * YEAR);
}

/// What the call says goes before what the layer says.
#[test]
fn a_call_overrides_the_layer() {
    let policy = Policy::default();
    let error = Error::new(Cause::RequestRate);
    let mut once = call();
    once.retry.max_attempts = NonZeroU32::new(1);
    let decision = decide(&policy, &once, &error, 0);
    assert!(matches!(decision, Decision::GiveUp(GaveUp::AttemptsSpent)));

    let timeout = Error::new(Cause::Timeout);
    let decision = decide(&policy, &call(), &timeout, 0);
    assert!(matches!(decision, Decision::GiveUp(GaveUp::NotRetryable)));
    let mut willing = call();
    willing.retry.retry_timeouts = Some(true);
    assert!(matches!(
        decide(&policy, &willing, &timeout, 0),
        Decision::Retry { .. }
    ));

    let policy = Policy {
        retry_timeouts: true,
        ..Policy::default()
    };
    assert!(matches!(
        decide(&policy, &call(), &timeout, 0),
        Decision::Retry { .. }
    ));
    let mut unwilling = call();
    unwilling.retry.retry_timeouts = Some(false);
    let decision = decide(&policy, &unwilling, &timeout, 0);
    assert!(matches!(decision, Decision::GiveUp(GaveUp::NotRetryable)));
}

/// A call that meets one cause after another is still bounded.
#[test]
fn mixed_causes_are_bounded_together() {
    let policy = Policy::default();
    let mut history = History::default();
    let rng = &mut StdRng::seed_from_u64(5);
    let causes = [Cause::RequestRate, Cause::ModelNotReady, Cause::TokenRate]
        .into_iter()
        .cycle();
    let mut attempts = 1;
    for cause in causes {
        let error = Error::new(cause);
        match policy.decide(&history, &call(), &error, Instant::now(), rng) {
            Decision::Retry { withdrawal, .. } => history.sent(cause, withdrawal),
            Decision::GiveUp(reason) => {
                assert_eq!(reason, GaveUp::AttemptsSpent);
                break;
            }
        }
        attempts += 1;
    }
    assert_eq!(attempts, policy.max_attempts.get());
}

/// A row of the table can be overridden.
#[test]
fn the_table_can_be_overridden() {
    let patient = Reaction::to(Cause::Internal).retried(Backoff::new(secs(1), secs(1)), 5);
    let policy = Policy {
        reactions: Arc::new(Reactions::default().with(Cause::Internal, patient)),
        ..Policy::default()
    };
    assert_eq!(retries(&policy, Cause::Internal), 5);
}

/// Calls that aim at the same minute are spread over seconds at their first retry already.
#[test]
fn calls_that_aim_at_a_minute_are_spread() {
    let policy = Policy {
        next_minute: Some(MinuteClock::anchored(Instant::now(), std::time::UNIX_EPOCH)),
        ..Policy::default()
    };
    let error = Error::new(Cause::RequestRate);
    let rng = &mut StdRng::seed_from_u64(5);
    let now = Instant::now();
    let waits: Vec<_> = (0..20)
        .map(
            |_| match policy.decide(&History::default(), &call(), &error, now, rng) {
                Decision::Retry { after, .. } => after,
                Decision::GiveUp(reason) => panic!("gave up: {reason}"),
            },
        )
        .collect();
    let spread = *waits.iter().max().unwrap() - *waits.iter().min().unwrap();
    assert!(spread > secs(6) && spread <= secs(10), "{spread:?}");
}

/// Calls that met a minute's quota come back in the next minute, spread over its start.
#[test]
fn a_call_can_aim_at_the_next_minute() {
    let into_minute = std::time::UNIX_EPOCH + secs(600 + 45);
    let policy = Policy {
        next_minute: Some(MinuteClock::anchored(Instant::now(), into_minute)),
        ..Policy::default()
    };
    for earlier in 0..8 {
        let wait = wait(&policy, &Error::new(Cause::TokenRate), earlier);
        assert!(wait > secs(14) && wait <= secs(25), "{wait:?}");
    }
    // A server that names a later time is not asked before it.
    let hinted = Error::new(Cause::TokenRate).with_retry_after(secs(40));
    let wait_for_hint = wait(&policy, &hinted, 0);
    assert!(
        wait_for_hint >= secs(40) && wait_for_hint <= secs(50),
        "{wait_for_hint:?}"
    );
    // A shortage of capacity does not refill by the minute.
    assert!(wait(&policy, &Error::new(Cause::CapacityExceeded), 0) <= secs(1));
}

/// With another route at hand, a cause that waiting does not cure is left to it at once; one that
/// waiting cures has its retries first.
#[test]
fn another_route_comes_before_retries_that_do_not_help() {
    let policy = Policy::default();
    let mut call = call();
    call.has_next_route = true;
    let decided = |cause| decide(&policy, &call, &Error::new(cause), 0);
    let overloaded = decided(Cause::ModelOverloaded);
    assert!(matches!(overloaded, Decision::GiveUp(GaveUp::NextRoute)));
    assert!(matches!(
        decided(Cause::RequestRate),
        Decision::Retry { .. }
    ));
}
