use std::time::Duration;

use tokio_test::task;

use super::*;
use crate::{Jitter, RetryLayer, Stack};

/// A call can be dropped at each of its waits, in the service and between attempts: its spans are
/// closed as dropped, each once, and what its parts do as they go lands in its attempt.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_closes_its_spans() {
    struct Parts;

    impl Drop for Parts {
        fn drop(&mut self) {
            tracing::info!(target: "parts", "gone");
        }
    }

    let service = tower::service_fn(|request: Request<()>| {
        let parts = Parts;
        async move {
            let answer = Bedrock::default().call(request).await;
            drop(parts);
            answer
        }
    });
    for waits in 0..3 {
        let recorder = Recorder::default();
        let _guard = recorder.install();
        let stack = Stack::over(service, HOME).build().unwrap();
        let mut call = task::spawn(stack.send(request()));
        for _ in 0..waits {
            assert!(call.poll().is_pending());
            tokio::time::advance(Duration::from_millis(600)).await;
        }
        drop(call);
        let entries = recorder.entries();
        assert!(
            entries
                .iter()
                .all(|entry| !entry.is_open && entry.depth == 0)
        );
        let expected: &[&str] = match waits {
            // It was never begun.
            0 => &[],
            _ => &[
                "bedrock.call end=dropped",
                "  bedrock.attempt end=dropped",
                "    INFO parts",
            ],
        };
        assert_eq!(tree(&recorder, &["tower_bedrock.end"]), expected, "{waits}");
    }
}

/// A call that is dropped while it waits for its next attempt keeps the attempts that it had.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_between_its_attempts() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = Bedrock::failing([Cause::Throttled; 9]);
    let retry = RetryLayer::new().with_jitter(Jitter::seeded(7));
    let stack = Stack::over(service, HOME).retry(retry).build().unwrap();
    let mut call = task::spawn(stack.send(request()));
    let is_waiting = || recorder.tree(&[]).iter().any(|line| line.contains("retry"));
    while !is_waiting() {
        assert!(call.poll().is_pending());
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    drop(call);
    assert_eq!(
        tree(&recorder, &["tower_bedrock.end"]),
        [
            "bedrock.call end=dropped",
            "  bedrock.attempt end=failed",
            "  INFO tower_bedrock::retry"
        ]
    );
    assert!(recorder.entries().iter().all(|entry| !entry.is_open));
}

/// An attempt that the call's deadline cuts was dropped; the call says that it was the deadline.
#[tokio::test(start_paused = true)]
async fn a_deadline_drops_the_attempt_and_fails_the_call() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let stack = Stack::over(Bedrock::default(), HOME).build().unwrap();
    let call = request().with_timeout(Duration::from_millis(1500));
    stack.send(call).await.unwrap_err();
    let lines = tree(&recorder, &["error.type", "tower_bedrock.end"]);
    assert_eq!(lines[0], "bedrock.call type=deadline_exceeded end=failed");
    assert_eq!(lines[1], "  bedrock.attempt end=dropped");
    assert!(recorder.entries().iter().all(|entry| !entry.is_open));
}
