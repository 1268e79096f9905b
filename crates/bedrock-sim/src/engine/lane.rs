//! One quota key: a model in a region, with its quotas, its capacity and its counts.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tower_bedrock::QuotaPath;

use super::{
    Call, Finish,
    ledger::{Cause, Counts, QuotaLedger},
    meter::Meter,
    nanos,
    quota::Quota,
};
use crate::{ModelSpec, OutputTokens, QuotaOptions, Scenario, target::Target};

#[derive(Debug)]
pub(super) struct Lane {
    /// The number of the model in the scenario.
    pub(super) spec: usize,
    pub(super) region: Box<str>,
    path: QuotaPath,
    model: Box<str>,
    requests: Option<Quota>,
    minute: Option<Quota>,
    day: Option<Quota>,
    /// Answers being generated.
    generating: u64,
    burndown: u64,
    /// What a call without `maxTokens` holds.
    pub(super) max_output: u64,
    pub(super) counts: Counts,
    chance: StdRng,
}

/// What an admitted call has taken.
#[derive(Debug)]
pub(super) struct Hold {
    tokens: u64,
    /// The part of the charge that is known from the start.
    input: u64,
    minute_at: u64,
    day_at: u64,
}

/// How an admitted call is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) output_tokens: u64,
    pub(super) hit_max_tokens: bool,
    pub(super) first_token_after: Duration,
    pub(super) per_token: Duration,
}

impl Answer {
    /// The answer of an operation that generates nothing.
    pub(super) const NONE: Self = Self {
        output_tokens: 0,
        hit_max_tokens: false,
        first_token_after: Duration::ZERO,
        per_token: Duration::ZERO,
    };
}

impl Lane {
    pub(super) fn new(scenario: &Scenario, spec: usize, region: &str, number: usize) -> Self {
        let model = &scenario.models()[spec];
        let options = scenario.quota();
        let lag = nanos(options.enforcement_lag);
        let quota = |limit: Option<u64>, meter: fn(u64, &QuotaOptions) -> Meter| {
            limit.map(|limit| Quota::new(meter(limit, options), lag))
        };
        let target = Target::of(&model.id);
        Self {
            spec,
            region: region.into(),
            path: target.path,
            model: target.model.into(),
            requests: quota(model.rpm, Meter::per_minute),
            minute: quota(model.tpm, Meter::per_minute),
            day: quota(model.tpd, Meter::per_day),
            generating: 0,
            burndown: model.burndown_rate(),
            max_output: model.max_output_tokens(),
            counts: Counts::default(),
            chance: StdRng::seed_from_u64(
                scenario.seed() ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            ),
        }
    }

    /// Takes a slot and a hold, or tells what stands in the way: requests first, then tokens, then
    /// capacity.
    pub(super) fn admit(
        &mut self,
        now: u64,
        call: &Call,
        spec: &ModelSpec,
        options: &QuotaOptions,
    ) -> Result<Hold, Cause> {
        let tokens = self.reservation(call, options);
        match self.obstacle(now, tokens, spec) {
            None => {
                self.generating += 1;
                self.counts.tokens_held = self.counts.tokens_held.saturating_add(tokens);
                if let Some(requests) = &mut self.requests {
                    requests.draw(now, 1);
                }
                let draw = |quota: &mut Option<Quota>| {
                    quota.as_mut().map_or(now, |quota| quota.draw(now, tokens))
                };
                Ok(Hold {
                    tokens,
                    input: call.input_tokens.saturating_add(call.cache_write_tokens),
                    minute_at: draw(&mut self.minute),
                    day_at: draw(&mut self.day),
                })
            }
            Some(cause) => {
                if options.charge_rejected {
                    for (quota, amount) in [
                        (&mut self.requests, 1),
                        (&mut self.minute, tokens),
                        (&mut self.day, tokens),
                    ] {
                        if let Some(quota) = quota {
                            quota.drain(now, amount);
                        }
                    }
                }
                Err(cause)
            }
        }
    }

    fn obstacle(&mut self, now: u64, tokens: u64, spec: &ModelSpec) -> Option<Cause> {
        let short = |quota: &mut Option<Quota>, amount| {
            quota.as_mut().is_some_and(|quota| !quota.fits(now, amount))
        };
        if short(&mut self.requests, 1) {
            Some(Cause::RequestsPerMinute)
        } else if short(&mut self.day, tokens) {
            Some(Cause::TokensPerDay)
        } else if short(&mut self.minute, tokens) {
            Some(Cause::TokensPerMinute)
        } else if spec
            .concurrency
            .is_some_and(|slots| self.generating >= slots)
        {
            Some(Cause::Capacity)
        } else {
            None
        }
    }

    /// What a call holds from its admission to its end (BEDROCK.md §3.2).
    fn reservation(&self, call: &Call, options: &QuotaOptions) -> u64 {
        let output = call
            .max_tokens
            .unwrap_or(self.max_output)
            .max(options.min_output_reservation);
        let rate = if options.reservation_burndown {
            self.burndown
        } else {
            1
        };
        call.total_input()
            .saturating_add(output.saturating_mul(rate))
    }

    /// Frees the slot and replaces the hold by what was used (BEDROCK.md §3.2).
    pub(super) fn settle(&mut self, now: u64, hold: &Hold, finish: Finish) {
        let output = finish.output_tokens().saturating_mul(self.burndown);
        let used = hold.input.saturating_add(output);
        self.generating -= 1;
        self.counts.tokens_held = self.counts.tokens_held.saturating_sub(hold.tokens);
        self.counts.tokens_settled = self.counts.tokens_settled.saturating_add(used);
        if let Some(minute) = &mut self.minute {
            minute.settle(now, hold.minute_at, hold.tokens, used);
        }
        if let Some(day) = &mut self.day {
            day.settle(now, hold.day_at, hold.tokens, used);
        }
    }

    /// How the model answers.
    pub(super) fn answer(&mut self, call: &Call, spec: &ModelSpec) -> Answer {
        let wanted = match spec.output_tokens {
            OutputTokens::Fixed(tokens) => tokens,
            OutputTokens::Between(least, most) => self.chance.random_range(least..=most),
        };
        let most = call.max_tokens.unwrap_or(self.max_output);
        Answer {
            output_tokens: wanted.min(most),
            hit_max_tokens: wanted > most,
            first_token_after: self.latency(spec),
            per_token: spec.tokens_per_second.map_or(Duration::ZERO, |tokens| {
                Duration::from_nanos(1_000_000_000 / tokens.max(1))
            }),
        }
    }

    fn latency(&mut self, spec: &ModelSpec) -> Duration {
        if spec.latency_jitter == 0.0 || spec.latency.is_zero() {
            return spec.latency;
        }
        let latency = nanos(spec.latency);
        let spread = ((latency as f64 * spec.latency_jitter) as u64).min(latency);
        let least = latency - spread;
        Duration::from_nanos(
            self.chance
                .random_range(least..=latency.saturating_add(spread)),
        )
    }

    pub(super) fn ledger(&self, account: &str, spec: &ModelSpec) -> QuotaLedger {
        QuotaLedger {
            account: account.to_owned(),
            region: self.region.to_string(),
            path: self.path.as_str(),
            model: self.model.to_string(),
            rpm: spec.rpm,
            tpm: spec.tpm,
            tpd: spec.tpd,
            counts: self.counts,
        }
    }
}
