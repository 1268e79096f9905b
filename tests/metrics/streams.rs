//! What was charged, when the first token came, and how streams ended.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_bedrockruntime::Client;
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, SimService};
use tower_bedrock::{HoldBack, StackLayer, sdk::install::Resilience};
use tower_bedrock_tests::{
    MODEL, REGION,
    face::{Ask, Face, FaceKind},
    in_process, scenario,
};

use super::{Recording, Value, books::attempts};

/// Tokens are those that the service charged, and streams tell when their first token came.
#[tokio::test(start_paused = true)]
async fn tokens_are_those_that_were_charged() {
    for kind in FaceKind::ALL {
        let recording = Recording::new();
        let model = ModelSpec::new(MODEL)
            .regions([REGION])
            .output_tokens(20)
            .latency(Duration::from_millis(1500))
            .tokens_per_second(10)
            .tpm(1_000_000);
        let sim = SimService::new(Scenario::builder().model(model).build().unwrap());
        let layer = StackLayer::builder(REGION).build_layer().unwrap();
        let face = Face::of(kind, &layer, in_process(&sim));
        for is_stream in [false, true, false, true, true] {
            let ask = Ask {
                is_stream,
                ..Ask::default()
            };
            face.call(&ask).await.expect("an answer");
        }
        layer.report_metrics();
        let recorded = recording.take();
        let input = recorded.count("tower_bedrock_input_tokens_total", &[]);
        let output = recorded.count("tower_bedrock_output_tokens_total", &[]);
        assert_eq!(output, 5 * 20);
        let charged = sim.ledger().totals.tokens_settled;
        assert_eq!(input + output, charged, "{kind:?}");
        let settled = recorded.count("tower_bedrock_tokens_settled_total", &[]);
        assert_eq!(settled, charged, "{kind:?}");
        assert!(recorded.count("tower_bedrock_tokens_held_total", &[]) > charged);

        let first_token = "tower_bedrock_time_to_first_token_seconds";
        let first_tokens: Vec<f64> = recorded
            .of(first_token, &[("operation", "ConverseStream")])
            .flat_map(|series| match &series.value {
                Value::Histogram(values) => values.clone(),
                _ => Vec::new(),
            })
            .collect();
        assert_eq!(first_tokens.len(), 3);
        assert!(
            first_tokens.iter().all(|at| (1.4..2.0).contains(at)),
            "{kind:?}: {first_tokens:?}"
        );
        let first_chunk = "gen_ai.client.operation.time_to_first_chunk";
        assert_eq!(recorded.count(first_chunk, &[]), 3);
        let latencies = recorded.of("tower_bedrock_invocation_latency_seconds", &[]);
        for series in latencies {
            let Value::Histogram(values) = &series.value else {
                panic!("{series:?}");
            };
            assert!(values.iter().all(|&took| took > 3.0), "{series:?}");
        }
    }
}

/// How streams end is told by kind, through both ways in: whole, dropped, cut, and in an exception that
/// counts as what it is.
#[tokio::test(start_paused = true)]
async fn streams_are_counted_by_their_end() {
    let after_events = 5;
    let exception = |error: ErrorText| FaultKind::StreamException {
        after_events,
        error: error.into(),
    };
    for (fault, metric, cause) in [
        (
            exception(ErrorText::TokensPerMinute),
            "invocation_throttles_total",
            "token_rate",
        ),
        (
            exception(ErrorText::InternalServer),
            "invocation_server_errors_total",
            "internal",
        ),
        (
            FaultKind::StreamCut { after_events },
            "invocation_transport_errors_total",
            "stream_truncated",
        ),
        (
            FaultKind::StreamStall {
                after_events,
                lasts: None,
            },
            "invocation_transport_errors_total",
            "stream_stalled",
        ),
    ] {
        for kind in FaceKind::ALL {
            let recording = Recording::new();
            let fault = FaultSpec::new(fault.clone()).count(1);
            let sim = SimService::new(scenario().fault(fault).build().unwrap());
            let layer = StackLayer::builder(REGION).build_layer().unwrap();
            let face = Face::of(kind, &layer, in_process(&sim));
            let whole = Ask {
                is_stream: true,
                ..Ask::default()
            };
            let leaving = Ask {
                leaves_after: Some(3),
                ..whole.clone()
            };
            let failed = face.call(&whole).await.expect_err("it was to fail");
            assert!(failed.had_begun);
            face.call(&leaving)
                .await
                .expect("the beginning of an answer");
            face.call(&whole).await.expect("an answer");

            let recorded = recording.take();
            let ends = recorded.by("tower_bedrock_stream_ends_total", "end");
            let expected = [("complete", 1), ("dropped", 1), (cause, 1)];
            let expected = expected.map(|(end, count)| (end.to_owned(), count));
            assert_eq!(ends, BTreeMap::from(expected), "{kind:?}");
            let name = format!("tower_bedrock_{metric}");
            assert_eq!(recorded.count(&name, &[("cause", cause)]), 1, "{kind:?}");
            assert_eq!(recorded.count("tower_bedrock_invocations_total", &[]), 2);
            assert_eq!(attempts(&recorded), 3);
            let outcomes = recorded.by("tower_bedrock_calls_total", "outcome");
            let expected = [("answered", 1), ("dropped", 1), (cause, 1)];
            let expected = expected.map(|(end, count)| (end.to_owned(), count));
            assert_eq!(outcomes, BTreeMap::from(expected), "{kind:?}");
        }
    }
}

/// Inside of the SDK, too, the first token is timed where it is seen, even if the call was answered with
/// an event before it.
#[tokio::test(start_paused = true)]
async fn a_first_token_after_the_first_event_is_timed_as_well() {
    let recording = Recording::new();
    let slow = FaultSpec::new(FaultKind::StreamStall {
        after_events: 1,
        lasts: Some(Duration::from_secs(3)),
    });
    let sim = SimService::new(scenario().fault(slow).build().expect("a valid scenario"));
    let layer = StackLayer::builder(REGION).build_layer();
    let config = Resilience::new(layer.expect("a stack that can be meant"))
        .with_hold_back(HoldBack::until_first_event())
        .install(in_process(&sim));
    let face = Face::Fluent(Client::from_conf(config.build()));
    let ask = Ask {
        is_stream: true,
        ..Ask::default()
    };
    face.call(&ask).await.expect("an answer");
    let recorded = recording.take();
    let first_token = "tower_bedrock_time_to_first_token_seconds";
    for series in recorded.of(first_token, &[]) {
        let Value::Histogram(values) = &series.value else {
            panic!("{series:?}");
        };
        assert!(
            matches!(values[..], [at] if (3.0..3.5).contains(&at)),
            "{series:?}"
        );
    }
    assert_eq!(recorded.count(first_token, &[]), 1);
}
