//! What calls leave in a trace, through both faces over the simulator: exactly these spans, with
//! these attributes, and these events between them.

#[path = "../../crates/tower-bedrock/src/trace/tests/recorder.rs"]
mod recorder;

use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, SimService};
use tower_bedrock::{
    FallbackLayer, Jitter, Ladder, Quota, RetryLayer, Route, StackBuilder, StackLayer,
};
use tower_bedrock_tests::{
    MODEL, REGION,
    face::{Ask, Face, FaceKind},
    in_process,
};

use self::recorder::Recorder;

const SECOND: &str = "us-west-2";

/// Attributes that differ between the faces, or from call to call, are looked at by themselves.
const FIELDS: &[&str] = &[
    "gen_ai.request.stream",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "tower_bedrock.attempt",
    "tower_bedrock.attempts",
    "tower_bedrock.route.region",
    "tower_bedrock.route.index",
    "error.type",
    "http.response.status_code",
    "aws.error_code",
    "cause",
    "to",
    "tower_bedrock.end",
];

fn two_regions(faults: impl IntoIterator<Item = FaultSpec>) -> SimService {
    let model = ModelSpec::new(MODEL)
        .regions([REGION, SECOND])
        .latency(Duration::from_millis(200))
        .output_tokens(20);
    let scenario = Scenario::builder().seed(7).model(model);
    let scenario = faults
        .into_iter()
        .fold(scenario, bedrock_sim::ScenarioBuilder::fault);
    SimService::new(scenario.build().expect("a valid scenario"))
}

fn builder() -> StackBuilder<()> {
    let fallback = FallbackLayer::new(Ladder::regions([SECOND])).expect("a ladder");
    StackLayer::builder(REGION)
        .retry(RetryLayer::new().with_jitter(Jitter::seeded(7)))
        .fallback(fallback.with_jitter(Jitter::seeded(7)))
}

/// What a call leaves behind through `kind`.
async fn trace_of(
    kind: FaceKind,
    sim: &SimService,
    builder: StackBuilder<()>,
    ask: &Ask,
) -> Recorder {
    let layer = builder.build_layer().expect("a stack that can be meant");
    let face = Face::of(kind, &layer, in_process(sim));
    let recorder = Recorder::default();
    let _guard = recorder.install();
    // Whatever comes of it is in the trace.
    drop(face.call(ask).await);
    drop(face);
    recorder
}

fn throttled() -> FaultSpec {
    FaultSpec::error(ErrorText::RequestsPerMinute).count(1)
}

/// Throttled, made again, refused for want of capacity, answered by the second region: one call with
/// three attempts, and what was decided between them.
#[tokio::test(start_paused = true)]
async fn a_call_on_a_bad_day() {
    for kind in FaceKind::ALL {
        let full = FaultSpec::error(ErrorText::TooManyConnections).region(REGION);
        let sim = two_regions([throttled(), full]);
        let trace = trace_of(kind, &sim, builder(), &Ask::default()).await;
        assert_eq!(
            trace.tree(FIELDS),
            [
                "bedrock.call stream=false input_tokens=8 output_tokens=20 attempts=3 region=us-west-2 index=1 end=complete",
                "  bedrock.attempt attempt=1 region=us-east-1 type=request_rate status_code=429 error_code=ThrottlingException end=failed",
                "  INFO tower_bedrock::retry cause=request_rate",
                "  bedrock.attempt attempt=2 region=us-east-1 type=capacity_exceeded status_code=503 error_code=ServiceUnavailableException end=failed",
                "  DEBUG tower_bedrock::retry cause=capacity_exceeded",
                "  WARN tower_bedrock::fallback cause=capacity_exceeded to=us.amazon.nova-lite-v1:0@us-west-2",
                "  bedrock.attempt attempt=3 region=us-west-2 end=complete",
            ],
            "{kind:?}"
        );
        let entries = trace.entries();
        let spans = || {
            entries
                .iter()
                .filter(|entry| entry.name.starts_with("bedrock."))
        };
        assert!(spans().all(|span| !span.is_open && span.depth == 0));
        assert!(spans().all(|span| span.get("otel.kind") == Some("client")));
        assert!(spans().all(|span| span.get("gen_ai.provider.name") == Some("aws.bedrock")));
        assert!(spans().all(|span| span.get("gen_ai.operation.name") == Some("chat")));
        assert!(spans().all(|span| span.get("gen_ai.request.model") == Some(MODEL)));
        for attempt in spans().skip(1) {
            // Where the SDK itself would have called, or where it was told to.
            let address = attempt.get("server.address").unwrap_or_default();
            assert!(
                address.ends_with("simulator.invalid"),
                "{kind:?}: {address}"
            );
            let id = attempt.get("aws.request_id").unwrap_or_default();
            assert_eq!(id.len(), 36, "{kind:?}: {id}");
        }
    }
}

