use bedrock_sim::{FaultKind, FaultSpec, Recording, RecordingEnd};
use tokio::time::Instant;
use tower_bedrock::{BedrockRequest, Cause, StreamLimits};
use tower_bedrock_tests::{MODEL, converse_stream, faulty, model, scenario};

use super::*;

/// A stream that is not over at its call's deadline ends then, and frees all that it held.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_deadline_of_its_call() {
    let slow = model().tokens_per_second(2).output_tokens(100);
    let scenario = bedrock_sim::Scenario::builder().model(slow).build();
    let sim = SimService::new(scenario.expect("a valid scenario"));
    let quotas = quotas();
    let start = Instant::now();
    let request = Request::from(converse_stream(MODEL)).with_timeout(10 * SECOND);
    let stream = stack(bedrock(&sim), &quotas).oneshot(request).await;
    let mut stream = stream.expect("it has begun");
    let (events, error) = drain(&mut stream).await;
    assert!(events > 2);
    assert_eq!(
        error.map(|error| error.cause()),
        Some(Cause::DeadlineExceeded)
    );
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert_eq!(sim.ledger().totals.in_flight, 0);
    assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0);
}

/// The usage may take its time after the answer, but not for ever; a stream whose usage does not
/// come is whole all the same.
#[tokio::test(start_paused = true)]
async fn usage_is_waited_for_but_not_for_ever() {
    for (pause, is_told) in [(2, true), (4, false)] {
        let recording = Recording::new()
            .event("messageStart", r#"{"role":"assistant"}"#)
            .event("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#)
            .event("messageStop", r#"{"stopReason":"end_turn"}"#)
            .pause(pause * SECOND)
            .event(
                "metadata",
                r#"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":9}}"#,
            )
            .end(RecordingEnd::Stall);
        let sim = faulty(FaultSpec::new(FaultKind::Recording(recording)));
        let limits = StreamLimits::new().with_usage(3 * SECOND);
        let bedrock = bedrock(&sim).with_stream_limits(limits);
        let quotas = quotas();
        let stream = call(bedrock, &quotas, converse_stream(MODEL)).await;
        let mut stream = stream.expect("it has begun");
        while let Some(event) = stream.next().await {
            if event.expect("it is whole").is_message_stop() {
                break;
            }
        }
        assert!(stream.is_complete());
        assert_eq!(stream.usage().is_some(), is_told);
        assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0);
    }
}

/// One limit for all clones would be no use: a clone with its own shares the clients, not the limits.
#[tokio::test(start_paused = true)]
async fn clones_may_have_limits_of_their_own() {
    let sim = SimService::new(
        scenario()
            .fault(FaultSpec::new(FaultKind::NoAnswer))
            .build()
            .expect("a valid scenario"),
    );
    let patient = bedrock(&sim);
    let hasty = patient
        .clone()
        .with_stream_limits(StreamLimits::new().with_first_event(SECOND));
    for (bedrock, after) in [(patient, 300 * SECOND), (hasty, SECOND)] {
        let start = Instant::now();
        let request = Request::from(converse_stream(MODEL));
        assert!(request.context().deadline.is_none());
        let answered = ServiceBuilder::new()
            .layer(ClassifyLayer::new())
            .service(bedrock)
            .oneshot(request)
            .await;
        assert!(answered.is_err());
        assert_eq!(start.elapsed(), after);
    }
}

/// A caller who takes an hour over an event is no stall of the service.
#[tokio::test(start_paused = true)]
async fn a_slow_caller_gets_the_whole_answer() {
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let limits = StreamLimits::new().with_whole(60 * SECOND);
    let bedrock = bedrock(&sim).with_stream_limits(limits);
    let mut stream: Conversation = call(bedrock, &quotas(), converse_stream(MODEL))
        .await
        .expect("it is healthy");
    while let Some(event) = stream.next().await {
        event.expect("nothing breaks");
        tokio::time::sleep(3600 * SECOND).await;
    }
    assert!(stream.is_complete());
}
