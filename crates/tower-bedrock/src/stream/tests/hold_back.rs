use tokio::time::Instant;

use super::*;
use crate::reply::BedrockResponse;

/// When the call is answered with each way to hold back, and with how many events in hand.
#[tokio::test(start_paused = true)]
async fn a_call_is_answered_when_enough_has_come() {
    let second = Duration::from_secs(1);
    for (hold_back, answered_after) in [
        (HoldBack::until_first_event(), 1),
        (HoldBack::default(), 2),
        (HoldBack::until_content(), 2),
        (HoldBack::until_bytes(0), 1),
        (HoldBack::until_bytes(5), 2),
        (HoldBack::until_bytes(6), 3),
        (HoldBack::until_bytes(12), 3),
        // A short answer is whole before.
        (HoldBack::until_bytes(13), 4),
        (HoldBack::until_bytes(13).at_most(second), 2),
        (HoldBack::until_bytes(13).at_most(Duration::ZERO), 1),
    ] {
        let start = Instant::now();
        let stream = stream_of(answer()).with_hold_back(hold_back);
        let mut stream = stream.answered().await.unwrap();
        assert_eq!(start.elapsed(), answered_after * second, "{hold_back:?}");
        let (events, error) = drain(&mut stream).await;
        assert!(error.is_none());
        assert_eq!(events.len(), 5, "{hold_back:?}");
        assert_eq!(events[1..3], [Event::Text("Hello"), Event::Text(", world")]);
    }
}

/// The bound on holding back passes between two events as well.
#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_released_in_time() {
    let start = Instant::now();
    let hold_back = HoldBack::until_bytes(1_000).at_most(Duration::from_millis(1_500));
    let stream = stream_of(answer()).with_hold_back(hold_back);
    let mut stream = stream.answered().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(2_500));
    assert_eq!(drain(&mut stream).await.0.len(), 5);
}

/// What fails while it is held back fails the call: the caller sees nothing of it. What fails after
/// is in the stream, behind all that came.
#[tokio::test(start_paused = true)]
async fn what_fails_while_held_back_fails_the_call() {
    for failed_after in 0..4 {
        for (hold_back, held) in [
            (HoldBack::until_first_event(), 1),
            (HoldBack::until_content(), 2),
            (HoldBack::until_bytes(12), 3),
        ] {
            let mut steps = answer()[..failed_after].to_vec();
            steps.push(Refuses(1, "throttlingException"));
            let connection = Connection::default();
            let stream = ResponseStream::new(script(steps, &connection), call());
            let answered = stream.with_hold_back(hold_back).answered().await;
            match answered {
                Err(error) => {
                    assert!(failed_after < held, "{failed_after} of {held}");
                    assert!(matches!(error, RawError::Answered(_)));
                    assert!(!connection.is_open());
                }
                Ok(mut stream) => {
                    assert!(failed_after >= held, "{failed_after} of {held}");
                    let (events, error) = drain(&mut stream).await;
                    assert_eq!(events.len(), failed_after);
                    assert!(error.is_some());
                }
            }
        }
    }
}

/// A whole answer that was held back is over when the call is answered: nobody holds anything for
/// it while the caller reads.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_in_hand_is_over() {
    let mut steps: Vec<_> = answer();
    for step in &mut steps {
        if let Says(wait, _) = step {
            *wait = 0;
        }
    }
    let hold_back = HoldBack::until_bytes(1_000);
    let stream = stream_of(steps).with_hold_back(hold_back);
    let mut stream = stream.answered().await.unwrap();
    let recorder = Recorder::default();
    stream.watch(recorder.clone());
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(first, Event::Start);
    assert_eq!(recorder.heard(), ["used 7+5", "complete"]);
    assert_eq!(drain(&mut stream).await.0.len(), 4);
}

/// A short answer that was held back whole is delivered at once: only its last event waits for the
/// usage.
#[tokio::test(start_paused = true)]
async fn only_the_last_event_held_back_waits_for_the_usage() {
    let hold_back = HoldBack::until_bytes(1_000);
    let stream = stream_of(answer()).with_hold_back(hold_back);
    let mut stream = stream.answered().await.unwrap();
    let start = Instant::now();
    for event in [
        Event::Start,
        Event::Text("Hello"),
        Event::Text(", world"),
        Event::Stop,
    ] {
        assert_eq!(start.elapsed(), Duration::ZERO, "before {event:?}");
        assert_eq!(stream.next().await.unwrap().unwrap(), event);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!(stream.usage(), Some(&USAGE));
}

/// An answer that ends while it is held back, in a format whose end nobody knows, is whole and is
/// delivered; its source is not asked again.
#[tokio::test(start_paused = true)]
async fn a_stream_may_end_while_it_is_held_back() {
    let hold_back = HoldBack::until_bytes(1_000);
    let stream = stream_of(vec![Says(1, Event::Foreign), Says(1, Event::Foreign)]);
    let mut stream = stream.with_hold_back(hold_back).answered().await.unwrap();
    assert!(stream.is_complete());
    let (events, error) = drain(&mut stream).await;
    assert_eq!((events.len(), error.map(|error| error.cause())), (2, None));
}

/// A service that never comes to its content does not fill the memory: after 4096 events the call is
/// answered, and the caller reads on at its own pace.
#[tokio::test(start_paused = true)]
async fn what_is_held_back_is_bounded() {
    for hold_back in [HoldBack::until_content(), HoldBack::until_bytes(u64::MAX)] {
        let steps = vec![Says(0, Event::Start); 10_000];
        let stream = stream_of(steps).with_hold_back(hold_back);
        let mut stream = stream.answered().await.unwrap();
        assert!(format!("{stream:?}").len() < 10_000);
        let (events, error) = drain(&mut stream).await;
        assert_eq!(events.len(), 10_000);
        assert_eq!(error.unwrap().cause(), crate::Cause::StreamTruncated);
    }
}
