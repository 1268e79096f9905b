use std::time::Duration;

use bedrock_sim::{ErrorText, FaultKind, FaultSpec};
use tower_bedrock::{Quota, RetryLayer, Route};
use tower_bedrock_tests::{MODEL, model, scenario};

use super::{
    call::{Call, Op},
    outcome::Outcome,
    rig::Rig,
    row::Row,
    streams::Streamed,
};

const BOTH: [Op; 2] = [Op::ConverseStream, Op::InvokeModelWithResponseStream];

fn budgeted() -> Rig {
    let route = Route::to(MODEL.parse().expect("a model id"));
    let quota = Quota::new().with_tokens_per_minute(1_000_000);
    Rig::retrying(RetryLayer::new()).budgeted(&route, quota, |layer| layer)
}

async fn of(fault: FaultSpec, call: Call) -> (Streamed, Outcome) {
    let row = Row::faulty(fault, budgeted).calls([call]);
    let outcome = row.outcome().await;
    (outcome.told[0].streamed().clone(), outcome)
}

/// Streams arrive whole, event for event the same, and settle to the token what the service charges.
#[tokio::test(start_paused = true)]
async fn streams_arrive_whole() {
    for op in BOTH {
        let paced = model()
            .latency(Duration::from_secs(1))
            .tokens_per_second(10);
        let scenario = bedrock_sim::Scenario::builder().seed(7).model(paced);
        let outcome = Row::new(scenario, budgeted)
            .calls([Call::of(op)])
            .outcome()
            .await;
        let streamed = outcome.told[0].streamed();
        assert_eq!(streamed.broken, None);
        assert!(streamed.events.len() > 3, "{:?}", streamed.events);
        assert_eq!(streamed.attempts, 1);
        assert!(outcome.took >= Duration::from_secs(2), "{:?}", outcome.took);
        let charged = outcome.ledger.totals.tokens_settled;
        assert_eq!(outcome.quotas[0].tokens_used, charged, "{op:?}");
    }
}

/// Errors in place of a stream are retried as ever.
#[tokio::test(start_paused = true)]
async fn refused_streams_are_retried() {
    for op in BOTH {
        for text in [
            ErrorText::Overloaded,
            ErrorText::TokensPerMinute,
            ErrorText::InternalServer,
        ] {
            let (streamed, outcome) = of(FaultSpec::error(text).count(1), Call::of(op)).await;
            assert_eq!((streamed.broken, streamed.attempts), (None, 2), "{text:?}");
            assert_eq!(outcome.requests(), 2);
        }
        let (streamed, outcome) = of(FaultSpec::error(ErrorText::InputTooLong), Call::of(op)).await;
        assert_eq!(streamed.broken.as_deref(), Some("ValidationException"));
        assert_eq!(outcome.requests(), 1);
    }
}

/// A refusal as the first frame is a refusal: retried like one, and told like one when it stays.
#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_first_frame_is_retried() {
    for op in BOTH {
        for (text, attempts, code) in [
            (ErrorText::Overloaded, 4, "ThrottlingException"),
            (ErrorText::InternalServer, 3, "InternalServerException"),
            (
                ErrorText::ServiceUnavailable,
                4,
                "ServiceUnavailableException",
            ),
        ] {
            let refusal = FaultSpec::new(FaultKind::StreamException {
                after_events: 0,
                error: text.into(),
            });
            let (streamed, outcome) = of(refusal.clone().count(2), Call::of(op)).await;
            assert_eq!((streamed.broken, streamed.attempts), (None, 3), "{text:?}");
            assert_eq!(outcome.requests(), 3);

            let (streamed, outcome) = of(refusal, Call::of(op)).await;
            assert!(streamed.events.is_empty());
            assert_eq!(streamed.broken.as_deref(), Some(code));
            assert_eq!(outcome.requests(), attempts, "{text:?}");
        }
    }
}

/// What breaks after the first content is told and not retried; what came before is delivered.
#[tokio::test(start_paused = true)]
async fn what_breaks_later_is_told() {
    for op in BOTH {
        for what in [
            FaultKind::StreamException {
                after_events: 4,
                error: ErrorText::InternalServer.into(),
            },
            FaultKind::StreamCut { after_events: 4 },
            FaultKind::CloseInsideFrame { after_events: 4 },
            FaultKind::BadCrc { after_events: 4 },
            FaultKind::InvalidJson { after_events: 4 },
            FaultKind::NoMessageStop,
        ] {
            let name = what.name();
            let (streamed, outcome) = of(FaultSpec::new(what), Call::of(op)).await;
            assert!(streamed.broken.is_some(), "{op:?} {name}: {streamed:?}");
            assert!(!streamed.events.is_empty(), "{op:?} {name}");
            assert_eq!(outcome.requests(), 1, "{op:?} {name}");
        }
    }
}

/// A stream that falls silent ends when its limit has passed.
#[tokio::test(start_paused = true)]
async fn a_silent_stream_ends() {
    for op in BOTH {
        let silent = FaultSpec::new(FaultKind::StreamStall {
            after_events: 4,
            lasts: None,
        });
        let (streamed, outcome) = of(silent, Call::of(op)).await;
        assert_eq!(streamed.broken.as_deref(), Some("StreamStalled"));
        assert!(
            outcome.took >= Duration::from_secs(60),
            "{:?}",
            outcome.took
        );
    }
}

/// A deadline ends a stream that goes on.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_stream() {
    for op in BOTH {
        let slow = model().tokens_per_second(1);
        let scenario = bedrock_sim::Scenario::builder().seed(7).model(slow);
        let call = Call::of(op).with_timeout(Duration::from_secs(5));
        let outcome = Row::new(scenario, budgeted).calls([call]).outcome().await;
        let streamed = outcome.told[0].streamed();
        assert_eq!(streamed.broken.as_deref(), Some("DeadlineExceeded"));
        assert_eq!(outcome.took, Duration::from_secs(5));
    }
}

/// Dropped after any event, a stream gives back what was held, and both faces settle the same for it.
#[tokio::test(start_paused = true)]
async fn a_stream_may_be_dropped_after_any_event() {
    for op in BOTH {
        let whole = Row::new(scenario(), budgeted)
            .calls([Call::of(op)])
            .outcome()
            .await;
        let events = whole.told[0].streamed().events.len();
        for kept in 0..=events {
            let call = Call::of(op).dropped_after(kept);
            let outcome = Row::new(scenario(), budgeted).calls([call]).outcome().await;
            assert_eq!(outcome.told[0].streamed().events.len(), kept);
            assert!(
                outcome.quotas[0].tokens_used > 0,
                "{kept}: {:?}",
                outcome.quotas
            );
        }
    }
}
