//! How quotas are enforced.

use std::time::Duration;

use serde::Deserialize;

/// How quotas are enforced, for all models alike.
///
/// What AWS does not say, or what measurements contradict, is a setting here; the defaults are what
/// fits the published measurements best (BEDROCK.md §3.2, §3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaOptions {
    /// How a minute is counted. A token bucket by default.
    pub window: Window,
    /// Whether a hold counts `maxTokens` times the burndown rate. Off by default: the documentation
    /// holds it once, some tools hold it multiplied.
    pub reservation_burndown: bool,
    /// The least that a hold counts for the output, in tokens. 0 by default.
    pub min_output_reservation: u64,
    /// Whether a refused call draws on the quota too: one request and its hold, never given back,
    /// but no more than is there. Off by default.
    pub charge_rejected: bool,
    /// How much later than it happens a draw reaches the quota; bursts shorter than this overshoot
    /// and leave a debt. Zero by default.
    pub enforcement_lag: Duration,
    /// When the tokens of a day come back. Rolling by default.
    pub tpd_reset: DailyReset,
    /// The UTC time of day at which the engine starts, for [`DailyReset::Midnight`]. Midnight by
    /// default.
    pub starts_at: Duration,
}

/// How a minute is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// A bucket that refills continuously and is full at the start. What measurements of the service
    /// fit best (BEDROCK.md §3.4).
    TokenBucket {
        /// How many seconds' worth of quota the bucket holds. 60 by default.
        burst_seconds: u64,
    },
    /// Never more than the quota in any 60 seconds, exactly.
    SlidingWindow,
    /// The quota once in every minute, counted from the start of the engine.
    FixedMinute,
}

impl Window {
    /// The burst of the default bucket, in seconds.
    pub(super) const BURST_SECONDS: u64 = 60;
}

impl Default for Window {
    fn default() -> Self {
        Self::TokenBucket {
            burst_seconds: Self::BURST_SECONDS,
        }
    }
}

/// When the tokens of a day come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DailyReset {
    /// Each 24 hours after it was drawn, to the minute: never more than the quota in any 24 hours.
    #[default]
    Rolling,
    /// All at once, at UTC midnight.
    Midnight,
}

impl QuotaOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the [window](Self::window).
    #[must_use]
    pub const fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Sets [`reservation_burndown`](Self::reservation_burndown).
    #[must_use]
    pub const fn reservation_burndown(mut self, on: bool) -> Self {
        self.reservation_burndown = on;
        self
    }

    /// Sets [`min_output_reservation`](Self::min_output_reservation).
    #[must_use]
    pub const fn min_output_reservation(mut self, tokens: u64) -> Self {
        self.min_output_reservation = tokens;
        self
    }

    /// Sets [`charge_rejected`](Self::charge_rejected).
    #[must_use]
    pub const fn charge_rejected(mut self, on: bool) -> Self {
        self.charge_rejected = on;
        self
    }

    /// Sets [`enforcement_lag`](Self::enforcement_lag).
    #[must_use]
    pub const fn enforcement_lag(mut self, lag: Duration) -> Self {
        self.enforcement_lag = lag;
        self
    }

    /// Sets [`tpd_reset`](Self::tpd_reset).
    #[must_use]
    pub const fn tpd_reset(mut self, reset: DailyReset) -> Self {
        self.tpd_reset = reset;
        self
    }

    /// Sets [`starts_at`](Self::starts_at).
    #[must_use]
    pub const fn starts_at(mut self, time_of_day: Duration) -> Self {
        self.starts_at = time_of_day;
        self
    }
}
