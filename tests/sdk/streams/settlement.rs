use bedrock_sim::{ErrorText, FaultKind, FaultSpec, Scenario};
use tower_bedrock_tests::{MODEL, converse_stream, faulty, model, scenario};

use super::*;

/// Dropped after any number of events, a stream gives back what it held at once, and is charged its
/// input and what came of it: more for each event, never more than it would have been.
#[tokio::test(start_paused = true)]
async fn a_stream_dropped_at_any_event_is_charged_what_came() {
    let (mut last, mut taken) = (0, 0);
    let whole = loop {
        let sim = SimService::new(scenario().build().expect("a valid scenario"));
        let quotas = quotas();
        let mut stream = call(bedrock(&sim), &quotas, converse_stream(MODEL))
            .await
            .expect("it is healthy");
        for _ in 0..taken {
            stream.next().await;
        }
        let is_complete = stream.is_complete();
        let usage = stream.usage().copied();
        drop(stream);
        let snapshot = quotas.snapshot_of(&route());
        assert_eq!(snapshot.tokens_held, 0, "after {taken} events");
        assert_eq!(snapshot.requests_used, 1);
        assert_eq!(sim.ledger().totals.in_flight, 0);
        if is_complete {
            assert_eq!(Some(snapshot.tokens_used), usage.map(|usage| usage.total()));
            break snapshot.tokens_used;
        }
        assert!(snapshot.tokens_used >= last, "after {taken} events");
        assert!(snapshot.tokens_used > 0, "its input at least");
        last = snapshot.tokens_used;
        taken += 1;
    };
    assert!(taken > 5, "{taken}");
    // The estimates are estimates, but not wild ones.
    let (low, high) = (whole / 2, whole * 2);
    assert!((low..=high).contains(&last), "{last} of {whole}");
}

/// A stream that fails half way is charged what came of it, whatever its cause, not its whole hold.
#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_is_charged_what_came() {
    for text in [
        ErrorText::TokensPerMinute,
        ErrorText::ServiceUnavailable,
        ErrorText::ModelStreamError,
        ErrorText::TokensPerDay,
    ] {
        let sim = faulty(FaultSpec::new(FaultKind::StreamException {
            after_events: 5,
            error: text.into(),
        }));
        let quotas = quotas();
        let stream = call(bedrock(&sim), &quotas, converse_stream(MODEL)).await;
        let (_, error) = drain(&mut stream.expect("it has begun")).await;
        assert!(error.is_some());
        let snapshot = quotas.snapshot_of(&route());
        assert_eq!(snapshot.tokens_held, 0);
        assert!((10..100).contains(&snapshot.tokens_used), "{snapshot:?}");
        // It was admitted: its end teaches nothing of what the minute holds.
        assert_eq!(snapshot.learned_tokens_per_minute, None);
        assert_eq!(
            snapshot.closed_for.is_some(),
            text == ErrorText::TokensPerDay
        );
    }
}

/// An answer whose usage never came is settled by an estimate, which teaches the estimates of others
/// nothing: a hundred of them leave what the next call holds as it was.
#[tokio::test(start_paused = true)]
async fn estimates_do_not_calibrate() {
    let sim = faulty(FaultSpec::new(FaultKind::StreamCut { after_events: 4 }).skip(1));
    let healthy = SimService::new(scenario().build().expect("a valid scenario"));
    let quotas = quotas();
    let held = async |sim: &SimService| {
        let before = quotas.snapshot_of(&route()).tokens_held;
        let mut stream = call(bedrock(sim), &quotas, converse_stream(MODEL))
            .await
            .expect("it has begun");
        let held = quotas.snapshot_of(&route()).tokens_held - before;
        drain(&mut stream).await;
        held
    };
    held(&sim).await;
    let taught = held(&sim).await;
    for _ in 0..100 {
        assert_eq!(held(&sim).await, taught);
    }
    // What the service reports does teach.
    held(&healthy).await;
    assert_ne!(held(&healthy).await, taught);
}

/// Dropped at any point of its life, the call of a stream leaves nothing in flight and nothing held,
/// and the next call is answered.
#[tokio::test(start_paused = true)]
async fn the_call_of_a_stream_can_be_dropped_at_any_point() {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    let mut cuts = 0;
    for polls in 0.. {
        let slow = model().latency(Duration::from_millis(500)).concurrency(1);
        let scenario = Scenario::builder().model(slow).build();
        let sim = SimService::new(scenario.expect("a valid scenario"));
        let quotas = quotas();
        let stack = stack(bedrock(&sim), &quotas);
        let finished = {
            let mut call = pin!(async {
                let request = Request::from(converse_stream(MODEL));
                let mut stream = stack.clone().oneshot(request).await?;
                while let Some(event) = stream.next().await {
                    event?;
                    // Every event is a point to be dropped at.
                    tokio::task::yield_now().await;
                }
                Ok::<_, Error>(())
            });
            let mut finished = false;
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                finished = call.as_mut().poll(&mut cx).is_ready();
                if finished {
                    break;
                }
                tokio::time::advance(Duration::from_millis(50)).await;
            }
            finished
        };
        let counts = sim.ledger().totals;
        assert_eq!(
            (counts.in_flight, counts.tokens_held),
            (0, 0),
            "after {polls} polls"
        );
        assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0);
        assert_eq!(quotas.snapshot_of(&route()).waiting, 0);
        if finished {
            break;
        }
        cuts += 1;
        // The one slot is free again.
        let next = stack.oneshot(Request::from(converse_stream(MODEL))).await;
        let end = drain(&mut next.expect("there is room")).await.1;
        assert!(end.is_none(), "after {polls} polls: {end:?}");
    }
    assert!(
        cuts > 10,
        "half a second, polled every 50 ms, and events: {cuts}"
    );
}
