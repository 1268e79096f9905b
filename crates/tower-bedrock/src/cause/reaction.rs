//! The table of reactions.

use std::{fmt, time::Duration};

use super::Cause;
use crate::{error::Error, retry::Backoff};

/// What each layer does about a cause: a row of the table.
///
/// # Example
///
/// ```
/// use tower_bedrock::{BreakerReaction, Cause, RetryReaction};
///
/// let reaction = Cause::TokensPerDay.reaction();
/// assert_eq!(reaction.retry, RetryReaction::Never);
/// assert_eq!(reaction.breaker, BreakerReaction::Ignore);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaction {
    /// What the retry layer does.
    pub retry: RetryReaction,
    /// What the circuit breaker makes of it.
    pub breaker: BreakerReaction,
    /// When a fallback moves on to its next route.
    pub next_route: NextRoute,
    /// The quota that was hit, for the token budget.
    pub limit: Option<Limit>,
}

/// What the retry layer does about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryReaction {
    /// Gives the error to the caller.
    Never,
    /// Tries again, at most `max_retries` times for a call, after a wait drawn from `backoff`.
    Backoff {
        /// The shape of the waits.
        backoff: Backoff,
        /// How many retries a call gets, not counting the first attempt.
        max_retries: u32,
    },
    /// The same, but only if the caller allows work to be done and billed twice.
    BackoffIfAllowed {
        /// The shape of the waits.
        backoff: Backoff,
        /// How many retries a call gets, not counting the first attempt.
        max_retries: u32,
    },
}

/// What the circuit breaker makes of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerReaction {
    /// Says nothing about the health of the route.
    Ignore,
    /// The route is sick.
    Failure,
    /// The route is slow.
    Slow,
}

/// When a fallback moves on to its next route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextRoute {
    /// Never: another route would answer the same.
    Never,
    /// When the retries below are spent.
    AfterRetries,
    /// At once: waiting does not help.
    AtOnce,
}

/// A quota of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Requests per minute.
    RequestsPerMinute,
    /// Tokens per minute.
    TokensPerMinute,
    /// Tokens per day.
    TokensPerDay,
}

// === impl Limit ===

impl Limit {
    /// The limit in snake case, as it stands in metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Reaction ===

/// A one-minute quota refills within 60 s, so a wait never needs to be longer.
const ONE_MINUTE: Duration = Duration::from_secs(60);
/// Mean waits of 0.5, 1, 2, 4, 8, 16, 30 and 30 s: a minute and a half on average, so a call outlives
/// the refill of a minute's quota that others have emptied.
const REQUEST_RATE: Backoff = Backoff::new(Duration::from_secs(1), ONE_MINUTE);
/// The same with a slower start: a token bucket regains a large call's worth in seconds, not at once.
const TOKEN_RATE: Backoff = Backoff::new(Duration::from_secs(2), ONE_MINUTE);
/// Enough for a refill of the minute wherever it started.
const RATE_RETRIES: u32 = 8;
/// Short and few: under overload a retry makes things worse (BEDROCK.md §2.4).
const CAPACITY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(4));
/// Imported models load in 5 to 30 s steps, minutes in all (BEDROCK.md §2.1, row 6).
const NOT_READY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(30));
const CONNECTION: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

impl Reaction {
    /// Nothing can be done: the caller gets the error.
    pub const GIVE_UP: Self = Self {
        retry: RetryReaction::Never,
        breaker: BreakerReaction::Ignore,
        next_route: NextRoute::Never,
        limit: None,
    };

