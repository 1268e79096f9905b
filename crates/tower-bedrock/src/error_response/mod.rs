//! [`Error`] as an answer over HTTP.

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use axum_core::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::{
    cause::Cause,
    circuit_breaker::CircuitOpen,
    error::Error,
    fallback::FallbackExhausted,
    token_budget::{BudgetExhausted, ExhaustedReason},
};

/// What somebody outside may know of an [`Error`]: a status, a code, a sentence and a wait.
///
/// It holds nothing that the service said and nothing of how the application calls it: no model, no
/// account, no region, no request id, no message of the service, which may name any of them.
///
/// | status | code | of causes |
/// |---|---|---|
/// | 429 | the cause | `RequestRate`, `TokenRate`, `TokensPerDay`, `Throttled`, `BudgetExhausted` |
/// | 503 | the cause | `CircuitOpen`, `PoolSaturated`, `ModelOverloaded`, `ModelNotReady`, `CapacityExceeded`, `ServiceUnavailable`, `AccountLimit` |
/// | 504 | the cause | `DeadlineExceeded`, `Timeout`, `ModelTimeout`, `StreamStalled` |
/// | 502 | the cause | `Internal`, `ModelFailed`, `StreamFailed`, `StreamTruncated`, `Connect`, `Unknown` |
/// | 413 | the cause | `ContextTooLong`; a `BudgetExhausted` whose call is larger than the whole quota |
/// | 400 | the cause | `ContentBlocked`, `InvalidRequest` |
/// | 500 | `misconfigured` | `AccessDenied`, `Credentials`, `NotFound`, `ProfileRequired`, `NoRouteAllowed` |
///
/// * A 413 says of a request that it will never fit (RFC 9110 §15.5.14), which a client can act on
///   without reading the code; a 429 would have it tried again.
/// * What is 500 is a fault of how the application is set up. Its client can do nothing about it and
///   is not told which it is: `access_denied` would read as if the client had no access.
/// * `Retry-After`, in whole seconds and rounded up, goes with 429 and 503 where a wait is known: what
///   the service asked for, what the quota or the circuit needs, and the shortest of them if more
///   than one route was asked.
///
/// As a response, its body is JSON, with `null` where no wait is known:
///
/// ```json
/// {"error":{"code":"budget_exhausted","message":"The quota is used up for now.","retry_after":7}}
/// ```
///
/// # Example
///
/// A handler answers with the error itself. Where the answer has begun already, as in server-sent
/// events, what is left is to send the same body as an event:
///
/// ```
/// use tower_bedrock::{Cause, Error, ErrorResponse};
///
/// let error = Error::new(Cause::StreamStalled).with_message("nothing for 120 s from …");
/// let event = ErrorResponse::of(&error);
/// assert_eq!(
///     format!("event: error\ndata: {event}\n\n"),
///     "event: error\ndata: {\"error\":{\"code\":\"stream_stalled\",\
///      \"message\":\"No answer came in time.\",\"retry_after\":null}}\n\n",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    retry_after: Option<Duration>,
}

impl ErrorResponse {
    /// What somebody outside may know of `error`.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let (status, message) = answer(error);
        let code = if status == StatusCode::INTERNAL_SERVER_ERROR {
            "misconfigured"
        } else {
            error.cause().as_str()
        };
        let may_pass = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        Self {
            status,
            code,
            message,
            retry_after: may_pass.then(|| shortest_wait(error)).flatten(),
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What a program can tell errors apart by, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What a person can read.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.message
    }

    /// In how many seconds it is worth trying again; at least 1.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        let wait = self.retry_after?;
        let seconds = wait
            .as_secs()
            .saturating_add((wait.subsec_nanos() > 0).into());
        Some(seconds.max(1))
    }
}

