//! What is told of a run.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{load::Job, play::Played, setup::Setup};

/// The figures of one policy in one scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// What the answers are worth, as a share of what the oracle's are.
    pub(crate) goodput: f64,
    /// Calls that were answered, as a share of those made.
    pub(crate) answered: f64,
    /// Attempts that the service refused.
    pub(crate) refused: u64,
    /// Attempts that were sent for each call.
    pub(crate) amplification: f64,
    /// Time to the whole answer, of the calls that were answered, in seconds; `None` without any.
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    /// Jain's index over what each tenant got of what the oracle's fair share is; `None` with one.
    pub(crate) fairness: Option<f64>,
    /// Seconds from the end of the trouble until 95 % of the calls of ten seconds were answered.
    pub(crate) recovery: Recovery,
    /// Why calls failed, as the policy says it.
    pub(crate) failures: BTreeMap<String, usize>,
    /// Answered calls by ten seconds of their making: the curve.
    pub(crate) curve: Vec<f64>,
}

/// Whether a scenario has something to recover from, and when that was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Recovery {
    Nothing,
    Never,
    After(u64),
}

/// Seconds in a point of the curve.
pub(crate) const CURVE_STEP: u64 = 10;

/// The sum of what answers are worth.
pub(crate) fn worth(jobs: &[Job], is_answered: impl Fn(usize) -> bool) -> f64 {
    let answered = jobs.iter().enumerate().filter(|(n, _)| is_answered(*n));
    answered.map(|(_, job)| job.worth).sum()
}

impl Figures {
    pub(crate) fn of(setup: &Setup, oracle: &[Option<Duration>], played: &Played) -> Self {
        let jobs = &*setup.jobs;
        let calls = jobs.len().max(1) as f64;
        let is_answered = |number: usize| played.ended[number].is_ok();
        let answered = (0..jobs.len()).filter(|&n| is_answered(n)).count();
        let at_best = worth(jobs, |number| oracle[number].is_some());
        let sent: u32 = played.attempts.iter().sum();
        let times = times(played);
        let quantile = |q: f64| {
            let time = (!times.is_empty()).then(|| times.value_at_quantile(q));
            time.map(|millis| round(millis as f64 / 1000.0))
        };
        Self {
            goodput: round(worth(jobs, is_answered) / at_best.max(1.0)),
            answered: round(answered as f64 / calls),
            refused: played.ledger.totals.refused.total(),
            amplification: round(f64::from(sent) / calls),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            fairness: fairness(setup, oracle, is_answered).map(round),
            recovery: recovery(setup, is_answered),
            failures: played
                .failures()
                .into_iter()
                .map(|(why, calls)| (why.to_owned(), calls))
                .collect(),
            curve: curve(jobs, is_answered),
        }
    }
}

/// Four digits: more would pretend.
fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn times(played: &Played) -> Histogram<u64> {
    // A day in milliseconds, to three digits.
    let mut times = Histogram::new_with_max(86_400_000, 3).expect("bounds that can be meant");
    for took in played.ended.iter().flatten() {
        times.saturating_record(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }
    times
}

/// Jain's index of `x = got / fair`, where what is fair is the oracle's worth, shared out so that
/// nobody gets more than it asked for, and otherwise all the same.
fn fairness(
    setup: &Setup,
    oracle: &[Option<Duration>],
    is_answered: impl Fn(usize) -> bool,
) -> Option<f64> {
    if setup.tenants < 2 {
        return None;
    }
    let mut asked = vec![0.0; setup.tenants];
    let mut got = vec![0.0; setup.tenants];
    let mut at_best = 0.0;
    for (number, job) in setup.jobs.iter().enumerate() {
        asked[job.tenant] += job.worth;
        if is_answered(number) {
            got[job.tenant] += job.worth;
        }
        if oracle[number].is_some() {
            at_best += job.worth;
        }
    }
    let shares: Vec<f64> = got
        .iter()
        .zip(fair(&asked, at_best))
        .map(|(got, fair)| got / fair.max(1.0))
        .collect();
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    Some(if squares == 0.0 {
        0.0
    } else {
        sum * sum / (shares.len() as f64 * squares)
    })
}

/// Max-min fair shares of `whole`.
fn fair(asked: &[f64], whole: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..asked.len()).collect();
    order.sort_by(|&a, &b| asked[a].total_cmp(&asked[b]));
    let mut left = whole;
    let mut shares = vec![0.0; asked.len()];
    for (done, &tenant) in order.iter().enumerate() {
        let share = asked[tenant].min(left / (asked.len() - done) as f64);
        shares[tenant] = share;
        left -= share;
    }
    shares
}

fn within(jobs: &[Job], seconds: Range<u64>) -> Range<usize> {
    let until = |second| jobs.partition_point(|job| job.at < Duration::from_secs(second));
    until(seconds.start)..until(seconds.end)
}

fn share(calls: Range<usize>, is_answered: impl Fn(usize) -> bool) -> Option<f64> {
    let all = calls.len();
    let answered = calls.filter(|&number| is_answered(number)).count();
    (all > 0).then(|| answered as f64 / all as f64)
}

fn recovery(setup: &Setup, is_answered: impl Fn(usize) -> bool) -> Recovery {
    let (Some(trouble), Some(last)) = (&setup.trouble, setup.jobs.last()) else {
        return Recovery::Nothing;
    };
    let since = trouble.end.as_secs();
    let last = last.at.as_secs().saturating_sub(CURVE_STEP);
    (since..=last)
        .find(|&second| {
            let calls = within(&setup.jobs, second..second + CURVE_STEP);
            share(calls, &is_answered).is_none_or(|share| share >= 0.95)
        })
        .map_or(Recovery::Never, |second| Recovery::After(second - since))
}

fn curve(jobs: &[Job], is_answered: impl Fn(usize) -> bool) -> Vec<f64> {
    let end = jobs.last().map_or(0, |job| job.at.as_secs() + 1);
    (0..end.div_ceil(CURVE_STEP))
        .map(|point| {
            let calls = within(jobs, point * CURVE_STEP..(point + 1) * CURVE_STEP);
            share(calls, &is_answered).map_or(1.0, round)
        })
        .collect()
}
