//! What a quota is, and how it is counted.

use std::time::Duration;

use super::invalid::InvalidQuota;
use crate::cause::Limit;

/// The largest quota that is believed: far above any, and far below where arithmetic ends.
pub(crate) const MAX_QUOTA: u64 = 1_000_000_000_000_000;
/// The largest burndown rate that is believed.
pub(super) const MAX_BURNDOWN: u32 = 1000;
/// The longest margin and burst that make sense of a minute's quota.
const MAX_MARGIN: Duration = Duration::from_secs(60);
const MAX_BURST: Duration = Duration::from_secs(3600);
/// What calls may be late by against one another on their way to the service: a new connection with
/// its handshakes takes about this long.
const MARGIN: Duration = Duration::from_millis(250);

/// The quotas of one key, as Service Quotas shows them, and how they are counted.
///
/// Every limit is optional. A limit that is not set is learned from the service's refusals, as is
/// one that others use too; see [`without_learning`](Self::without_learning).
///
/// # Example
///
/// ```
/// use tower_bedrock::{Quota, QuotaShare, Quotas, Route};
///
/// let quotas = Quotas::new();
/// let quota = Quota::new()
///     .with_tokens_per_minute(200_000)
///     .with_requests_per_minute(100)
///     // Three services share the account.
///     .with_share(QuotaShare::Fraction(1.0 / 3.0));
/// quotas.set(&Route::to("us.anthropic.claude-sonnet-4-6".parse()?), quota)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    pub(super) tokens_per_day: Option<u64>,
    pub(super) share: QuotaShare,
    pub(super) window: QuotaWindow,
    pub(super) margin: Duration,
    pub(super) pace: Option<QuotaPace>,
    pub(super) daily_reset: DailyReset,
    pub(super) burndown_rate: Option<u32>,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) hold_burndown: bool,
    pub(super) learns: bool,
}

/// How much of a quota is this application's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum QuotaShare {
    /// All of it.
    #[default]
    Whole,
    /// This part of each limit, above 0 and up to 1.
    Fraction(f64),
    /// This many tokens per minute, and of the other limits the same part.
    TokensPerMinute(u64),
}

/// How a minute's quota is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaWindow {
    /// Never more than the quota in any 60 s. Whichever way the service counts, token bucket,
    /// sliding log or clock minutes, it does not refuse what this admits. The price: what open calls
    /// hold is missing from the minute. Calls that hold four times what they use and take 10 s come
    /// to two thirds of the quota; set `maxTokens` close to what is needed, or tell the window.
    #[default]
    Sliding,
    /// A token bucket of `burst` that refills evenly: after a rest, it admits the burst beside what
    /// flows in. What measurements of the service fit best (BEDROCK.md §3.4), with 60 s; admits up to
    /// twice the quota in one minute, so a service that counts otherwise refuses some of it.
    TokenBucket {
        /// How long the quota may be saved up.
        burst: Duration,
    },
}

/// Even spacing below a minute's quota.
///
/// The service was seen to refuse clumps of calls within a second although the minute had room;
/// AWS's own samples go at 70 to 85 % of the quota, evenly (BEDROCK.md §2.4).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuotaPace {
    /// The part of the quota to go at, above 0 and up to 1.
    pub share: f64,
    /// How much of the pace may be saved up and spent at once; a call that is larger goes when
    /// nothing is owed, and the next ones wait accordingly. One second by default.
    pub burst: Duration,
}

/// When the tokens of a day come back; the service does not say (BEDROCK.md §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DailyReset {
    /// Each a day after it was used. When the service says that the day's tokens are used up,
    /// nothing is sent for an hour.
    #[default]
    Rolling,
    /// All at UTC midnight. When the service says that the day's tokens are used up, nothing is sent
    /// until then.
    MidnightUtc,
}