/// The status of `error` and the sentence that goes with it.
fn answer(error: &Error) -> (StatusCode, &'static str) {
    match error.cause() {
        Cause::RequestRate | Cause::TokenRate | Cause::Throttled => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too much is asked of the model at the moment.",
        ),
        Cause::TokensPerDay => (
            StatusCode::TOO_MANY_REQUESTS,
            "The quota of the day is used up.",
        ),
        Cause::BudgetExhausted if never_fits(error) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is larger than the quota allows for any request.",
        ),
        Cause::BudgetExhausted => (
            StatusCode::TOO_MANY_REQUESTS,
            "The quota is used up for now.",
        ),
        Cause::CircuitOpen | Cause::ServiceUnavailable | Cause::CapacityExceeded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The model is not available at the moment.",
        ),
        Cause::ModelOverloaded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The model is overloaded at the moment.",
        ),
        Cause::ModelNotReady => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The model is still being loaded.",
        ),
        Cause::PoolSaturated => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many requests are being answered at the moment.",
        ),
        Cause::AccountLimit => (
            StatusCode::SERVICE_UNAVAILABLE,
            "A limit is reached that waiting does not lift.",
        ),
        Cause::DeadlineExceeded | Cause::Timeout | Cause::ModelTimeout | Cause::StreamStalled => {
            (StatusCode::GATEWAY_TIMEOUT, "No answer came in time.")
        }
        Cause::StreamTruncated => (
            StatusCode::BAD_GATEWAY,
            "The answer ended before it was whole.",
        ),
        Cause::Internal
        | Cause::ModelFailed
        | Cause::StreamFailed
        | Cause::Connect
        | Cause::Unknown => (StatusCode::BAD_GATEWAY, "The model failed to answer."),
        Cause::ContextTooLong => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "The request is longer than the model can read.",
        ),
        Cause::ContentBlocked => (
            StatusCode::BAD_REQUEST,
            "The content of the request or of its answer is not allowed.",
        ),
        Cause::InvalidRequest => (
            StatusCode::BAD_REQUEST,
            "The request is not one that the model can answer.",
        ),
        Cause::AccessDenied
        | Cause::Credentials
        | Cause::NotFound
        | Cause::ProfileRequired
        | Cause::NoRouteAllowed => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "The application is not set up to answer this request.",
        ),
    }
}

fn never_fits(error: &Error) -> bool {
    BudgetExhausted::of(error)
        .is_some_and(|refusal| matches!(refusal.reason(), ExhaustedReason::TooLarge { .. }))
}

/// The shortest wait after which one of the call's routes may answer.
fn shortest_wait(error: &Error) -> Option<Duration> {
    let routes = FallbackExhausted::of(error);
    let before = routes.map_or(&[][..], FallbackExhausted::errors);
    let skipped = routes.map_or(&[][..], FallbackExhausted::skipped);
    let asked = before.iter().filter_map(wait);
    let not_asked = skipped
        .iter()
        .filter_map(|skipped| skipped.reason.retry_in());
    wait(error).into_iter().chain(asked).chain(not_asked).min()
}

/// The wait after which the route of `error` may answer.
fn wait(error: &Error) -> Option<Duration> {
    error
        .retry_after()
        .or_else(|| BudgetExhausted::of(error)?.wait())
        .or_else(|| CircuitOpen::of(error)?.retry_in())
}

/// The body, in JSON.
impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither code nor message has anything in it that JSON would have escaped.
        let Self { code, message, .. } = self;
        write!(f, r#"{{"error":{{"code":"{code}","message":"{message}","#)?;
        match self.retry_after() {
            Some(seconds) => write!(f, r#""retry_after":{seconds}}}}}"#),
            None => f.write_str(r#""retry_after":null}}"#),
        }
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Answers as [`ErrorResponse`] says. The error itself goes along in the response's extensions, as an
/// `Arc<Error>`, for a middleware that logs it.
///
/// # Example
///
/// ```
/// use axum_core::response::IntoResponse;
/// use std::time::Duration;
/// use tower_bedrock::{Cause, Error};
///
/// let error = Error::new(Cause::TokenRate).with_retry_after(Duration::from_millis(6_100));
/// let response = error.into_response();
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["retry-after"], "7");
/// ```
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = ErrorResponse::of(&self).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
