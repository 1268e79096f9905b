//! The windows and the disputed points.

use super::support::*;
use crate::{Call, DailyReset, Finish, ModelSpec, Operation, QuotaOptions, Window};

/// The bucket earns back one part at a time, exactly when it is due and not a nanosecond earlier.
#[test]
fn a_bucket_refills_continuously_and_exactly() {
    // 7 a minute: a request each 60/7 s, which no float holds.
    let mut sim = Sim::new(plain().rpm(7));
    let call = sim.call(0);
    while sim.serve(0, &call) {}
    for number in 1..=70_000_u64 {
        let due = (number * 60_000_000_000).div_ceil(7);
        let at = std::time::Duration::from_nanos;
        assert!(matches!(
            sim.engine.admit(at(due - 1), &call),
            crate::Admission::Refused(_)
        ));
        let crate::Admission::Admitted(admitted) = sim.engine.admit(at(due), &call) else {
            panic!("refused at {due} ns");
        };
        let finish = Finish::Complete { output_tokens: 0 };
        sim.engine.finish(at(due), admitted.ticket, finish);
    }
}

/// `burst_seconds` is the size of the bucket: what it holds can go at once, the rate stays.
#[test]
fn burst_seconds_sizes_the_bucket() {
    let options = QuotaOptions::new().window(Window::TokenBucket { burst_seconds: 15 });
    let mut sim = Sim::with(plain().tpm(6_000), options, []);
    assert!(!sim.serve(0, &sim.call(1_501)));
    assert!(sim.serve(0, &sim.call(1_500)));
    assert!(!sim.serve(9, &sim.call(1)));
    assert!(sim.serve(10, &sim.call(1)));
}

/// In a sliding window, a draw leaves exactly 60 s after it was made.
#[test]
fn a_sliding_window_forgets_after_a_minute() {
    let options = QuotaOptions::new().window(Window::SlidingWindow);
    let mut sim = Sim::with(plain().rpm(2), options, []);
    let call = sim.call(0);
    assert!(sim.serve(0, &call));
    assert!(sim.serve(30_000, &call));
    assert!(!sim.serve(59_999, &call));
    assert!(sim.serve(60_000, &call));
    assert!(!sim.serve(89_999, &call));
    assert!(sim.serve(90_000, &call));
}

/// A fixed minute begins anew at the full minute, so that two minutes' quota can meet there.
#[test]
fn a_fixed_minute_begins_anew() {
    let options = QuotaOptions::new().window(Window::FixedMinute);
    let mut sim = Sim::with(plain().rpm(2), options, []);
    let call = sim.call(0);
    assert!(sim.serve(59_000, &call));
    assert!(sim.serve(59_999, &call));
    assert!(!sim.serve(59_999, &call));
    assert!(sim.serve(60_000, &call));
    assert!(sim.serve(60_000, &call));
    assert!(!sim.serve(60_000, &call));
}

/// What comes back after its minute is over has come back already, in either window of log.
#[test]
fn a_hold_of_a_past_minute_comes_back_once() {
    for window in [Window::SlidingWindow, Window::FixedMinute] {
        let options = QuotaOptions::new().window(window);
        let mut sim = Sim::with(plain().tpm(1_000), options, []);
        let call = Call::new(sim.model, Operation::Converse, 100).max_tokens(900);
        let long = sim.admit(0, &call).unwrap();
        assert!(sim.serve(60_000, &sim.call(600)));
        let finish = Finish::Complete { output_tokens: 0 };
        sim.finish(60_001, long, finish);
        assert!(!sim.serve(60_002, &sim.call(401)), "{window:?}");
        assert!(sim.serve(60_002, &sim.call(400)), "{window:?}");
    }
}

