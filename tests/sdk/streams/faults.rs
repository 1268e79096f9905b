use bedrock_sim::{ErrorText, FaultKind, FaultSpec, Operation, Recording, Scenario};
use tokio::time::Instant;
use tower_bedrock::{
    Cause, FallbackLayer, HoldBack, Ladder, Region, Stack, StreamLimit, StreamLimits, StreamStalled,
};
use tower_bedrock_tests::{MODEL, REGION, converse_stream, faulty, invoke_stream, model, scenario};

use super::*;

/// All that can come as an exception frame.
const TEXTS: &[ErrorText] = &[
    ErrorText::TokensPerDay,
    ErrorText::TokensPerMinute,
    ErrorText::RequestsPerMinute,
    ErrorText::RequestRate,
    ErrorText::Overloaded,
    ErrorText::TooManyConnections,
    ErrorText::ServiceUnavailable,
    ErrorText::ModelThrottled,
    ErrorText::InternalServer,
    ErrorText::InputTooLong,
    ErrorText::UnknownModel,
    ErrorText::MaxTokensTooLarge,
    ErrorText::ModelStreamError,
    ErrorText::ModelTimeout,
];

fn exception(text: ErrorText, after_events: u32) -> FaultSpec {
    FaultSpec::new(FaultKind::StreamException {
        after_events,
        error: text.into(),
    })
    .operation(Operation::InvokeModelWithResponseStream)
}

/// What a call fails with that is made once.
async fn refusal(fault: FaultSpec) -> Error {
    let sim = faulty(fault);
    ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(bedrock(&sim))
        .oneshot(Request::from(invoke_stream()))
        .await
        .expect_err("it is refused")
}

/// An exception as the first frame fails the call, one after the first content fails the stream;
/// either way it has the cause that it has with a status of its own, and tells where it happened.
#[tokio::test(start_paused = true)]
async fn an_exception_in_a_stream_has_the_cause_of_its_twin() {
    for &text in TEXTS {
        let twin = refusal(FaultSpec::error(text)).await;
        let (twin, code) = (twin.cause(), twin.code().map(str::to_owned));
        for frames in [0, 1] {
            let error = refusal(exception(text, frames)).await;
            assert_eq!(error.cause(), twin, "{text:?} after {frames}: {error}");
            assert_eq!(error.code(), code.as_deref());
            assert!(error.message().is_some(), "{error}");
            assert!(error.request_id().is_some(), "{error}");
        }
        for frames in [2, 4] {
            let sim = faulty(exception(text, frames));
            let stream = call(bedrock(&sim), &quotas(), invoke_stream()).await;
            let mut stream = stream.expect("it has begun");
            let (events, error) = drain(&mut stream).await;
            let error = error.expect("the stream fails");
            assert_eq!(events, u64::from(frames), "{text:?}");
            assert_eq!(error.cause(), twin, "{text:?} after {frames}: {error}");
            assert_eq!((error.code(), error.attempts()), (code.as_deref(), Some(1)));
            assert!(error.request_id().is_some() && error.route().is_some());
            assert_eq!(sim.ledger().totals.requests, 1, "nothing is retried");
        }
    }
}

/// A call that is refused by its first frame is made again, and the answer is whole: no event twice,
/// none lost.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_first_frame_is_retried() {
    for frames in [0, 1] {
        let fault = FaultSpec::new(FaultKind::StreamException {
            after_events: frames,
            error: ErrorText::RequestsPerMinute.into(),
        });
        let sim = faulty(fault.count(2));
        let stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await;
        let mut stream = stream.expect("the third attempt is answered");
        assert_eq!(stream.served().attempts, 3);
        let healthy = SimService::new(scenario().build().expect("a valid scenario"));
        let mut whole = call(bedrock(&healthy), &quotas(), converse_stream(MODEL))
            .await
            .expect("it is healthy");
        assert_eq!(drain(&mut stream).await.0, drain(&mut whole).await.0);
        assert!(stream.is_complete());
        assert_eq!(sim.ledger().totals.requests, 3);
    }
}

