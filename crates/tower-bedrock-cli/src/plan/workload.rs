//! The arithmetic of holds: what a load of equal calls takes of a quota.

use std::time::Duration;

/// What the stack's default window counts: a minute and the margin for calls that come late
/// ([`Quota::with_margin`](tower_bedrock::Quota::with_margin)).
const WINDOW: f64 = 60.25;
const MINUTES_OF_A_DAY: f64 = 1440.0;

/// Calls that are all alike.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) calls_per_minute: f64,
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) max_tokens: u64,
    pub(super) output: u64,
    pub(super) burndown: u32,
    pub(super) duration: Duration,
}

/// A quota; what is not set does not bind.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    pub(super) tokens_per_day: Option<u64>,
}

impl Limits {
    /// Name, quota and the calls per minute that fit, of each limit that is set.
    pub(super) fn each(
        &self,
        workload: &Workload,
    ) -> impl Iterator<Item = (&'static str, u64, f64)> {
        let requests = self
            .requests_per_minute
            .map(|quota| ("requests per minute", quota, quota as f64 * 60.0 / WINDOW));
        let tokens = self
            .tokens_per_minute
            .map(|quota| ("tokens per minute", quota, workload.fit_tokens(quota)));
        let day = self
            .tokens_per_day
            .map(|quota| ("tokens per day", quota, workload.fit_day(quota)));
        [requests, tokens, day].into_iter().flatten()
    }
}

impl Workload {
    /// What is wrong with the question, if anything is.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), String> {
        let calls = self.calls_per_minute;
        if !calls.is_finite() || calls <= 0.0 {
            return Err(format!("--calls-per-minute must be above 0, not {calls}"));
        }
        if self.output > self.max_tokens {
            return Err(format!(
                "--output-tokens {} is more than maxTokens {}: the service cuts answers there",
                self.output, self.max_tokens
            ));
        }
        if self.duration.is_zero() {
            return Err("--duration must be above 0: tokens are held for as long".to_owned());
        }
        let given = [
            ("--requests-per-minute", limits.requests_per_minute),
            ("--tokens-per-minute", limits.tokens_per_minute),
            ("--tokens-per-day", limits.tokens_per_day),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, quota)| *quota == Some(0)) {
            return Err(format!("{flag} is 0: nothing can be sent at all"));
        }
        if given.iter().all(|(_, quota)| quota.is_none()) {
            return Err(
                "there is no quota to plan with: give --tokens-per-minute, --requests-per-minute or \
                 --tokens-per-day"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What the service sets aside at admission (BEDROCK.md §3.2).
    pub(super) const fn held(&self) -> u64 {
        self.around(self.cache_read).saturating_add(self.max_tokens)
    }

    /// What it counts in the end.
    pub(super) const fn settled(&self) -> u64 {
        self.around(0)
            .saturating_add(self.output.saturating_mul(self.burndown as u64))
    }

    const fn around(&self, cache_read: u64) -> u64 {
        self.input
            .saturating_add(self.cache_write)
            .saturating_add(cache_read)
    }

    /// The part of a window during which a call holds more, or less, than it costs in the end.
    fn open_part(&self) -> f64 {
        self.duration.as_secs_f64().min(WINDOW) / WINDOW
    }

    /// What a call counts in a window on average: its hold while it is open, its cost from then on.
    fn counted(&self) -> f64 {
        let (held, settled) = (self.held() as f64, self.settled() as f64);
        held * self.open_part() + settled * (1.0 - self.open_part())
    }

    /// Calls per minute that fit `quota` tokens per minute.
    pub(super) fn fit_tokens(&self, quota: u64) -> f64 {
        if self.held() > quota {
            return 0.0;
        }
        let in_window = quota as f64 / self.counted().max(1.0);
        // Nothing but holds in the window: no part of a call makes up for another.
        let in_window = if self.open_part() < 1.0 {
            in_window
        } else {
            in_window.floor()
        };
        in_window * 60.0 / WINDOW
    }

    fn fit_day(&self, quota: u64) -> f64 {
        if self.held() > quota {
            return 0.0;
        }
        quota as f64 / MINUTES_OF_A_DAY / (self.settled() as f64).max(1.0)
    }

    /// The part of the tokens per minute that `calls_per_minute` hold and do not use.
    pub(super) fn lost_to_holds(&self, quota: u64, calls_per_minute: f64) -> f64 {
        let per_call = (self.held() as f64 - self.settled() as f64) * self.open_part();
        if !calls_per_minute.is_finite() {
            return 0.0;
        }
        (per_call.max(0.0) * calls_per_minute * WINDOW / 60.0 / quota as f64).min(1.0)
    }

    /// The largest `maxTokens` with which all calls fit; 0 if none does.
    pub(super) fn max_tokens_that_fits(&self, quota: u64) -> u64 {
        let per_call = quota as f64 * 60.0 / WINDOW / self.calls_per_minute;
        let closed = self.settled() as f64 * (1.0 - self.open_part());
        let held = ((per_call - closed) / self.open_part()).floor();
        // A single hold must fit, too.
        let held = if held <= 0.0 {
            0
        } else {
            (held as u64).min(quota)
        };
        let tokens = held.saturating_sub(self.around(self.cache_read));
        // Less than what is generated would cut the answers.
        if tokens < self.output { 0 } else { tokens }
    }
}
