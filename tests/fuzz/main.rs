//! Input from outside that nobody promised to be sound: whatever it is, nothing panics or hangs.
//!
//! `PROPTEST_CASES=1000000 cargo test --test fuzz` goes on for longer; `cargo xtask fuzz` looks where
//! the code leads.

mod corpus;
#[allow(unreachable_pub, reason = "for the fuzzer it is a library of its own")]
#[path = "targets/src/lib.rs"]
mod targets;

use std::time::Duration;

use bedrock_sim::{FaultKind, FaultSpec, Recording, RecordingEnd, Scenario, SimService};
use proptest::{collection::vec, prelude::*};
use tower_bedrock::{Backoff, Cause, ModelId, Reactions, RetryLayer, StackLayer};
use tower_bedrock_tests::{
    REGION,
    face::{Ask, Face, FaceKind},
    gauges::Gauges,
    in_process, scenario,
};

/// Sound scenarios, to be damaged.
const SCENARIOS: [&str; 2] = [
    include_str!("../../crates/bedrock-sim/scenarios/calm.toml"),
    include_str!("../foreign/scenario.toml"),
];

/// What ids and ARNs are made of, and what they are not.
const PARTS: [&str; 20] = [
    "arn",
    ":",
    "/",
    ".",
    "-",
    "aws",
    "aws-us-gov",
    "bedrock",
    "us-east-1",
    "123456789012",
    "us",
    "global",
    "anthropic",
    "claude-sonnet-4-6",
    "inference-profile",
    "application-inference-profile",
    "foundation-model",
    "v1",
    "0",
    "\u{fe0f}é ",
];

/// Cuts, doubles and overwrites parts of a text.
fn damaged(text: &str, wounds: &[(u16, u16, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, length, kind) in wounds {
        let at = usize::from(*at) % bytes.len().max(1);
        let end = (at + usize::from(*length) % 40).min(bytes.len());
        match kind % 4 {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
            2 => drop(bytes.splice(at..end, *b"99999999999999999999")),
            _ => bytes[at..end].fill(*kind),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The bytes of one frame of an event stream after the other, damaged like that.
fn recording(parts: &[(u8, Vec<u8>)]) -> Recording {
    let delta = r#"{"contentBlockIndex":0,"delta":{"text":"Hello"}}"#;
    let recording = parts
        .iter()
        .fold(Recording::new(), |recording, (kind, bytes)| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            match kind % 6 {
                0 => recording.event("messageStart", r#"{"role":"assistant"}"#),
                1 => recording.event("contentBlockDelta", delta),
                2 => recording.event("messageStop", text),
                3 => recording.exception("internalServerException", text),
                4 => recording.event(text, delta),
                _ => recording.bytes(bytes.clone()),
            }
        });
    recording.end(RecordingEnd::Close)
}

/// Both faces read an answer of these bytes, and let go of it.
async fn read(parts: &[(u8, Vec<u8>)]) {
    for kind in FaceKind::ALL {
        let fault = FaultSpec::new(FaultKind::Recording(recording(parts)));
        // What cannot be recorded is refused.
        let Ok(scenario) = scenario().fault(fault).build() else {
            return;
        };
        let sim = SimService::new(scenario);
        let at_once = Backoff::new(Duration::ZERO, Duration::ZERO);
        let once = Cause::StreamFailed.reaction().retried(at_once, 1);
        let reactions = Reactions::default().with(Cause::StreamFailed, once);
        let stack = StackLayer::builder(REGION)
            .retry(RetryLayer::new().with_reactions(reactions))
            .build_layer()
            .expect("a sound stack");
        let face = Face::of(kind, &stack, in_process(&sim));
        let ask = Ask {
            is_stream: true,
            timeout: Some(Duration::from_secs(60)),
            ..Ask::default()
        };
        let ended = tokio::time::timeout(Duration::from_secs(61), face.call(&ask)).await;
        // Whether that was an answer is not the question.
        drop(ended.expect("it ends by its deadline"));
        Gauges::of_layer(&stack)
            .and_sim(&sim)
            .assert_at_rest(format!("{kind:?}, {parts:?}"));
    }
}

proptest! {
    /// A scenario file that was damaged is a scenario or an error.
    #[test]
    fn scenario_files(which in 0..2_usize, wounds in vec(any::<(u16, u16, u8)>(), 0..6)) {
        let text = damaged(SCENARIOS[which], &wounds);
        if let Err(error) = Scenario::from_toml(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Whatever looks like a model id or an ARN is one, and is told as it was given, or an error.
    #[test]
    fn model_ids(parts in vec(0..PARTS.len(), 0..24)) {
        let text: String = parts.iter().map(|part| PARTS[*part]).collect();
        if let Ok(id) = text.parse::<ModelId>() {
            prop_assert_eq!(id.as_str(), &text);
            drop((id.kind(), id.base_model().map(str::to_owned), format!("{id:?}")));
        }
    }

    /// Whatever the frames of a stream hold, and whatever stands between them: both faces come to its
    /// end, and nothing stays held.
    #[test]
    fn event_streams(parts in vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(read(&parts));
    }
}