/// A call that is refused by its first frame falls back like any other; one that breaks after its
/// first content does not.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_first_frame_falls_back() -> Result<(), Box<dyn std::error::Error>> {
    for (frames, cause) in [(0, None), (1, None), (3, Some(Cause::ModelOverloaded))] {
        let fault = FaultSpec::new(FaultKind::StreamException {
            after_events: frames,
            error: ErrorText::Overloaded.into(),
        });
        let scenario = Scenario::builder()
            .model(model().regions([REGION, "us-west-2"]))
            .fault(fault.region(REGION));
        let sim = SimService::new(scenario.build()?);
        let ladder = Ladder::regions([REGION, "us-west-2"]);
        let stack = Stack::builder(bedrock(&sim))
            .fallback(FallbackLayer::new(ladder)?)
            .build()?;
        let mut stream = stack.send(Request::from(converse_stream(MODEL))).await?;
        let served = stream.served();
        let region = served.route.region.as_ref().map(Region::as_str);
        let fell_back = cause.is_none();
        let expected = if fell_back { "us-west-2" } else { REGION };
        assert_eq!(region, Some(expected), "after {frames} frames");
        assert_eq!(served.route_index > 0, fell_back);
        let error = drain(&mut stream).await.1;
        assert_eq!(error.map(|error| error.cause()), cause);
    }
    Ok(())
}

/// All that can break in a stream but an exception.
fn breaks(after_events: u32) -> [(FaultKind, Cause); 6] {
    let stall = FaultKind::StreamStall {
        after_events,
        lasts: None,
    };
    [
        (
            FaultKind::StreamCut { after_events },
            Cause::StreamTruncated,
        ),
        (
            FaultKind::CloseInsideFrame { after_events },
            Cause::StreamTruncated,
        ),
        (FaultKind::NoMessageStop, Cause::StreamTruncated),
        (FaultKind::BadCrc { after_events }, Cause::StreamFailed),
        (FaultKind::InvalidJson { after_events }, Cause::StreamFailed),
        (stall, Cause::StreamStalled),
    ]
}

/// However a stream breaks after it has begun: what came before is delivered, then an error with the
/// right cause, once, and nothing is sent again.
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_tells_how() {
    for (kind, cause) in breaks(4) {
        for is_conversation in [true, false] {
            let sim = faulty(FaultSpec::new(kind.clone()));
            let quotas = quotas();
            let (events, error) = if is_conversation {
                let stream = call(bedrock(&sim), &quotas, converse_stream(MODEL)).await;
                drain(&mut stream.expect("it has begun")).await
            } else {
                let stream = call(bedrock(&sim), &quotas, invoke_stream()).await;
                drain(&mut stream.expect("it has begun")).await
            };
            let error = error.expect("the stream is broken");
            assert_eq!(error.cause(), cause, "{kind:?}: {error}");
            match kind {
                FaultKind::NoMessageStop => assert!(events > 4, "{events}"),
                _ => assert_eq!(events, 4, "{kind:?}"),
            }
            assert_eq!(sim.ledger().totals.requests, 1, "{kind:?}");
            assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0, "{kind:?}");
        }
    }
}

/// What breaks before the first content is tried again, once or twice as its cause says.
#[tokio::test(start_paused = true)]
async fn what_breaks_before_the_first_content_is_tried_again() {
    for frames in [0, 1] {
        for (kind, _) in breaks(frames) {
            if kind == FaultKind::NoMessageStop {
                continue;
            }
            let sim = faulty(FaultSpec::new(kind.clone()).count(1));
            let stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await;
            let mut stream = stream.expect("the second attempt is answered");
            assert_eq!(stream.served().attempts, 2, "{kind:?}");
            assert!(drain(&mut stream).await.1.is_none());
            assert_eq!(sim.ledger().totals.requests, 2, "{kind:?}");
        }
    }
}

/// Silence is told from slowness: the limits that are on by default let a healthy stream be slow.
#[tokio::test(start_paused = true)]
async fn slow_streams_are_not_cut() {
    let slow = FaultKind::SlowFirstToken {
        delay: 120 * SECOND,
    };
    let pause = FaultKind::StreamStall {
        after_events: 4,
        lasts: Some(120 * SECOND),
    };
    for kind in [slow, pause] {
        let sim = faulty(FaultSpec::new(kind));
        let start = Instant::now();
        let stream = call(bedrock(&sim), &quotas(), converse_stream(MODEL)).await;
        let mut stream = stream.expect("it has begun");
        assert!(drain(&mut stream).await.1.is_none());
        assert!(start.elapsed() >= 120 * SECOND);
    }
}