impl Quota {
    /// No limit known: the ledger learns.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            tokens_per_day: None,
            share: QuotaShare::Whole,
            window: QuotaWindow::Sliding,
            margin: MARGIN,
            pace: None,
            daily_reset: DailyReset::Rolling,
            burndown_rate: None,
            max_output_tokens: None,
            hold_burndown: false,
            learns: true,
        }
    }

    /// Sets the tokens per minute of the account.
    #[must_use]
    pub const fn with_tokens_per_minute(mut self, tokens: u64) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// Sets the requests per minute of the account. Newer models have none (BEDROCK.md §3.1).
    #[must_use]
    pub const fn with_requests_per_minute(mut self, requests: u64) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// Sets the tokens per day of the account.
    #[must_use]
    pub const fn with_tokens_per_day(mut self, tokens: u64) -> Self {
        self.tokens_per_day = Some(tokens);
        self
    }

    /// Sets how much of the limits is this application's; all by default.
    #[must_use]
    pub const fn with_share(mut self, share: QuotaShare) -> Self {
        self.share = share;
        self
    }

    /// Sets how a minute is counted; [`QuotaWindow::Sliding`] by default.
    #[must_use]
    pub const fn with_window(mut self, window: QuotaWindow) -> Self {
        self.window = window;
        self
    }

    /// How late calls may come to the service against one another: what was drawn counts this much
    /// longer than a minute. 250 ms by default, 0.4 % of the quota.
    #[must_use]
    pub const fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Spaces calls evenly, below the quota. Off by default.
    #[must_use]
    pub const fn with_pace(mut self, pace: QuotaPace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Sets when the tokens of a day come back.
    #[must_use]
    pub const fn with_daily_reset(mut self, reset: DailyReset) -> Self {
        self.daily_reset = reset;
        self
    }

    /// How many quota tokens an output token costs when a call settles; by the model's name if not
    /// set, see [`ModelId::default_burndown_rate`](crate::ModelId::default_burndown_rate).
    #[must_use]
    pub const fn with_burndown_rate(mut self, rate: u32) -> Self {
        self.burndown_rate = Some(rate);
        self
    }

    /// What a call without `maxTokens` holds for its output: the most that the model generates. By
    /// the model's name if not set, see
    /// [`ModelId::default_max_output_tokens`](crate::ModelId::default_max_output_tokens).
    #[must_use]
    pub const fn with_max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// Whether a call holds `maxTokens` times the burndown rate. Off by default: AWS documents that
    /// it holds `maxTokens` once, though some of its tools multiply (BEDROCK.md §3.2). On, the
    /// ledger never owes anything, and admits fewer calls at a time.
    #[must_use]
    pub const fn with_burndown_held(mut self, held: bool) -> Self {
        self.hold_burndown = held;
        self
    }

    /// Learns nothing from refusals: the limits are known, and nobody else uses them.
    #[must_use]
    pub const fn without_learning(mut self) -> Self {
        self.learns = false;
        self
    }

    /// A limit as it was set, without the share.
    #[must_use]
    pub const fn limit(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::RequestsPerMinute => self.requests_per_minute,
            Limit::TokensPerMinute => self.tokens_per_minute,
            Limit::TokensPerDay => self.tokens_per_day,
        }
    }

    /// A limit as this application may use it: its share, at least 1.
    #[must_use]
    pub fn effective(&self, limit: Limit) -> Option<u64> {
        let whole = self.limit(limit)?;
        let part = match (self.share, self.tokens_per_minute) {
            (QuotaShare::Fraction(fraction), _) => (whole as f64 * fraction) as u64,
            (QuotaShare::TokensPerMinute(tokens), Some(quota)) => {
                let part = u128::from(whole) * u128::from(tokens) / u128::from(quota.max(1));
                u64::try_from(part).unwrap_or(whole)
            }
            (QuotaShare::TokensPerMinute(_) | QuotaShare::Whole, _) => whole,
        };
        Some(part.clamp(1, whole.max(1)))
    }

    /// Checks what was set.
    ///
    /// # Errors
    ///
    /// [`InvalidQuota`] says what cannot be meant.
    pub fn check(&self) -> Result<(), InvalidQuota> {
        self.check_limits()?;
        self.check_share()?;
        if let Some(pace) = self.pace {
            if !is_share(pace.share) {
                return Err(InvalidQuota::Pace { value: pace.share });
            }
            check_burst(pace.burst)?;
        }
        if let QuotaWindow::TokenBucket { burst } = self.window {
            check_burst(burst)?;
            if burst <= self.margin {
                return Err(InvalidQuota::Burst { value: burst });
            }
        }
        if self.margin >= MAX_MARGIN {
            return Err(InvalidQuota::Margin { value: self.margin });
        }
        match self.burndown_rate {
            Some(value) if value == 0 || value > MAX_BURNDOWN => {
                Err(InvalidQuota::Burndown { value })
            }
            _ => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), InvalidQuota> {
        use Limit::{RequestsPerMinute, TokensPerDay, TokensPerMinute};
        for limit in [RequestsPerMinute, TokensPerMinute, TokensPerDay] {
            match self.limit(limit) {
                Some(0) => return Err(InvalidQuota::Zero { limit }),
                Some(value) if value > MAX_QUOTA => {
                    return Err(InvalidQuota::TooLarge { limit, value });
                }
                _ => {}
            }
        }
        // A minute is no longer than a day, and a request has at least one token.
        for (limit, other) in [
            (TokensPerMinute, TokensPerDay),
            (RequestsPerMinute, TokensPerMinute),
        ] {
            if let (Some(value), Some(other_value)) = (self.limit(limit), self.limit(other))
                && value > other_value
            {
                return Err(InvalidQuota::Contradiction {
                    limit,
                    value,
                    other,
                    other_value,
                });
            }
        }
        Ok(())
    }

    fn check_share(&self) -> Result<(), InvalidQuota> {
        let quota = self.tokens_per_minute;
        match self.share {
            QuotaShare::Fraction(value) if !is_share(value) => Err(InvalidQuota::Share { value }),
            QuotaShare::TokensPerMinute(value)
                if value == 0 || quota.is_none_or(|quota| value > quota) =>
            {
                Err(InvalidQuota::TokenShare { value, quota })
            }
            _ => Ok(()),
        }
    }
}

/// Above 0 and at most 1; a NaN is neither.
fn is_share(value: f64) -> bool {
    value > 0.0 && value <= 1.0
}

fn check_burst(value: Duration) -> Result<(), InvalidQuota> {
    if value.is_zero() || value > MAX_BURST {
        return Err(InvalidQuota::Burst { value });
    }
    Ok(())
}

impl QuotaPace {
    /// Even spacing at `share` of the quota, with a burst of one second.
    #[must_use]
    pub const fn at(share: f64) -> Self {
        Self {
            share,
            burst: Duration::from_secs(1),
        }
    }

    /// Sets the burst.
    #[must_use]
    pub const fn with_burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::new()
    }
}