/// A stream is one span until its last event, with what it used.
#[tokio::test(start_paused = true)]
async fn a_stream() {
    for kind in FaceKind::ALL {
        let ask = Ask {
            is_stream: true,
            ..Ask::default()
        };
        let sim = two_regions([throttled()]);
        let trace = trace_of(kind, &sim, builder(), &ask).await;
        assert_eq!(
            trace.tree(FIELDS),
            [
                "bedrock.call stream=true input_tokens=8 output_tokens=20 attempts=2 region=us-east-1 index=0 end=complete",
                "  bedrock.attempt attempt=1 region=us-east-1 type=request_rate status_code=429 error_code=ThrottlingException end=failed",
                "  INFO tower_bedrock::retry cause=request_rate",
                "  bedrock.attempt attempt=2 region=us-east-1 end=complete",
                "  DEBUG tower_bedrock::retry",
            ],
            "{kind:?}"
        );
        let call = &trace.entries()[0];
        let first = call.get("gen_ai.response.time_to_first_chunk");
        assert!(first.is_some_and(|seconds| seconds.parse::<f64>().is_ok_and(|s| s >= 0.2)));
    }
}

/// A stream that is cut half way fails its call and its attempt, long after both were answered.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut() {
    for kind in FaceKind::ALL {
        let ask = Ask {
            is_stream: true,
            ..Ask::default()
        };
        let cut = FaultSpec::new(FaultKind::StreamCut { after_events: 6 });
        let trace = trace_of(kind, &two_regions([cut]), builder(), &ask).await;
        let tree = trace.tree(&["error.type", "otel.status_code", "tower_bedrock.end"]);
        assert_eq!(
            tree,
            [
                "bedrock.call type=stream_truncated status_code=ERROR end=failed",
                "  bedrock.attempt type=stream_truncated status_code=ERROR end=failed"
            ],
            "{kind:?}"
        );
        let estimate = "tower_bedrock.usage.estimated_output_tokens";
        assert!(trace.entries()[0].get(estimate).is_some(), "{kind:?}");
    }
}

/// A stream that the caller leaves is neither a success nor a failure.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_left() {
    for kind in FaceKind::ALL {
        let ask = Ask {
            is_stream: true,
            leaves_after: Some(3),
            ..Ask::default()
        };
        let trace = trace_of(kind, &two_regions([]), builder(), &ask).await;
        let tree = trace.tree(&["error.type", "otel.status_code", "tower_bedrock.end"]);
        assert_eq!(
            tree,
            ["bedrock.call end=dropped", "  bedrock.attempt end=dropped"],
            "{kind:?}"
        );
    }
}

/// A call that our own quota refuses was never sent, and the trace says so.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused() {
    for kind in FaceKind::ALL {
        let route = Route::to(MODEL.parse().expect("a model id"));
        let builder =
            StackLayer::builder(REGION).quota(route, Quota::new().with_tokens_per_minute(10));
        let sim = two_regions([]);
        let trace = trace_of(kind, &sim, builder, &Ask::default()).await;
        assert_eq!(
            trace.tree(&["error.type", "server.address", "tower_bedrock.end"]),
            [
                "bedrock.call type=budget_exhausted end=failed",
                "  bedrock.attempt type=budget_exhausted end=failed",
                "    INFO tower_bedrock::token_budget",
                "  DEBUG tower_bedrock::retry",
            ],
            "{kind:?}"
        );
        assert_eq!(sim.ledger().totals.requests, 0);
    }
}