/// A stream that falls silent ends at its limit, to the tick, before and after it has begun.
#[tokio::test(start_paused = true)]
async fn a_stall_is_noticed_in_time() {
    let limits = StreamLimits::new()
        .with_first_event(30 * SECOND)
        .with_between_events(20 * SECOND);
    for (after_events, limit, after) in [
        (0, StreamLimit::FirstEvent, 30 * SECOND),
        (1, StreamLimit::BetweenEvents, 20 * SECOND),
        (5, StreamLimit::BetweenEvents, 20 * SECOND),
    ] {
        let sim = faulty(FaultSpec::new(FaultKind::StreamStall {
            after_events,
            lasts: None,
        }));
        let bedrock = bedrock(&sim).with_stream_limits(limits);
        let start = Instant::now();
        let answered = ServiceBuilder::new()
            .layer(ClassifyLayer::new())
            .service(bedrock)
            .oneshot(Request::from(converse_stream(MODEL)))
            .await;
        let error = match answered {
            Ok(mut stream) => drain(&mut stream).await.1.expect("it stalls"),
            Err(error) => error,
        };
        assert!(
            start.elapsed() - after < Duration::from_millis(2),
            "{error}"
        );
        let stalled = StreamStalled::of(&error).expect("it is a stall");
        assert_eq!((stalled.limit(), stalled.after()), (limit, after));
        assert_eq!(stalled.received(), u64::from(after_events));
        assert_eq!(sim.ledger().totals.in_flight, 0, "the connection is closed");
    }
}

/// The limit of the first event counts from sending on, so a service that gives no sign at all is
/// noticed too.
#[tokio::test(start_paused = true)]
async fn no_head_is_no_first_event() {
    let sim = faulty(FaultSpec::new(FaultKind::NoAnswer));
    let limits = StreamLimits::new().with_first_event(30 * SECOND);
    let start = Instant::now();
    let error = ServiceBuilder::new()
        .layer(ClassifyLayer::new())
        .service(bedrock(&sim).with_stream_limits(limits))
        .oneshot(Request::from(converse_stream(MODEL)))
        .await
        .expect_err("nothing comes");
    assert_eq!(start.elapsed(), 30 * SECOND);
    assert_eq!(error.cause(), Cause::StreamStalled);
    assert!(StreamStalled::of(&error).is_some());
    assert!(error.route().is_some());
}

/// An error frame that no operation models is read all the same, and an exception that nobody knows
/// keeps its name.
#[tokio::test(start_paused = true)]
async fn errors_that_no_operation_models_are_read() {
    for (recording, cause, code) in [
        (
            Recording::new().error(
                "ThrottlingException",
                "Too many tokens, please wait before trying again.",
            ),
            Cause::TokenRate,
            "ThrottlingException",
        ),
        (
            Recording::new().error("SomethingNew", "for the first time"),
            Cause::Unknown,
            "SomethingNew",
        ),
        (
            Recording::new().exception("brandNewException", r#"{"message":"for the first time"}"#),
            Cause::Unknown,
            "BrandNewException",
        ),
        (
            Recording::new().exception("throttlingException", "not json"),
            Cause::Throttled,
            "ThrottlingException",
        ),
    ] {
        let fault = FaultSpec::new(FaultKind::Recording(recording));
        let error = refusal(fault).await;
        assert_eq!(
            (error.cause(), error.code()),
            (cause, Some(code)),
            "{error}"
        );
    }
}

/// More can be held back, knowingly: then more failures fail the call, which is made again.
#[tokio::test(start_paused = true)]
async fn holding_back_more_makes_more_failures_curable() {
    let fault = FaultSpec::new(FaultKind::StreamException {
        after_events: 5,
        error: ErrorText::ServiceUnavailable.into(),
    });
    let sim = faulty(fault.count(1));
    let bedrock = bedrock(&sim).with_hold_back(HoldBack::until_bytes(1_000));
    let stream = call(bedrock, &quotas(), converse_stream(MODEL)).await;
    let mut stream = stream.expect("the second attempt is answered");
    assert_eq!(stream.served().attempts, 2);
    assert!(drain(&mut stream).await.1.is_none());
}
