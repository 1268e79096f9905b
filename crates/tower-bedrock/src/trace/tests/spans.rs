use std::{num::NonZeroU32, time::Duration};

use futures_util::future::join_all;
use tokio_test::task;
use tower::{ServiceBuilder, ServiceExt};
use tracing::{Instrument, info_span};

use super::*;
use crate::{FallbackLayer, Jitter, Ladder, Quota, RetryLayer, ServiceTier, Stack, TraceLayer};

fn retry() -> RetryLayer {
    RetryLayer::new().with_jitter(Jitter::seeded(7))
}

/// An answered call leaves one span with one attempt in it, closed, with what was asked for, who
/// answered and what it used; input tokens with the cached ones.
#[tokio::test(start_paused = true)]
async fn an_answered_call_leaves_a_span_and_an_attempt() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let stack = Stack::over(Bedrock::default(), HOME).build().unwrap();
    stack.send(request()).await.unwrap();

    let mut entries = recorder.entries();
    entries.retain(|entry| entry.name != SERVICE);
    let [call, attempt] = entries.try_into().unwrap();
    assert_eq!((call.parent, attempt.parent), (None, Some(0)));
    assert_eq!(
        (call.name.as_str(), attempt.name.as_str()),
        ("bedrock.call", "bedrock.attempt")
    );
    assert!(!call.is_open && !attempt.is_open);
    let sorted = |mut fields: Vec<(&'static str, String)>| {
        fields.sort();
        fields
    };
    let expected = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "aws.bedrock"),
        ("gen_ai.request.max_tokens", "500"),
        ("gen_ai.request.model", MODEL),
        ("gen_ai.request.stream", "false"),
        ("gen_ai.response.model", MODEL),
        ("gen_ai.usage.cache_creation.input_tokens", "20"),
        ("gen_ai.usage.cache_read.input_tokens", "100"),
        ("gen_ai.usage.input_tokens", "123"),
        ("gen_ai.usage.output_tokens", "52"),
        ("otel.kind", "client"),
        ("otel.name", "chat us.amazon.nova-lite-v1:0"),
        ("tower_bedrock.attempts", "1"),
        ("tower_bedrock.degraded", "false"),
        ("tower_bedrock.end", "complete"),
        ("tower_bedrock.priority", "normal"),
        ("tower_bedrock.route.index", "0"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(sorted(call.fields), expected);
    let expected = [
        ("aws.request_id", "request-1"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "aws.bedrock"),
        ("gen_ai.request.model", MODEL),
        ("otel.kind", "client"),
        ("tower_bedrock.attempt", "1"),
        ("tower_bedrock.end", "complete"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(sorted(attempt.fields), expected);
}

const HOW_IT_WENT: &[&str] = &[
    "tower_bedrock.attempt",
    "tower_bedrock.attempts",
    "tower_bedrock.route.region",
    "tower_bedrock.route.index",
    "error.type",
    "otel.status_code",
    "http.response.status_code",
    "cause",
    "reason",
    "to",
    "tower_bedrock.end",
];

/// Each attempt of a call is a child of the call, with why it failed; what the layers decide between
/// them stands between them. That an attempt failed is no failure of the call.
#[tokio::test(start_paused = true)]
async fn attempts_stand_side_by_side_in_their_call() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = Bedrock::failing([Cause::Throttled, Cause::ModelOverloaded]);
    let stack = Stack::over(service, HOME)
        .retry(retry())
        .fallback(FallbackLayer::new(Ladder::regions([SECOND])).unwrap())
        .build()
        .unwrap();
    stack.send(request()).await.unwrap();
    assert_eq!(
        tree(&recorder, HOW_IT_WENT),
        [
            "bedrock.call attempts=3 region=us-west-2 index=1 end=complete",
            "  bedrock.attempt attempt=1 type=throttled status_code=ERROR status_code=429 end=failed",
            "  INFO tower_bedrock::retry cause=throttled",
            "  bedrock.attempt attempt=2 type=model_overloaded status_code=ERROR status_code=429 end=failed",
            "  DEBUG tower_bedrock::retry cause=model_overloaded reason=next_route",
            "  WARN tower_bedrock::fallback cause=model_overloaded to=us.amazon.nova-lite-v1:0@us-west-2",
            "  bedrock.attempt attempt=3 region=us-west-2 end=complete",
        ]
    );
    assert!(recorder.entries().iter().all(|entry| !entry.is_open));
}

/// A call that fails says why, and after how many attempts.
#[tokio::test(start_paused = true)]
async fn a_failed_call_says_why() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = Bedrock::failing([Cause::Internal, Cause::AccessDenied]);
    let stack = Stack::over(service, HOME).retry(retry()).build().unwrap();
    stack.send(request()).await.unwrap_err();
    let lines = tree(&recorder, HOW_IT_WENT);
    assert_eq!(
        lines[0],
        "bedrock.call attempts=2 type=access_denied status_code=ERROR end=failed"
    );
    assert_eq!(
        lines.last().unwrap(),
        "  DEBUG tower_bedrock::retry cause=access_denied reason=not_retryable"
    );
}

