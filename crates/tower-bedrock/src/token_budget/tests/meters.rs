//! What a ledger and its meters promise, however they count.

use super::super::{
    allowance::Allowance,
    learning::Learner,
    ledger::Ledger,
    window::{Bucket, Fixed, MINUTE, Meter, SECOND, Sliding, UNLIMITED},
};
use crate::cause::Limit;

const QUOTA: u64 = 1000;

fn meters() -> [Meter; 3] {
    [
        Meter::Sliding(Sliding::new(MINUTE)),
        Meter::Bucket(Bucket::full(QUOTA, MINUTE)),
        Meter::Fixed(Fixed::new(MINUTE, 0)),
    ]
}

fn allowance(quota: u64, meter: Meter) -> Allowance {
    Allowance::new(quota, meter, None, false)
}

/// A meter is idle when nothing is reserved and nothing drawn, and at no other time.
#[test]
fn idle_is_where_nothing_is_drawn() {
    for meter in meters() {
        let mut allowance = allowance(QUOTA, meter);
        assert!(allowance.is_idle());
        allowance.reserve(10);
        assert!(!allowance.is_idle(), "{allowance:?}");
        let sent = allowance.send(10);
        assert!(!allowance.is_idle(), "{allowance:?}");
        allowance.settle(sent, 10, 0);
        assert!(allowance.is_idle(), "{allowance:?}");
    }
}

/// A quota that is set again to count as before settles the calls that were sent before.
#[test]
fn a_quota_that_is_set_again_settles_open_calls() {
    for (meter, again) in meters().into_iter().zip(meters()) {
        let mut now = allowance(QUOTA, meter);
        now.reserve(800);
        let sent = now.send(800);
        now.become_like(allowance(QUOTA, again));
        assert_eq!(now.drawn().used, 800);
        now.settle(sent, 800, 100);
        assert_eq!(now.drawn().used, 100, "{now:?}");
    }
}

/// A window that becomes longer keeps what was drawn for the longer time.
#[test]
fn a_longer_window_keeps_what_was_drawn() {
    let sliding = |span| allowance(QUOTA, Meter::Sliding(Sliding::new(span)));
    let mut now = sliding(MINUTE);
    now.reserve(QUOTA);
    let sent = now.send(QUOTA);
    now.settle(sent, QUOTA, QUOTA);
    now.become_like(sliding(2 * MINUTE));
    now.advance(100 * SECOND);
    assert!(!now.fits(1), "{now:?}");
    now.advance(125 * SECOND);
    assert!(now.fits(QUOTA), "{now:?}");
}

/// A debt that takes ages to pay is paid by as much as the ages give, without living through them.
#[test]
fn ages_of_paying_pass_at_once() {
    const DEBT: u64 = u64::MAX / 4;
    let mut now = allowance(1, Meter::Sliding(Sliding::new(MINUTE)));
    now.reserve(1);
    let sent = now.send(1);
    now.settle(sent, 1, DEBT);
    let ages = u64::MAX / 2;
    now.advance(ages);
    let paid = DEBT - now.drawn().debt;
    let minutes = ages / MINUTE;
    assert!(
        (minutes - minutes / 100..=minutes + 1).contains(&paid),
        "{paid} in {minutes} minutes"
    );
}

/// What a bucket owes beyond a time's refill is forgiven, and no more than that: nothing of what is
/// still open.
#[test]
fn old_debt_is_forgiven() {
    let mut bucket = Bucket::full(QUOTA, MINUTE).overdrawing();
    bucket.reserve(100 * QUOTA);
    bucket.send(100 * QUOTA);
    bucket.forgive(QUOTA, MINUTE);
    let unforgiven = bucket.not_before(1, QUOTA).unwrap();
    assert!(
        (99 * MINUTE..100 * MINUTE).contains(&unforgiven),
        "{unforgiven}"
    );
    bucket.settle(100 * QUOTA, 100 * QUOTA);
    bucket.forgive(QUOTA, MINUTE);
    let payable = bucket.not_before(1, QUOTA).unwrap();
    assert!((MINUTE..MINUTE + SECOND).contains(&payable), "{payable}");
}

/// A call of more than the day allows is told so at once, by the limit that is in its way; one of just
/// as much is not.
#[test]
fn what_no_wait_helps_is_known_beforehand() {
    let minute = |quota| allowance(quota, Meter::Sliding(Sliding::new(MINUTE)));
    let day = allowance(5000, Meter::Fixed(Fixed::new(24 * 60 * MINUTE, 0)));
    let ledger = Ledger::new(minute(UNLIMITED), minute(10_000)).with_day(Some(day));
    assert_eq!(ledger.exceeds(5000), None);
    assert_eq!(ledger.exceeds(6000), Some((Limit::TokensPerDay, 5000)));
    let minute_first = Some((Limit::TokensPerMinute, 10_000));
    assert_eq!(ledger.exceeds(10_001), minute_first);
}

/// One refusal takes an eighth off a limit at most, however large the call.
#[test]
fn a_large_call_is_one_lesson() {
    let mut learner = Learner::new(true);
    learner.refused(0, 8000, 0, 8000);
    assert_eq!(learner.limit(), 7000);
}
