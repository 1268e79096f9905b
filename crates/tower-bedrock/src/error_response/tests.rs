use std::pin::pin;

use futures_util::future::poll_fn;
use tokio_test::block_on;

use super::*;
use crate::{
    call::{CallContext, Operation},
    cause::Limit,
    fallback::{SkipReason, SkippedRoute},
    route::Route,
};

/// What stands in the table, in the order of the causes.
const TABLE: &[(Cause, u16, &str)] = &[
    (Cause::RequestRate, 429, "request_rate"),
    (Cause::TokenRate, 429, "token_rate"),
    (Cause::TokensPerDay, 429, "tokens_per_day"),
    (Cause::Throttled, 429, "throttled"),
    (Cause::AccountLimit, 503, "account_limit"),
    (Cause::ModelOverloaded, 503, "model_overloaded"),
    (Cause::ModelNotReady, 503, "model_not_ready"),
    (Cause::CapacityExceeded, 503, "capacity_exceeded"),
    (Cause::ServiceUnavailable, 503, "service_unavailable"),
    (Cause::Internal, 502, "internal"),
    (Cause::ModelTimeout, 504, "model_timeout"),
    (Cause::ModelFailed, 502, "model_failed"),
    (Cause::StreamFailed, 502, "stream_failed"),
    (Cause::StreamTruncated, 502, "stream_truncated"),
    (Cause::StreamStalled, 504, "stream_stalled"),
    (Cause::Connect, 502, "connect"),
    (Cause::Timeout, 504, "timeout"),
    (Cause::ContextTooLong, 413, "context_too_long"),
    (Cause::ContentBlocked, 400, "content_blocked"),
    (Cause::ProfileRequired, 500, "misconfigured"),
    (Cause::InvalidRequest, 400, "invalid_request"),
    (Cause::AccessDenied, 500, "misconfigured"),
    (Cause::Credentials, 500, "misconfigured"),
    (Cause::NotFound, 500, "misconfigured"),
    (Cause::CircuitOpen, 503, "circuit_open"),
    (Cause::BudgetExhausted, 429, "budget_exhausted"),
    (Cause::PoolSaturated, 503, "pool_saturated"),
    (Cause::DeadlineExceeded, 504, "deadline_exceeded"),
    (Cause::NoRouteAllowed, 500, "misconfigured"),
    (Cause::Unknown, 502, "unknown"),
];

const SOON: Duration = Duration::from_millis(2_001);

/// Each cause has its status and code, and a wait is told with 429 and 503 alone. A cause that the
/// table above does not have fails this test.
#[test]
fn every_cause_has_its_answer() {
    let causes: Vec<_> = TABLE.iter().map(|&(cause, ..)| cause).collect();
    assert_eq!(causes, Cause::ALL);
    for &(cause, status, code) in TABLE {
        let answer = ErrorResponse::of(&Error::new(cause).with_retry_after(SOON));
        assert_eq!(answer.status().as_u16(), status, "{cause}");
        assert_eq!(answer.code(), code, "{cause}");
        let told = matches!(status, 429 | 503).then_some(3);
        assert_eq!(answer.retry_after(), told, "{cause}");
        assert_eq!(ErrorResponse::of(&Error::new(cause)).retry_after(), None);
    }
}

/// The table of the documentation is the one that is tested.
#[test]
fn the_documented_table_is_the_tested_one() {
    let source = include_str!("mod.rs");
    for &(cause, status, _) in TABLE {
        let cell = format!("`{cause:?}`");
        let row = source
            .lines()
            .find(|line| line.starts_with("/// | ") && line.contains(&cell));
        let row = row.unwrap_or_else(|| panic!("{cause:?} is not documented"));
        assert!(
            row.starts_with(&format!("/// | {status} ")),
            "{cause:?}: {row}"
        );
    }
}

/// The body is JSON with the same in it as the headers.
#[test]
fn the_body_is_json() {
    let response = Error::new(Cause::TokenRate)
        .with_retry_after(SOON)
        .into_response();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["retry-after"], "3");
    assert_eq!(
        body(response),
        r#"{"error":{"code":"token_rate","message":"Too much is asked of the model at the moment.","retry_after":3}}"#
    );
    let response = Error::new(Cause::Internal).into_response();
    assert!(!response.headers().contains_key("retry-after"));
    assert_eq!(
        body(response),
        r#"{"error":{"code":"internal","message":"The model failed to answer.","retry_after":null}}"#
    );
}

/// No sentence and no code needs to be escaped.
#[test]
fn nothing_needs_to_be_escaped() {
    for &cause in Cause::ALL {
        let answer = ErrorResponse::of(&Error::new(cause));
        for text in [answer.message(), answer.code()] {
            assert!(text.is_ascii(), "{text}");
            assert!(!text.contains(['"', '\\']) && !text.contains(char::is_control));
        }
    }
}

