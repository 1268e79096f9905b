//! What must not show up in a metric.

use tower_bedrock::{Quota, Route, StackLayer};
use tower_bedrock_tests::{
    MODEL, PROMPT, REGION,
    face::{Ask, Face, FaceKind},
    faulty, in_process,
};

use bedrock_sim::{ErrorText, FaultSpec};

use super::Recording;

/// No prompt, no answer, no credential, no account and no tenant stands in any name or label.
#[tokio::test(start_paused = true)]
async fn labels_tell_nothing_private() {
    for kind in FaceKind::ALL {
        let recording = Recording::new();
        let sim = faulty(FaultSpec::error(ErrorText::ProfileRequired).every(3));
        let route = Route::to(MODEL.parse().expect("a model id"));
        let layer = StackLayer::builder(REGION)
            .quota(route, Quota::new().with_tokens_per_minute(1_000_000))
            .build_layer()
            .expect("a stack that can be meant");
        let face = Face::of(kind, &layer, in_process(&sim));
        for number in 0..9 {
            let ask = Ask {
                is_stream: number % 2 == 0,
                tenant: Some("the-tenant".to_owned()),
                ..Ask::default()
            };
            // Whatever comes of it.
            drop(face.call(&ask).await);
        }
        layer.report_metrics();
        let recorded = format!("{:?}", recording.take());
        assert!(recorded.contains(MODEL));
        for private in [
            PROMPT,
            "AKIDEXAMPLE",
            "secret",
            "the-tenant",
            "111122223333",
        ] {
            assert!(!recorded.contains(private), "{private}");
        }
    }
}
