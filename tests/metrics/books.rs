//! Metrics against the simulator's books and against what callers got.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bedrock_sim::{DownAnswer, ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, SimService};
use tokio::{task::JoinSet, time::sleep};
use tower_bedrock::{
    CircuitBreakers, FallbackLayer, Jitter, Ladder, Pools, Quota, Quotas, RetryLayer, Route,
    StackLayer, TokenBudgetEvent, TokenBudgetLayer,
};
use tower_bedrock_tests::{
    MODEL, REGION,
    face::{Ask, Face, FaceKind},
    in_process,
    pending::{Cut, cut_at},
};

use super::{Recorded, Recording, Value};

const WEST: &str = "us-west-2";

/// Where an attempt counts: in exactly one of these.
const ATTEMPTS: [&str; 6] = [
    "tower_bedrock_invocations_total",
    "tower_bedrock_invocation_throttles_total",
    "tower_bedrock_invocation_client_errors_total",
    "tower_bedrock_invocation_server_errors_total",
    "tower_bedrock_invocation_transport_errors_total",
    "tower_bedrock_invocations_dropped_total",
];

pub(super) fn attempts(recorded: &Recorded) -> u64 {
    ATTEMPTS.iter().map(|name| recorded.count(name, &[])).sum()
}

/// What a listener of the test's own has heard.
#[derive(Default)]
struct Heard {
    retries: AtomicU64,
    refused_by_budget: AtomicU64,
}

/// Two minutes of everything at once: an account that allows less than is asked for, an overloaded
/// model, 503s, connections without an answer, streams that are cut or end in an exception, half a
/// minute in which the region is gone; with callers who leave half way, and callers in a hurry.
fn storm() -> SimService {
    let seconds = Duration::from_secs;
    let in_home = |what| FaultSpec::new(what).region(REGION);
    let scenario = Scenario::builder()
        .seed(11)
        .model(
            ModelSpec::new(MODEL)
                .regions([REGION, WEST])
                .rpm(40)
                .output_tokens(40)
                .latency(seconds(1))
                .tokens_per_second(20),
        )
        .fault(
            in_home(FaultKind::Down {
                answer: DownAnswer::Reset,
            })
            .from(seconds(60))
            .until(seconds(90)),
        )
        .fault(in_home(FaultKind::NoAnswer).probability(0.02))
        .fault(FaultSpec::error(ErrorText::Overloaded).probability(0.1))
        .fault(FaultSpec::error(ErrorText::TooManyConnections).probability(0.1))
        .fault(FaultSpec::new(FaultKind::StreamCut { after_events: 5 }).probability(0.1))
        .fault(
            FaultSpec::new(FaultKind::StreamException {
                after_events: 6,
                error: ErrorText::InternalServer.into(),
            })
            .probability(0.1),
        );
    SimService::new(scenario.build().expect("a valid scenario"))
}

/// A stack that does not know that the account allows 40 requests a minute, and takes itself to have
/// more.
fn stack(heard: &Arc<Heard>) -> StackLayer {
    let retries = Arc::clone(heard);
    let retry = RetryLayer::new()
        .with_jitter(Jitter::seeded(5))
        .on_event(move |event| {
            if let tower_bedrock::RetryEvent::Retrying { .. } = event {
                retries.retries.fetch_add(1, Ordering::Relaxed);
            }
        });
    let refused = Arc::clone(heard);
    let budget = TokenBudgetLayer::new(Quotas::new().with_home_region(REGION)).on_event(
        move |event: &TokenBudgetEvent<'_>| {
            if let TokenBudgetEvent::Refused { .. } = event {
                refused.refused_by_budget.fetch_add(1, Ordering::Relaxed);
            }
        },
    );
    let route = Route::to(MODEL.parse().expect("a model id"));
    StackLayer::builder(REGION)
        .retry(retry)
        .token_budget(budget)
        .quota(route, Quota::new().with_requests_per_minute(200))
        .circuit_breaker(
            CircuitBreakers::new()
                .with_home_region(REGION)
                .with_jitter(Jitter::seeded(5)),
        )
        .pool(
            Pools::new()
                .with_home_region(REGION)
                .with_max_in_flight(12)
                .with_max_waiting(4),
        )
        .fallback(FallbackLayer::new(Ladder::regions([WEST])).expect("a ladder"))
        .build_layer()
        .expect("a stack that can be meant")
}

fn ask(number: u64) -> Ask {
    Ask {
        is_stream: !number.is_multiple_of(3),
        leaves_after: (number % 7 == 1).then_some(4),
        timeout: Some(Duration::from_secs(if number.is_multiple_of(5) {
            2
        } else {
            20
        })),
        ..Ask::default()
    }
}

/// What callers got, in the words of the metrics; `None` for what only the SDK has a word for.
async fn callers(face: &Face, calls: u64) -> BTreeMap<Option<String>, u64> {
    let mut tasks = JoinSet::new();
    for number in 0..calls {
        let face = face.clone();
        tasks.spawn(async move {
            sleep(Duration::from_millis(200 * number)).await;
            let ask = ask(number);
            let has_left = ask.is_stream && ask.leaves_after.is_some();
            match face.call(&ask).await {
                Ok(_) if has_left => Some("dropped".to_owned()),
                Ok(_) => Some("answered".to_owned()),
                Err(failed) => failed.cause.map(|cause| cause.to_string()),
            }
        });
    }
    let mut got = BTreeMap::new();
    while let Some(outcome) = tasks.join_next().await {
        *got.entry(outcome.expect("no caller panics")).or_default() += 1;
    }
    got
}