    /// The default reaction to `cause` (BEDROCK.md §2.1).
    #[must_use]
    pub const fn to(cause: Cause) -> Self {
        use BreakerReaction as B;
        use NextRoute as N;
        let give_up = Self::GIVE_UP;
        match cause {
            Cause::RequestRate => give_up
                .retried(REQUEST_RATE, RATE_RETRIES)
                .then(N::AfterRetries)
                .hit(Limit::RequestsPerMinute),
            Cause::TokenRate => give_up
                .retried(TOKEN_RATE, RATE_RETRIES)
                .then(N::AfterRetries)
                .hit(Limit::TokensPerMinute),
            Cause::Throttled => give_up
                .retried(REQUEST_RATE, RATE_RETRIES)
                .then(N::AfterRetries),
            Cause::TokensPerDay => give_up.then(N::AtOnce).hit(Limit::TokensPerDay),
            Cause::ModelOverloaded | Cause::CapacityExceeded | Cause::ServiceUnavailable => give_up
                .retried(CAPACITY, 3)
                .counted(B::Failure)
                .then(N::AtOnce),
            Cause::Internal | Cause::StreamFailed => give_up
                .retried(CAPACITY, 2)
                .counted(B::Failure)
                .then(N::AfterRetries),
            Cause::ModelFailed | Cause::StreamTruncated | Cause::StreamStalled => give_up
                .retried(CAPACITY, 1)
                .counted(B::Failure)
                .then(N::AfterRetries),
            // The service says itself that the attempt is over, so one more does not run beside it.
            Cause::ModelTimeout => give_up
                .retried(CAPACITY, 1)
                .counted(B::Slow)
                .then(N::AfterRetries),
            Cause::ModelNotReady => give_up.retried(NOT_READY, 10).then(N::AfterRetries),
            Cause::Connect => give_up
                .retried(CONNECTION, 3)
                .counted(B::Failure)
                .then(N::AfterRetries),
            Cause::Timeout => Self {
                retry: RetryReaction::BackoffIfAllowed {
                    backoff: CAPACITY,
                    max_retries: 2,
                },
                ..give_up.counted(B::Slow).then(N::AfterRetries)
            },
            Cause::AccountLimit
            | Cause::ContextTooLong
            | Cause::ProfileRequired
            | Cause::AccessDenied
            | Cause::CircuitOpen
            | Cause::BudgetExhausted
            | Cause::PoolSaturated => give_up.then(N::AtOnce),
            Cause::ContentBlocked
            | Cause::InvalidRequest
            | Cause::Credentials
            | Cause::NotFound
            | Cause::DeadlineExceeded
            | Cause::NoRouteAllowed
            | Cause::Unknown => give_up,
        }
    }

    /// The same reaction with another retry.
    #[must_use]
    pub const fn retried(mut self, backoff: Backoff, max_retries: u32) -> Self {
        self.retry = RetryReaction::Backoff {
            backoff,
            max_retries,
        };
        self
    }

    /// The same reaction, counted otherwise by the circuit breaker.
    #[must_use]
    pub const fn counted(mut self, breaker: BreakerReaction) -> Self {
        self.breaker = breaker;
        self
    }

    /// The same reaction with another rule for the next route.
    #[must_use]
    pub const fn then(mut self, next_route: NextRoute) -> Self {
        self.next_route = next_route;
        self
    }

    /// The same reaction, telling the token budget that `limit` was hit.
    #[must_use]
    pub const fn hit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// The table of reactions: a row for each cause, every one of which can be overridden.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Cause, Reaction, Reactions};
///
/// let reactions = Reactions::default().with(Cause::ModelTimeout, Reaction::GIVE_UP);
/// assert_eq!(reactions.get(Cause::ModelTimeout), Reaction::GIVE_UP);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reactions([Reaction; Cause::ALL.len()]);

impl Reactions {
    /// The table with another row for `cause`.
    #[must_use]
    pub const fn with(mut self, cause: Cause, reaction: Reaction) -> Self {
        self.0[cause as usize] = reaction;
        self
    }

    /// The row of `cause`.
    #[must_use]
    pub const fn get(&self, cause: Cause) -> Reaction {
        self.0[cause as usize]
    }

    /// The reaction to `error`: the row of its cause, narrowed by what else the error tells.
    ///
    /// A model that failed with a status of its own, at once or inside a stream, is retried only for
    /// 429 and 5xx, and is a failure for the circuit breaker only for 5xx (BEDROCK.md §2.1, rows 13
    /// and 14). One that does not tell its status is not retried, inside a stream it is.
    #[must_use]
    pub fn of(&self, error: &Error) -> Reaction {
        let mut reaction = self.get(error.cause());
        let original_status = match (error.cause(), error.original_status()) {
            (Cause::ModelFailed, None) => Some(400),
            (Cause::ModelFailed | Cause::StreamFailed, status) => status,
            _ => None,
        };
        match original_status {
            None | Some(500..=599) => {}
            Some(429) => reaction.breaker = BreakerReaction::Ignore,
            Some(_) => {
                reaction.retry = RetryReaction::Never;
                reaction.breaker = BreakerReaction::Ignore;
            }
        }
        reaction
    }
}

impl Default for Reactions {
    fn default() -> Self {
        let mut rows = [Reaction::GIVE_UP; Cause::ALL.len()];
        for &cause in Cause::ALL {
            rows[cause as usize] = Reaction::to(cause);
        }
        Self(rows)
    }
}
