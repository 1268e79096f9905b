//! The ledger that counts as a quota says.

use std::time::Duration;

use super::{
    allowance::{Allowance, Pace},
    ledger::Ledger,
    quota::{DailyReset, Quota, QuotaWindow},
    window::{Bucket, DAY, Fixed, MINUTE, Meter, Sliding, UNLIMITED},
};
use crate::cause::Limit;

/// What a day's window counts longer than a day: the service may count by the minute.
const DAY_MARGIN: u64 = MINUTE;

/// An empty one, whose time starts `day_offset` nanoseconds into the day.
pub(super) fn ledger_of(quota: &Quota, day_offset: u64) -> Ledger {
    let minute = |limit| {
        let quota_of = quota.effective(limit).unwrap_or(UNLIMITED);
        let meter = minute_meter(quota, limit, quota_of);
        Allowance::new(quota_of, meter, pace(quota), quota.learns)
    };
    let requests = minute(Limit::RequestsPerMinute);
    let tokens = minute(Limit::TokensPerMinute);
    Ledger::new(requests, tokens).with_day(day(quota, day_offset))
}

fn minute_meter(quota: &Quota, limit: Limit, quota_of: u64) -> Meter {
    let margin = nanos(quota.margin);
    match quota.window {
        QuotaWindow::Sliding => Meter::Sliding(Sliding::new(MINUTE + margin)),
        QuotaWindow::TokenBucket { burst } => {
            let bucket = Bucket::full(quota_of, nanos(burst) - margin);
            Meter::Bucket(match limit {
                Limit::RequestsPerMinute => bucket,
                _ => bucket.of_estimates(),
            })
        }
    }
}

fn day(quota: &Quota, day_offset: u64) -> Option<Allowance> {
    let limit = quota.effective(Limit::TokensPerDay)?;
    let meter = match quota.daily_reset {
        DailyReset::Rolling => Meter::Sliding(Sliding::new(DAY + DAY_MARGIN)),
        DailyReset::MidnightUtc => Meter::Fixed(Fixed::new(DAY, day_offset)),
    };
    Some(Allowance::new(limit, meter, None, false))
}

fn pace(quota: &Quota) -> Option<Pace> {
    quota.pace.map(|pace| Pace {
        share: (pace.share * 1e6) as u64,
        burst: nanos(pace.burst),
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