/// What comes back never fills a bucket beyond its size, not even for an instant.
#[test]
fn a_returned_hold_does_not_overfill_the_bucket() {
    let mut sim = Sim::new(plain().tpm(1_000));
    let call = Call::new(sim.model, Operation::Converse, 0).max_tokens(1_000);
    let idle = sim.admit(0, &call).unwrap();
    sim.finish(60_000, idle, Finish::Complete { output_tokens: 0 });
    assert!(!sim.serve(60_000, &sim.call(1_001)));
    assert!(sim.serve(60_000, &sim.call(1_000)));
}

/// What a call used beyond its hold is drawn when it ends, in either window of log.
#[test]
fn use_beyond_the_hold_is_drawn_at_the_end() {
    for (window, back) in [
        (Window::SlidingWindow, 130_000),
        (Window::FixedMinute, 120_000),
    ] {
        let options = QuotaOptions::new().window(window);
        let mut sim = Sim::with(plain().tpm(1_000), options, []);
        let call = Call::new(sim.model, Operation::Converse, 100).max_tokens(900);
        let greedy = sim.admit(0, &call).unwrap();
        let finish = Finish::Complete {
            output_tokens: 1_500,
        };
        sim.finish(70_000, greedy, finish);
        assert!(!sim.serve(back - 1, &sim.call(401)), "{window:?}");
        assert!(sim.serve(back - 1, &sim.call(400)), "{window:?}");
        assert!(sim.serve(back, &sim.call(600)), "{window:?}");
    }
}

/// Requests are checked before tokens, and the tokens of the day before those of the minute; the
/// texts tell which it was.
#[test]
fn limits_are_checked_in_order_and_named() {
    let message = |spec: ModelSpec, first: u64| {
        let mut sim = Sim::new(spec);
        assert!(sim.serve(0, &sim.call(first)));
        sim.admit(0, &sim.call(100)).unwrap_err().message
    };
    let spec = plain().rpm(1).tpd(100).tpm(100);
    assert_eq!(
        message(spec, 1),
        "Too many requests, please wait before trying again."
    );
    assert_eq!(
        message(plain().rpm(2).tpd(100).tpm(100), 1),
        "Too many tokens per day, please wait before trying again."
    );
    assert_eq!(
        message(plain().rpm(2).tpd(1_000).tpm(100), 1),
        "Too many tokens, please wait before trying again."
    );
}

/// A refused call draws on nothing, not even on its requests.
#[test]
fn a_refused_call_draws_nothing() {
    let mut sim = Sim::new(plain().rpm(3).tpm(100).tpd(1_000));
    assert!(sim.serve(0, &sim.call(60)));
    for _ in 0..50 {
        assert!(!sim.serve(0, &sim.call(60)));
    }
    assert!(sim.serve(0, &sim.call(20)));
    assert!(sim.serve(0, &sim.call(20)));
    let refused = sim.counts().refused;
    assert_eq!((refused.tokens_per_minute, refused.total()), (50, 50));
}

/// With `charge_rejected`, a refused call takes what is there, but makes no debt.
#[test]
fn a_charged_rejection_empties_the_quota() {
    let options = QuotaOptions::new().charge_rejected(true);
    let mut sim = Sim::with(plain().tpm(6_000), options, []);
    for _ in 0..5 {
        assert!(!sim.serve(0, &sim.call(6_001)));
    }
    assert!(!sim.serve(9, &sim.call(1)));
    // That one took its tenth of a token with it.
    assert!(!sim.serve(18, &sim.call(1)));
    assert!(sim.serve(28, &sim.call(1)));
}

/// `reservation_burndown` and `min_output_reservation` change the hold and not the charge.
#[test]
fn the_hold_follows_its_options() {
    let held = |options: QuotaOptions| {
        let spec = ModelSpec::new("us.anthropic.claude-opus-4-7").output_tokens(10);
        let mut sim = Sim::with(spec, options, []);
        let call = Call::new(sim.model, Operation::Converse, 1_000).max_tokens(64_000);
        let admitted = sim.admit(0, &call).unwrap();
        let held = sim.counts().tokens_held;
        sim.complete(0, admitted);
        assert_eq!(sim.counts().tokens_settled, 1_050);
        held
    };
    let options = QuotaOptions::new;
    assert_eq!(held(options()), 65_000);
    assert_eq!(held(options().reservation_burndown(true)), 321_000);
    assert_eq!(held(options().min_output_reservation(4_096)), 65_000);
    assert_eq!(held(options().min_output_reservation(100_000)), 101_000);
}