/// A wait is rounded up and never 0, which would have the client back at once.
#[test]
fn waits_are_rounded_up() {
    let told = |wait| {
        let error = Error::new(Cause::Throttled).with_retry_after(wait);
        ErrorResponse::of(&error).retry_after()
    };
    assert_eq!(told(Duration::ZERO), Some(1));
    assert_eq!(told(Duration::from_nanos(1)), Some(1));
    assert_eq!(told(Duration::from_secs(7)), Some(7));
    assert_eq!(told(Duration::from_millis(7_001)), Some(8));
    assert_eq!(told(Duration::from_secs(u64::MAX)), Some(u64::MAX));
    assert_eq!(told(Duration::MAX), Some(u64::MAX));
}

/// The refusals of our own layers tell the wait that they know.
#[test]
fn refusals_tell_their_waits() {
    let refusal = |reason| BudgetExhausted::new(Limit::TokensPerMinute, reason, Some(SOON));
    let answer = ErrorResponse::of(&refusal(ExhaustedReason::Deadline).into());
    assert_eq!(
        (answer.status().as_u16(), answer.retry_after()),
        (429, Some(3))
    );

    let open = CircuitOpen::new(Route::default(), Some(SOON));
    let answer = ErrorResponse::of(&open.into());
    assert_eq!(
        (answer.status().as_u16(), answer.retry_after()),
        (503, Some(3))
    );

    let by_hand = CircuitOpen::new(Route::default(), None);
    assert_eq!(ErrorResponse::of(&by_hand.into()).retry_after(), None);
}

/// A call that is larger than the whole quota is not asked to come back.
#[test]
fn what_never_fits_is_too_large() {
    let reason = ExhaustedReason::TooLarge {
        needed: 2,
        quota: 1,
    };
    let refusal = BudgetExhausted::new(Limit::TokensPerMinute, reason, None);
    let answer = ErrorResponse::of(&refusal.into());
    assert_eq!(
        (answer.status().as_u16(), answer.retry_after()),
        (413, None)
    );
    assert_eq!(answer.code(), "budget_exhausted");
}

/// Of several routes, the one counts that may answer first: tried or passed over.
#[test]
fn the_shortest_wait_of_all_routes_counts() {
    let failed = |seconds| {
        Error::new(Cause::ServiceUnavailable).with_retry_after(Duration::from_secs(seconds))
    };
    let skipped = |seconds| SkippedRoute {
        route: Route::default(),
        reason: SkipReason::Closed {
            cause: Cause::CircuitOpen,
            retry_in: Some(Duration::from_secs(seconds)),
        },
    };
    for (last, before, passed) in [(5, 20, 30), (20, 5, 30), (30, 20, 5)] {
        let routes = FallbackExhausted::new(vec![failed(before)], vec![skipped(passed)]);
        let error = failed(last).with_other_routes(routes);
        assert_eq!(ErrorResponse::of(&error).retry_after(), Some(5));
    }
}

/// Nothing that the service said, and nothing of how it is called, stands in the answer; the error
/// goes along for those inside.
#[test]
fn nothing_of_the_inside_is_told() {
    for &cause in Cause::ALL {
        let response = revealing(cause).into_response();
        let error = response.extensions().get::<Arc<Error>>().cloned();
        assert_eq!(error.expect("the error goes along").cause(), cause);
        let headers = format!("{:?}", response.headers()).to_lowercase();
        let answer = format!("{headers} {}", body(response).to_lowercase());
        assert!(!answer.contains("canary"), "{cause}: {answer}");
        assert!(!answer.contains("arn:"), "{cause}: {answer}");
        assert!(!answer.contains("123456789012"), "{cause}: {answer}");
        assert!(!answer.contains("us-east-1"), "{cause}: {answer}");
    }
}

/// An error that has a canary wherever it can say something.
fn revealing(cause: Cause) -> Error {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/canary";
    let route = Route::to(arn.parse().unwrap()).in_region("us-east-1");
    let call = CallContext::new(Operation::Converse, route.clone());
    let source: crate::BoxError = "canary in the source".into();
    let before = Error::new(Cause::AccessDenied).with_message("canary before");
    let skipped = SkippedRoute {
        route,
        reason: SkipReason::Capped,
    };
    Error::new(cause)
        .with_code("CanaryException")
        .with_message(format!("canary: {arn} \"quoted\""))
        .with_request_id("canary-request-id")
        .with_source(source)
        .with_context(&call)
        .with_other_routes(FallbackExhausted::new(vec![before], vec![skipped]))
}

fn body(response: Response) -> String {
    let mut body = pin!(response.into_body().into_data_stream());
    let mut bytes = Vec::new();
    block_on(async {
        while let Some(chunk) =
            poll_fn(|cx| futures_core::Stream::poll_next(body.as_mut(), cx)).await
        {
            bytes.extend_from_slice(&chunk.unwrap());
        }
    });
    String::from_utf8(bytes).unwrap()
}