/// What one of our own layers refuses is a failed attempt, and was sent to nobody.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_failed_attempt() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let call = request();
    let quota = Quota::new().with_tokens_per_minute(10);
    let stack = Stack::over(Bedrock::default(), HOME)
        .quota(call.context().route.clone(), quota)
        .build()
        .unwrap();
    stack.send(call).await.unwrap_err();
    assert_eq!(
        recorder.tree(HOW_IT_WENT),
        [
            "bedrock.call attempts=1 type=budget_exhausted status_code=ERROR end=failed",
            "  bedrock.attempt attempt=1 type=budget_exhausted status_code=ERROR end=failed",
            "    INFO tower_bedrock::token_budget",
            "  DEBUG tower_bedrock::retry cause=budget_exhausted reason=not_retryable",
        ]
    );
}

/// An attempt says how long it stood in line for its quota and for its pool.
#[tokio::test(start_paused = true)]
async fn an_attempt_says_how_long_it_waited() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let call = request();
    let stack = Stack::over(Bedrock::default(), HOME)
        .quota(
            call.context().route.clone(),
            Quota::new().with_requests_per_minute(2),
        )
        .pool(
            crate::Pools::new()
                .with_home_region(HOME)
                .with_max_in_flight(1),
        )
        .build()
        .unwrap();
    let calls = (0..3).map(|_| stack.send(call.clone()));
    for answer in join_all(calls).await {
        answer.unwrap();
    }
    let waits = |field: &str| -> Vec<_> {
        let entries = recorder.entries();
        let attempts = entries
            .iter()
            .filter(|entry| entry.name == "bedrock.attempt");
        attempts
            .filter_map(|entry| entry.get(field)?.parse::<f64>().ok())
            .map(f64::round)
            .collect()
    };
    assert_eq!(waits("tower_bedrock.wait.pool_seconds"), [2.0]);
    assert_eq!(waits("tower_bedrock.wait.quota_seconds"), [60.0]);
}

/// Of calls that are under way at the same time on one task, each has its own attempts and what
/// happens in them, across all of their waits; and each is a child of the span that it was made in.
#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_stay_apart() {
    const CALLS: usize = 20;
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = Bedrock::failing([Cause::Throttled; CALLS]);
    let stack = Stack::over(service, HOME)
        .retry(retry())
        .trace_tenants()
        .build()
        .unwrap();
    let calls = (0..CALLS).map(|number| {
        let user = info_span!("user", number);
        let stack = stack.clone();
        let call = request().with_tenant(number.to_string());
        async move { stack.send(call).await }.instrument(user)
    });
    for answer in join_all(calls).await {
        answer.unwrap();
    }

    let entries = recorder.entries();
    let parent = |index: usize| entries[index].parent.expect("a span around it");
    let named = |name: &str| -> Vec<usize> {
        let is_it = |&index: &usize| entries[index].name == name;
        (0..entries.len()).filter(is_it).collect()
    };
    assert_eq!(named("bedrock.call").len(), CALLS);
    assert_eq!(named("bedrock.attempt").len(), 2 * CALLS);
    assert_eq!(named(SERVICE).len(), 6 * CALLS);
    for event in named(SERVICE) {
        let attempt = parent(event);
        let call = parent(attempt);
        let user = parent(call);
        let tenant = entries[event].get("tenant");
        assert_eq!(entries[attempt].name, "bedrock.attempt");
        assert_eq!(entries[call].get("tower_bedrock.tenant"), tenant);
        assert_eq!(entries[user].get("number"), tenant);
    }
}

