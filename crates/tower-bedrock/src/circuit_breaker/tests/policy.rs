//! Policies that cannot be meant.

use super::*;

fn reason(policy: CircuitPolicy) -> Option<InvalidCircuitPolicy> {
    CircuitBreakers::new().with_policy(policy).err()
}

/// Each is refused with its reason, and the defaults are not.
#[test]
fn a_policy_that_cannot_be_meant_is_refused() {
    use InvalidCircuitPolicy as Invalid;
    let ok = CircuitPolicy::new();
    assert_eq!(reason(ok), None);
    assert_eq!(reason(ok.without_failure_rate()), None);
    assert_eq!(reason(ok.without_consecutive_failures()), None);
    for value in [0.0, -0.5, 1.0001, f64::INFINITY] {
        let setting = "failure rate";
        let refused = Some(Invalid::Rate { setting, value });
        assert_eq!(reason(ok.with_failure_rate(value)), refused);
        let setting = "rate of slow calls";
        let refused = Some(Invalid::Rate { setting, value });
        assert_eq!(reason(ok.with_slow_calls(secs(1), value)), refused);
    }
    let nan = reason(ok.with_failure_rate(f64::NAN)).unwrap();
    assert!(matches!(nan, Invalid::Rate { value, .. } if value.is_nan()));
    for (policy, setting) in [
        (ok.with_consecutive_failures(0), "consecutive failures"),
        (ok.with_min_calls(0), "min calls"),
        (ok.with_probes(0), "probes"),
        (ok.with_successes_to_close(0), "successes to close"),
        (ok.with_slow_calls(Duration::ZERO, 0.5), "slow calls"),
        (ok.with_cooldown(Duration::ZERO, secs(1)), "cooldown"),
        (ok.with_cooldown_decay(Duration::ZERO), "cooldown decay"),
        (ok.with_probe_limit(Duration::ZERO), "probe limit"),
    ] {
        assert_eq!(reason(policy), Some(Invalid::Zero { setting }));
    }
    for (policy, setting) in [
        (ok.with_cooldown(secs(1), Duration::MAX), "cooldown"),
        (ok.with_cooldown_decay(Duration::MAX), "cooldown decay"),
        (ok.with_max_server_hint(Duration::MAX), "server hint"),
        (ok.with_probe_limit(Duration::MAX), "probe limit"),
    ] {
        let value = Duration::MAX;
        assert_eq!(reason(policy), Some(Invalid::TooLong { setting, value }));
    }
    for value in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        assert_eq!(
            reason(ok.with_window(value)),
            Some(Invalid::Window { value })
        );
    }
    let (first, longest) = (secs(5), secs(4));
    let refused = Some(Invalid::Cooldown { first, longest });
    assert_eq!(reason(ok.with_cooldown(first, longest)), refused);
    let never = ok.without_failure_rate().without_consecutive_failures();
    assert_eq!(reason(never), Some(Invalid::NeverOpens));
    assert_eq!(reason(never.with_slow_calls(secs(1), 0.5)), None);
}

/// A reason says what was set and what may be.
#[test]
fn a_reason_says_what_may_be() {
    let text = |policy| reason(policy).unwrap().to_string();
    let policy = CircuitPolicy::new();
    assert_eq!(
        text(policy.with_failure_rate(1.5)),
        "the failure rate is 1.5; it is above 0 and at most 1"
    );
    assert_eq!(text(policy.with_probes(0)), "probes is 0; it is at least 1");
    assert_eq!(
        text(policy.with_cooldown(secs(5), secs(4))),
        "the first cooldown is 5s, which is longer than the longest, 4s"
    );
}
