use super::*;

fn error(quota: Quota) -> InvalidQuota {
    let quotas = Quotas::new();
    let error = quotas.set(&route(), quota).unwrap_err();
    assert_eq!(quotas.get(&route()), None, "nothing was changed");
    assert!(!error.to_string().is_empty());
    error
}

/// Quotas that cannot be meant are refused with the reason, and change nothing.
#[test]
fn what_cannot_be_meant_is_refused() {
    use Limit::{RequestsPerMinute, TokensPerDay, TokensPerMinute};

    let quota = Quota::new;
    let tokens = quota().with_tokens_per_minute(1000);
    assert_eq!(
        error(quota().with_tokens_per_minute(0)),
        InvalidQuota::Zero {
            limit: TokensPerMinute
        }
    );
    assert_eq!(
        error(quota().with_requests_per_minute(u64::MAX)),
        InvalidQuota::TooLarge {
            limit: RequestsPerMinute,
            value: u64::MAX
        }
    );
    assert_eq!(
        error(tokens.clone().with_tokens_per_day(999)),
        InvalidQuota::Contradiction {
            limit: TokensPerMinute,
            value: 1000,
            other: TokensPerDay,
            other_value: 999
        }
    );
    assert_eq!(
        error(tokens.clone().with_requests_per_minute(1001)),
        InvalidQuota::Contradiction {
            limit: RequestsPerMinute,
            value: 1001,
            other: TokensPerMinute,
            other_value: 1000
        }
    );
    for value in [0.0, -1.0, 1.000_001, f64::INFINITY] {
        let share = QuotaShare::Fraction(value);
        assert_eq!(
            error(tokens.clone().with_share(share)),
            InvalidQuota::Share { value }
        );
        let pace = QuotaPace::at(value);
        assert_eq!(
            error(tokens.clone().with_pace(pace)),
            InvalidQuota::Pace { value }
        );
    }
    let nan = error(tokens.clone().with_share(QuotaShare::Fraction(f64::NAN)));
    assert!(matches!(nan, InvalidQuota::Share { .. }));
    for (value, of) in [(0, &tokens), (1001, &tokens), (10, &quota())] {
        let share = QuotaShare::TokensPerMinute(value);
        let quota = of.limit(TokensPerMinute);
        assert_eq!(
            error(of.clone().with_share(share)),
            InvalidQuota::TokenShare { value, quota }
        );
    }
    let value = Duration::ZERO;
    let window = QuotaWindow::TokenBucket { burst: value };
    assert_eq!(
        error(quota().with_window(window)),
        InvalidQuota::Burst { value }
    );
    let value = secs(60);
    assert_eq!(
        error(quota().with_margin(value)),
        InvalidQuota::Margin { value }
    );
    for value in [0, 1001] {
        let burndown = quota().with_burndown_rate(value);
        assert_eq!(error(burndown), InvalidQuota::Burndown { value });
    }
}

/// What is meant is taken, and told back.
#[test]
fn a_quota_is_told_back() {
    let quotas = Quotas::new();
    assert_eq!(quotas.get(&route()), None);
    let quota = Quota::new()
        .with_tokens_per_minute(1000)
        .with_share(QuotaShare::Fraction(1.0));
    quotas.set(&route(), quota.clone()).unwrap();
    assert_eq!(quotas.get(&route()), Some(quota));
    quotas.set(&route(), Quota::new()).unwrap();
    assert_eq!(quotas.snapshot_of(&route()).tokens_per_minute, None);
}