/// A lagging quota hears of a draw exactly when the lag is over.
#[test]
fn a_lag_ends_when_it_is_over() {
    let options = QuotaOptions::new().enforcement_lag(ms(2_000));
    let mut sim = Sim::with(plain().tpm(6_000), options, []);
    assert!(sim.serve(0, &sim.call(6_000)));
    assert!(sim.serve(1_999, &sim.call(1)));
    assert!(!sim.serve(2_000, &sim.call(1)));
}

/// With a lag, a burst overshoots until the quota hears of it, and the debt is paid afterwards.
#[test]
fn a_lagging_quota_lets_a_burst_through_and_then_pays() {
    let options = QuotaOptions::new().enforcement_lag(ms(2_000));
    let mut sim = Sim::with(plain().tpm(60_000), options, []);
    let call = sim.call(1_000);
    // 200 calls in two seconds: 200 000 tokens of a bucket of 60 000.
    assert!((0..200).all(|number| sim.serve(number * 10, &call)));
    assert!(!sim.serve(4_000, &call));
    let back = (4_000..).find(|at| sim.serve(*at, &call)).unwrap();
    // The first draws arrive at 2 s in a full bucket, the last at 3.99 s; 200 000 drawn, 1 000 a
    // second earned from 2 s on, and 1 000 to be left: 143 s.
    assert_eq!(back, 2_000 + 141_000);
}

/// The rolling day gives back each draw 24 hours after it, by the minute and never early.
#[test]
fn a_rolling_day_gives_back_by_the_minute() {
    let mut sim = Sim::new(plain().tpd(1_000));
    assert!(sim.serve(30_000, &sim.call(600)));
    assert!(sim.serve(6 * 60 * MINUTE, &sim.call(400)));
    assert!(!sim.serve(DAY + 30_000, &sim.call(600)));
    assert!(sim.serve(DAY + MINUTE, &sim.call(600)));
    assert!(!sim.serve(DAY + MINUTE, &sim.call(1)));
}

/// The day of midnight ends at UTC midnight, wherever in it the engine started.
#[test]
fn a_day_ends_at_midnight() {
    let starts_at = ms(DAY - MINUTE);
    let options = QuotaOptions::new()
        .tpd_reset(DailyReset::Midnight)
        .starts_at(starts_at);
    let mut sim = Sim::with(plain().tpd(1_000), options, []);
    assert!(sim.serve(0, &sim.call(1_000)));
    assert!(!sim.serve(MINUTE - 1, &sim.call(1)));
    assert!(sim.serve(MINUTE, &sim.call(1_000)));
    assert!(!sim.serve(DAY + MINUTE - 1, &sim.call(1)));
    assert!(sim.serve(DAY + MINUTE, &sim.call(1_000)));
}

/// The hold of a day comes back too.
#[test]
fn a_day_is_settled_like_a_minute() {
    for reset in [DailyReset::Rolling, DailyReset::Midnight] {
        let options = QuotaOptions::new().tpd_reset(reset);
        let mut sim = Sim::with(plain().tpd(1_000), options, []);
        let call = Call::new(sim.model, Operation::Converse, 100).max_tokens(900);
        let admitted = sim.admit(0, &call).unwrap();
        assert!(!sim.serve(1, &sim.call(1)));
        let finish = Finish::Complete { output_tokens: 300 };
        sim.finish(2, admitted, finish);
        assert!(!sim.serve(3, &sim.call(601)), "{reset:?}");
        assert!(sim.serve(3, &sim.call(600)), "{reset:?}");
    }
}