/// Spans are entered while a call is polled and at no other time, so that what the task does
/// meanwhile does not land in them.
#[tokio::test(start_paused = true)]
async fn spans_are_entered_while_a_call_is_polled() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let stack = Stack::over(Bedrock::default(), HOME).build().unwrap();
    let mut call = task::spawn(stack.send(request()));
    for _ in 0..2 {
        assert!(call.poll().is_pending());
        let entries = recorder.entries();
        assert!(entries.iter().all(|entry| entry.depth == 0), "{entries:?}");
        tracing::info!(target: "between", "polls");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(call.poll().is_ready());
    let entries = recorder.entries();
    assert!(entries.iter().all(|entry| entry.depth == 0));
    let between = entries.iter().filter(|entry| entry.name == "INFO between");
    assert_eq!(between.filter(|entry| entry.parent.is_none()).count(), 2);
}

/// On whose behalf a call is made is written down only if asked for.
#[tokio::test(start_paused = true)]
async fn tenants_are_written_down_if_asked_for() {
    for asked in [false, true] {
        let recorder = Recorder::default();
        let _guard = recorder.install();
        let builder = Stack::over(Bedrock::default(), HOME);
        let builder = if asked {
            builder.trace_tenants()
        } else {
            builder
        };
        builder.build().unwrap().send(request()).await.unwrap();
        let entries = recorder.entries();
        let spans = entries.iter().filter(|entry| entry.name != SERVICE);
        let fields = spans.flat_map(|entry| entry.fields.clone());
        assert_eq!(
            fields.filter(|(_, value)| value.contains("acme")).count(),
            usize::from(asked)
        );
    }
}

/// A tier that was asked for stands on both spans, and one that answered instead replaces it.
#[tokio::test(start_paused = true)]
async fn tiers_are_written_down() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let call = request();
    let route = call.context().route.clone().on_tier(ServiceTier::Flex);
    let stack = Stack::over(Bedrock::default(), HOME).build().unwrap();
    stack.send(call.with_route(route)).await.unwrap();
    assert_eq!(
        tree(&recorder, &["tower_bedrock.route.tier"]),
        ["bedrock.call tier=flex", "  bedrock.attempt tier=flex"]
    );
}

/// A stack that is told to lays no spans, and neither does one whose subscriber wants none; calls go
/// the same way.
#[tokio::test(start_paused = true)]
async fn spans_can_be_left_out() {
    let recorder = Recorder::default();
    let guard = recorder.install();
    let stack = Stack::over(Bedrock::default(), HOME)
        .without_tracing()
        .build()
        .unwrap();
    stack.send(request()).await.unwrap();
    assert_eq!(tree(&recorder, &[]), [""; 0]);
    drop(guard);
    let stack = Stack::over(Bedrock::default(), HOME).build().unwrap();
    stack.send(request()).await.unwrap();
    assert_eq!(tree(&recorder, &[]), [""; 0]);
}

/// Either span works without the other, and each layer by itself in a `ServiceBuilder`.
#[tokio::test(start_paused = true)]
async fn either_works_without_the_other() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let only = |layer| {
        ServiceBuilder::new()
            .layer(layer)
            .service(Bedrock::default())
    };
    let once = || request().with_max_attempts(NonZeroU32::MIN);
    only(TraceLayer::calls()).oneshot(once()).await.unwrap();
    only(TraceLayer::attempts()).oneshot(once()).await.unwrap();
    assert_eq!(tree(&recorder, &[]), ["bedrock.call", "bedrock.attempt"]);
}

/// What the inner service does when it is called, before it is polled, is in the span too: a retry
/// layer begins its first attempt there.
#[tokio::test(start_paused = true)]
async fn a_span_is_entered_for_the_call_itself() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = ServiceBuilder::new()
        .layer(TraceLayer::calls())
        .layer(retry())
        .layer(TraceLayer::attempts())
        .service(Bedrock::default());
    service.oneshot(request()).await.unwrap();
    assert_eq!(tree(&recorder, &[]), ["bedrock.call", "  bedrock.attempt"]);
}
