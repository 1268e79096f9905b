//! Why a call failed, and what each layer does about it: one table.

mod reaction;
#[cfg(test)]
mod tests;

use std::fmt;

pub use reaction::{BreakerReaction, Limit, NextRoute, Reaction, Reactions, RetryReaction};

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
    /// The model behind the service failed; [`Error::original_status`](crate::Error::original_status) tells with what.
    ModelFailed => "model_failed",
    /// The service reported an error inside a stream, or sent what cannot be read.
    StreamFailed => "stream_failed",
    /// A stream ended without its last event: the connection was closed, reset or cut.
    StreamTruncated => "stream_truncated",
    /// A stream fell silent for longer than its limit.
    StreamStalled => "stream_stalled",
    /// No connection, or one that broke before the answer was complete. In the second case the service
    /// may have done, and billed, the work.
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

    /// Whether one of our own layers refused. Nothing was sent, but for an attempt that a deadline cut.
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