/// After a storm, attempts are the requests that the service saw, each once; throttles and 503s are
/// those that it gave; calls are what callers got; and refusals, retries and tokens are what the
/// layers themselves know of. Through both ways in.
#[tokio::test(start_paused = true)]
async fn the_books_are_the_same_after_a_storm() {
    for kind in FaceKind::ALL {
        let recording = Recording::new();
        let (sim, heard) = (storm(), Arc::new(Heard::default()));
        let layer = stack(&heard);
        let face = Face::of(kind, &layer, in_process(&sim));
        let got = callers(&face, 600).await;
        layer.report_metrics();
        let recorded = recording.take();
        let books = sim.ledger();
        let context = format!("{kind:?} {got:?} {books:?}");

        assert_eq!(attempts(&recorded), books.totals.requests, "{context}");
        let refused = books.totals.refused;
        let throttles = recorded.by("tower_bedrock_invocation_throttles_total", "cause");
        assert_eq!(throttles["request_rate"], refused.requests_per_minute);
        assert_eq!(
            throttles["model_overloaded"], books.faults["ThrottlingException"],
            "{context}"
        );
        assert_eq!(throttles.len(), 2, "{throttles:?}");
        let errors = recorded.by("tower_bedrock_invocation_server_errors_total", "cause");
        assert_eq!(
            errors["capacity_exceeded"], books.faults["ServiceUnavailableException"],
            "{context}"
        );
        let transport = recorded.by("tower_bedrock_invocation_transport_errors_total", "cause");
        assert_eq!(transport["connect"], books.faults["down"], "{context}");
        for cause in ["stream_truncated", "deadline_exceeded"] {
            assert!(transport.contains_key(cause), "{cause}: {transport:?}");
        }

        let outcomes = recorded.by("tower_bedrock_calls_total", "outcome");
        assert_eq!(outcomes.values().sum::<u64>(), 600);
        let mut unnamed = 0;
        for (outcome, count) in &outcomes {
            let told = got.get(&Some(outcome.clone())).copied().unwrap_or_default();
            unnamed += count - told;
        }
        assert_eq!(
            unnamed,
            got.get(&None).copied().unwrap_or_default(),
            "{outcomes:?}"
        );
        if kind == FaceKind::Tower {
            assert_eq!(unnamed, 0);
        }
        let durations = recorded.count("gen_ai.client.operation.duration", &[]);
        assert_eq!(durations, 600);

        let refusals = recorded.by("tower_bedrock_refusals_total", "layer");
        let circuits = layer.breakers().expect("circuits").snapshot();
        let pools = layer.pools().expect("pools").snapshot();
        for (part, known) in [
            (
                "token_budget",
                heard.refused_by_budget.load(Ordering::Relaxed),
            ),
            (
                "circuit_breaker",
                circuits.iter().map(|circuit| circuit.refused).sum(),
            ),
            ("pool", pools.iter().map(|pool| pool.refused).sum()),
        ] {
            let counted = refusals.get(part).copied().unwrap_or_default();
            assert_eq!(counted, known, "{part}: {context}");
            assert!(known > 0, "{part}: {context}");
        }
        let retries = recorded.count("tower_bedrock_retries_total", &[]);
        assert_eq!(retries, heard.retries.load(Ordering::Relaxed));
        assert!(retries > 0);
        let waits = [("layer", "retry")];
        assert_eq!(
            recorded.count("tower_bedrock_wait_seconds", &waits),
            retries
        );
        assert!(recorded.count("tower_bedrock_fallbacks_total", &[]) > 0);
        assert!(recorded.count("tower_bedrock_circuit_transitions_total", &[]) > 0);

        // Nothing is held, in flight or in line when all is over.
        for gauge in [
            "tower_bedrock_quota_held",
            "tower_bedrock_quota_waiting",
            "tower_bedrock_pool_in_flight",
            "tower_bedrock_pool_waiting",
        ] {
            for series in recorded.of(gauge, &[]) {
                assert!(matches!(series.value, Value::Gauge(0.0)), "{series:?}");
            }
        }
    }
}

/// A call counts once, and as one attempt if its request went out, wherever it is dropped: amid its wait
/// for an answer, amid its backoff, amid its stream.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_counts_once_wherever_it_waits() {
    for kind in FaceKind::ALL {
        for is_stream in [false, true] {
            let ask = Ask {
                is_stream,
                ..Ask::default()
            };
            let world = || {
                let model = ModelSpec::new(MODEL)
                    .regions([REGION])
                    .output_tokens(5)
                    .latency(Duration::from_secs(1))
                    .tokens_per_second(5);
                let busy = FaultSpec::error(ErrorText::TooManyConnections).count(1);
                let scenario = Scenario::builder().model(model).fault(busy).build();
                let sim = SimService::new(scenario.expect("a valid scenario"));
                let retry = RetryLayer::new().with_jitter(Jitter::seeded(1));
                let layer = StackLayer::builder(REGION).retry(retry).build_layer();
                let layer = layer.expect("a stack that can be meant");
                (Face::of(kind, &layer, in_process(&sim)), sim)
            };
            let (face, _) = world();
            let pauses = cut_at(face.call(&ask), Cut::Never).await.pauses;
            assert!(pauses > 1);
            for cut in Cut::everywhere(pauses) {
                let recording = Recording::new();
                let (face, sim) = world();
                let outcome = cut_at(face.call(&ask), cut).await.output;
                let recorded = recording.take();
                let context = format!("{kind:?} {is_stream} {cut:?} {outcome:?} {recorded:?}");
                let requests = sim.ledger().totals.requests;
                assert_eq!(attempts(&recorded), requests, "{context}");
                let calls = recorded.count("tower_bedrock_calls_total", &[]);
                assert_eq!(calls, u64::from(cut != Cut::Unpolled), "{context}");
            }
        }
    }
}
