use super::*;
use crate::error::Error;

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

/// What the service refused cheaply, for want of quota or capacity, and what one of our layers refused
/// are these causes and no others.
#[test]
fn refusals_are_told_apart_by_who_refused() {
    let names = |is: fn(Cause) -> bool| -> Vec<_> {
        let causes = Cause::ALL.iter().copied().filter(|&cause| is(cause));
        causes.map(Cause::as_str).collect()
    };
    assert_eq!(
        names(Cause::is_throttle),
        [
            "request_rate",
            "token_rate",
            "tokens_per_day",
            "throttled",
            "model_overloaded"
        ]
    );
    assert_eq!(
        names(Cause::is_own_refusal),
        [
            "circuit_open",
            "budget_exhausted",
            "pool_saturated",
            "deadline_exceeded",
            "no_route_allowed"
        ]
    );
}

/// A limit has one name, in metrics and in messages.
#[test]
fn limits_have_their_names() {
    for (limit, name) in [
        (Limit::RequestsPerMinute, "requests_per_minute"),
        (Limit::TokensPerMinute, "tokens_per_minute"),
        (Limit::TokensPerDay, "tokens_per_day"),
    ] {
        assert_eq!(limit.as_str(), name);
        assert_eq!(limit.to_string(), name);
    }
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
