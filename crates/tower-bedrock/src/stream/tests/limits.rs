use tokio::time::Instant;

use super::*;
use crate::{cause::Cause, reply::BedrockResponse};

const LIMITS: StreamLimits = StreamLimits::none()
    .with_first_event(Duration::from_secs(30))
    .with_between_events(Duration::from_secs(10));

/// A stream that falls silent ends at its limit: with a typed error, the connection closed, and
/// everybody told before the caller is.
#[tokio::test(start_paused = true)]
async fn a_silent_stream_stalls_at_its_limit() {
    for received in 1..=3 {
        let connection = Connection::default();
        let recorder = Recorder::default();
        let mut steps = answer()[..received].to_vec();
        steps.push(Hangs);
        let mut stream =
            ResponseStream::new(script(steps, &connection), call()).with_limits(LIMITS);
        stream.watch(recorder.clone());

        let start = Instant::now();
        let (events, error) = drain(&mut stream).await;
        assert_eq!(events.len(), received);
        let error = error.unwrap();
        assert_eq!(error.cause(), Cause::StreamStalled);
        let stalled = StreamStalled::of(&error).unwrap();
        assert_eq!(stalled.limit(), StreamLimit::BetweenEvents);
        assert_eq!(stalled.after(), Duration::from_secs(10));
        assert_eq!(stalled.received(), received as u64);
        let waited = start.elapsed() - Duration::from_secs(received as u64);
        assert_eq!(waited, Duration::from_secs(10));

        assert!(!connection.is_open());
        assert_eq!(recorder.heard()[1], "failed: stream_stalled");
        assert!(stream.next().await.is_none());
        assert_eq!(recorder.heard().len(), 2, "told once");
    }
}

/// No event at all within the limit of the first is a failed call, with nothing received.
#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_begin_is_a_failed_call() {
    let connection = Connection::default();
    let start = Instant::now();
    let stream = ResponseStream::new(script(vec![Hangs], &connection), call());
    let error = stream.with_limits(LIMITS).answered().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert!(!connection.is_open());
    let error = crate::classify::Classifier::default().classify(error);
    assert_eq!(error.cause(), Cause::StreamStalled);
    let stalled = StreamStalled::of(&error).unwrap();
    assert_eq!(
        (stalled.limit(), stalled.received()),
        (StreamLimit::FirstEvent, 0)
    );
}

/// A caller who takes longer than every limit over each event gets them all.
#[tokio::test(start_paused = true)]
async fn a_slow_caller_gets_every_event() {
    let limits = LIMITS.with_whole(Duration::from_secs(6));
    let mut stream = stream_of(answer()).with_limits(limits);
    let mut events = 0;
    while let Some(event) = stream.next().await {
        event.unwrap();
        events += 1;
        sleep(Duration::from_secs(3600)).await;
    }
    assert_eq!(events, 5);
}

/// Events that come within the limit, however slowly, are no stall; all waits together may be.
#[tokio::test(start_paused = true)]
async fn slow_is_not_silent() {
    let slowly: Vec<_> = [Event::Start]
        .into_iter()
        .chain(vec![Event::Text("a"); 50])
        .chain([Event::Stop])
        .map(|event| Says(9_999, event))
        .collect();
    let mut stream = stream_of(slowly.clone()).with_limits(LIMITS);
    let (events, error) = drain(&mut stream).await;
    assert_eq!((events.len(), error.map(|error| error.cause())), (52, None));

    let mut stream = stream_of(slowly).with_limits(LIMITS.with_whole(Duration::from_secs(60)));
    let start = Instant::now();
    let (events, error) = drain(&mut stream).await;
    assert_eq!(events.len(), 6);
    let error = error.unwrap();
    let stalled = StreamStalled::of(&error).unwrap();
    assert_eq!(stalled.limit(), StreamLimit::Whole);
    assert_eq!(start.elapsed(), Duration::from_secs(60));
}

/// At the call's deadline a stream ends, whether it is waited for or not; nothing comes after.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_the_deadline_of_its_call() {
    for busy in [false, true] {
        let mut call = call();
        call.deadline = Some(Instant::now() + Duration::from_millis(2_500));
        let connection = Connection::default();
        let recorder = Recorder::default();
        let mut stream = ResponseStream::new(script(answer(), &connection), call);
        stream.watch(recorder.clone());
        let mut events = 0;
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(_) => events += 1,
                Err(error) => break error,
            }
            if busy {
                sleep(Duration::from_secs(2)).await;
            }
        };
        assert_eq!(error.cause(), Cause::DeadlineExceeded);
        assert_eq!(error.attempts(), Some(2));
        assert_eq!(events, if busy { 1 } else { 2 });
        assert!(!connection.is_open());
        assert_eq!(recorder.heard()[1], "failed: deadline_exceeded");
        assert!(stream.next().await.is_none());
    }
}

/// No event is delivered after the deadline, however many have come meanwhile; what was held back is,
/// for it has been paid for and is in hand.
#[tokio::test(start_paused = true)]
async fn nothing_is_read_after_the_deadline() {
    let mut call = call();
    call.deadline = Some(Instant::now() + Duration::from_secs(1));
    let steps = vec![Says(0, Event::Text("a")); 10];
    let stream = ResponseStream::new(script(steps, &Connection::default()), call);
    let hold_back = HoldBack::until_bytes(3);
    let mut stream = stream.with_hold_back(hold_back).answered().await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let (events, error) = drain(&mut stream).await;
    assert_eq!(events.len(), 3);
    assert_eq!(error.unwrap().cause(), Cause::DeadlineExceeded);
}

/// An answer that came whole is not taken back by the deadline.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_not_late() {
    let mut call = call();
    call.deadline = Some(Instant::now() + Duration::from_millis(4_500));
    let mut stream = ResponseStream::new(script(answer(), &Connection::default()), call);
    let (events, error) = drain(&mut stream).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(events.last(), Some(&Event::Stop));
    assert!(stream.is_complete());
    assert_eq!(stream.usage(), None, "it did not come in time");
}

/// A call that is given up on after any number of polls, and asked again, loses no event and gains
/// none.
#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_nothing() {
    let mut stream = stream_of(answer());
    let mut events = Vec::new();
    loop {
        // Every wait is cut three times before it is over.
        match tokio::time::timeout(Duration::from_millis(300), stream.next()).await {
            Err(_) => {}
            Ok(Some(event)) => events.push(event.unwrap()),
            Ok(None) => break,
        }
    }
    let whole: Vec<_> = answer()
        .into_iter()
        .map(|step| match step {
            Says(_, event) => event,
            step => panic!("{step:?}"),
        })
        .collect();
    assert_eq!(events, whole);
}
