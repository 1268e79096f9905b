//! Why a call failed, and what each layer does about it: one table.

use std::{fmt, time::Duration};

use crate::{error::Error, retry::Backoff};

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// Why an attempt failed, or was refused by one of our own layers.
        ///
        /// Only [`ClassifyLayer`](crate::ClassifyLayer) looks at codes, statuses and texts; every
        /// other layer reads the cause and its [`Reaction`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$doc])* $variant,)*
        }

        impl Cause {
            /// Every cause there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The cause in snake case, as it stands in metrics and events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

causes! {
    /// Requests per minute are used up.
    RequestRate => "request_rate",
    /// Tokens per minute are used up, or the call's own reservation does not fit what is left.
    TokenRate => "token_rate",
    /// Tokens per day are used up. Comes back in hours.
    TokensPerDay => "tokens_per_day",
    /// Throttled, and the service does not say by what.
    Throttled => "throttled",
    /// A hard limit of the account that waiting does not lift.
    AccountLimit => "account_limit",
    /// The model is overloaded by everybody; the account's own quota is not the matter.
    ModelOverloaded => "model_overloaded",
    /// The model is not loaded yet: imported or custom, scaled to zero.
    ModelNotReady => "model_not_ready",
    /// The service is short of capacity ("Too many connections", InsufficientThroughput).
    CapacityExceeded => "capacity_exceeded",
    /// The service or the region is not available.
    ServiceUnavailable => "service_unavailable",
    /// A fault inside the service.
    Internal => "internal",
    /// The inference took longer than the service allows. What it generated is billed.
    ModelTimeout => "model_timeout",
    /// The model behind the service failed; [`Error::original_status`] tells with what.
    ModelFailed => "model_failed",
    /// The service reported an error inside a stream.
    StreamFailed => "stream_failed",
    /// A stream ended without its last event.
    StreamTruncated => "stream_truncated",
    /// A stream fell silent for longer than its limit.
    StreamStalled => "stream_stalled",
    /// No connection, or one that broke before the answer's head.
    Connect => "connect",
    /// No answer in time. The service may have done, and billed, the work.
    Timeout => "timeout",
    /// Input and output do not fit into the model's context window.
    ContextTooLong => "context_too_long",
    /// The service's content filter refused the input or the output.
    ContentBlocked => "content_blocked",
    /// The model can only be called through an inference profile.
    ProfileRequired => "profile_required",
    /// The request is wrong and will stay so.
    InvalidRequest => "invalid_request",
    /// The caller may not do this.
    AccessDenied => "access_denied",
    /// The credentials are missing, wrong or expired.
    Credentials => "credentials",
    /// What the request names does not exist.
    NotFound => "not_found",
    /// Ours: the circuit of the route is open.
    CircuitOpen => "circuit_open",
    /// Ours: the call does not fit the quota before its deadline.
    BudgetExhausted => "budget_exhausted",
    /// Ours: the pool and its queue are full.
    PoolSaturated => "pool_saturated",
    /// Ours: the caller's deadline has passed.
    DeadlineExceeded => "deadline_exceeded",
    /// Ours: no route is left that the call may take.
    NoRouteAllowed => "no_route_allowed",
    /// Nothing that we know. Never retried: we would not know why.
    Unknown => "unknown",
}

impl Cause {
    /// Whether the service refused for want of quota or capacity of the model, with a 429.
    ///
    /// A refusal of this kind is cheap for the service, so a retry of it costs the
    /// [`RetryBudget`](crate::RetryBudget) less.
    #[must_use]
    pub const fn is_throttle(self) -> bool {
        matches!(
            self,
            Self::RequestRate
                | Self::TokenRate
                | Self::TokensPerDay
                | Self::Throttled
                | Self::ModelOverloaded
        )
    }

    /// Whether one of our own layers refused, so that nothing was sent.
    #[must_use]
    pub const fn is_own_refusal(self) -> bool {
        matches!(
            self,
            Self::CircuitOpen
                | Self::BudgetExhausted
                | Self::PoolSaturated
                | Self::DeadlineExceeded
                | Self::NoRouteAllowed
        )
    }

    /// The default reaction to the cause.
    #[must_use]
    pub const fn reaction(self) -> Reaction {
        Reaction::to(self)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The table is indexed by the cause, so causes must be numbered as they are listed.
    #[test]
    fn every_cause_has_its_own_row() {
        for (index, &cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(cause as usize, index);
            assert_eq!(Reactions::default().get(cause), cause.reaction());
        }
    }

    /// Quota throttles, auth and validation say nothing about the health of a route.
    #[test]
    fn only_health_causes_count_in_the_breaker() {
        let counted: Vec<_> = Cause::ALL
            .iter()
            .filter(|cause| cause.reaction().breaker != BreakerReaction::Ignore)
            .map(|cause| cause.as_str())
            .collect();
        assert_eq!(
            counted,
            [
                "model_overloaded",
                "capacity_exceeded",
                "service_unavailable",
                "internal",
                "model_timeout",
                "model_failed",
                "stream_failed",
                "stream_truncated",
                "stream_stalled",
                "connect",
                "timeout"
            ]
        );
    }

    /// Our own refusals are never retried: the layer that refused would only refuse again.
    #[test]
    fn own_refusals_are_never_retried() {
        for cause in Cause::ALL.iter().filter(|cause| cause.is_own_refusal()) {
            assert_eq!(cause.reaction().retry, RetryReaction::Never, "{cause}");
        }
    }

    /// A model's own 4xx is the caller's error; its 429 and 5xx pass.
    #[test]
    fn a_failed_model_is_judged_by_its_own_status() {
        let reactions = Reactions::default();
        let of = |status| {
            let error = Error::new(Cause::ModelFailed).with_original_status(status);
            reactions.of(&error)
        };
        assert_eq!(of(400).retry, RetryReaction::Never);
        assert_eq!(of(400).breaker, BreakerReaction::Ignore);
        assert_ne!(of(429).retry, RetryReaction::Never);
        assert_eq!(of(429).breaker, BreakerReaction::Ignore);
        assert_ne!(of(503).retry, RetryReaction::Never);
        assert_eq!(of(503).breaker, BreakerReaction::Failure);
        let untold = reactions.of(&Error::new(Cause::ModelFailed));
        assert_eq!(untold.retry, RetryReaction::Never);
        let in_stream = Error::new(Cause::StreamFailed);
        assert_ne!(reactions.of(&in_stream).retry, RetryReaction::Never);
        let in_stream = in_stream.with_original_status(400);
        assert_eq!(reactions.of(&in_stream).retry, RetryReaction::Never);
    }
}
