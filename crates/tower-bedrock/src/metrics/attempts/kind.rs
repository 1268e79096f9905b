//! Whose fault a failure is, in CloudWatch's words.

use crate::{
    cause::Cause,
    metrics::names::{
        INVOCATION_CLIENT_ERRORS, INVOCATION_SERVER_ERRORS, INVOCATION_THROTTLES,
        INVOCATION_TRANSPORT_ERRORS, Metric,
    },
};

/// What counts an attempt that failed for `cause`, of an answer with `status` if there was one.
pub(super) const fn metric_of(cause: Cause, status: Option<u16>) -> &'static Metric {
    match cause {
        Cause::RequestRate
        | Cause::TokenRate
        | Cause::TokensPerDay
        | Cause::Throttled
        | Cause::ModelOverloaded
        | Cause::ModelNotReady => &INVOCATION_THROTTLES,
        Cause::AccountLimit
        | Cause::ContextTooLong
        | Cause::ContentBlocked
        | Cause::ProfileRequired
        | Cause::InvalidRequest
        | Cause::AccessDenied
        | Cause::Credentials
        | Cause::NotFound => &INVOCATION_CLIENT_ERRORS,
        // CloudWatch counts by status, and the last two of these have one of the four hundreds.
        Cause::CapacityExceeded
        | Cause::ServiceUnavailable
        | Cause::Internal
        | Cause::StreamFailed
        | Cause::ModelTimeout
        | Cause::ModelFailed => &INVOCATION_SERVER_ERRORS,
        Cause::StreamTruncated
        | Cause::StreamStalled
        | Cause::Connect
        | Cause::Timeout
        | Cause::DeadlineExceeded
        | Cause::CircuitOpen
        | Cause::BudgetExhausted
        | Cause::PoolSaturated
        | Cause::NoRouteAllowed => &INVOCATION_TRANSPORT_ERRORS,
        Cause::Unknown => match status {
            Some(400..500) => &INVOCATION_CLIENT_ERRORS,
            Some(_) => &INVOCATION_SERVER_ERRORS,
            None => &INVOCATION_TRANSPORT_ERRORS,
        },
    }
}
