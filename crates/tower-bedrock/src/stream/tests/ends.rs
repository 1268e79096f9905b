use super::*;
use crate::{cause::Cause, classify::Classifier, reply::BedrockResponse};

/// A stream is whole with its last event, and only then: cut after any other, it is truncated.
#[tokio::test(start_paused = true)]
async fn only_the_last_event_ends_a_stream() {
    for length in 0..=answer().len() {
        let recorder = Recorder::default();
        let mut stream = stream_of(answer()[..length].to_vec());
        stream.watch(recorder.clone());
        let (events, error) = drain(&mut stream).await;
        assert_eq!(events.len(), length, "nothing that came is lost");
        let is_whole = length >= 4;
        assert_eq!(stream.is_complete(), is_whole);
        let cause = error.map(|error| error.cause());
        assert_eq!(cause, (!is_whole).then_some(Cause::StreamTruncated));
        let end = if is_whole {
            "complete"
        } else {
            "failed: stream_truncated"
        };
        assert_eq!(recorder.heard().last().unwrap(), end);
    }
}

/// A stream of a format whose end nobody knows is whole when it is closed in good order.
#[tokio::test(start_paused = true)]
async fn a_format_without_a_known_end_ends_with_its_connection() {
    let mut stream = stream_of(vec![Says(1, Event::Foreign)]);
    let (events, error) = drain(&mut stream).await;
    assert_eq!((events.len(), error.map(|error| error.cause())), (1, None));
    assert!(stream.is_complete());

    let mut stream = stream_of(vec![Says(1, Event::Foreign), Breaks(1)]);
    let (_, error) = drain(&mut stream).await;
    assert_eq!(error.unwrap().cause(), Cause::StreamTruncated);

    // One event of a format that has an end is enough.
    let mut stream = stream_of(vec![Says(1, Event::Start), Says(1, Event::Foreign)]);
    let (_, error) = drain(&mut stream).await;
    assert_eq!(error.unwrap().cause(), Cause::StreamTruncated);
}

/// An exception inside a stream has the cause of its twin outside, and tells where it happened; it
/// comes after all that came before it, and once.
#[tokio::test(start_paused = true)]
async fn an_exception_ends_a_stream_with_its_cause() {
    for (code, cause) in [
        ("throttlingException", Cause::Throttled),
        ("modelStreamErrorException", Cause::StreamFailed),
        ("internalServerException", Cause::Internal),
        ("serviceUnavailableException", Cause::ServiceUnavailable),
        ("validationException", Cause::InvalidRequest),
        ("modelTimeoutException", Cause::ModelTimeout),
        ("someNewException", Cause::Unknown),
    ] {
        let mut steps = answer()[..2].to_vec();
        steps.push(Refuses(1, code));
        let connection = Connection::default();
        let recorder = Recorder::default();
        let mut stream = ResponseStream::new(script(steps, &connection), call());
        stream.served_mut().request_id = Some("r-1".into());
        stream.watch(recorder.clone());

        let (events, error) = drain(&mut stream).await;
        assert_eq!(events.len(), 2);
        let error = error.unwrap();
        assert_eq!((error.cause(), error.code()), (cause, Some(code)));
        assert_eq!(error.operation(), Some(Operation::ConverseStream));
        assert_eq!(error.attempts(), Some(2));
        assert_eq!(error.request_id(), Some("r-1"));
        let route = error.route().unwrap().to_string();
        assert_eq!(route, "us.amazon.nova-lite-v1:0@us-east-1");
        assert!(!connection.is_open());
        assert_eq!(recorder.heard()[1], format!("failed: {cause}"));
        assert!(stream.next().await.is_none());
    }
}

/// The caller's own rules find the cause of what happens inside a stream too, of every kind.
#[tokio::test(start_paused = true)]
async fn the_rules_of_the_classify_layer_apply_inside_a_stream() {
    let classifier = Classifier::default().with_rule(|raw| match raw {
        RawError::Answered(_) => Some(Cause::CapacityExceeded),
        RawError::Truncated(_) => Some(Cause::Connect),
        RawError::Stalled(_) => Some(Cause::Timeout),
        _ => None,
    });
    for (step, cause) in [
        (vec![Refuses(1, "x")], Cause::CapacityExceeded),
        (vec![Breaks(1)], Cause::Connect),
        (vec![], Cause::Connect),
        (vec![Hangs], Cause::Timeout),
    ] {
        let mut steps = answer()[..1].to_vec();
        steps.extend(step);
        let mut call = call();
        call.classifier = Some(classifier.clone());
        let mut stream = ResponseStream::new(script(steps, &Connection::default()), call);
        let (_, error) = drain(&mut stream).await;
        assert_eq!(error.unwrap().cause(), cause);
    }
}

/// What breaks after the last event breaks nothing: the answer is whole.
#[tokio::test(start_paused = true)]
async fn what_breaks_after_the_end_breaks_nothing() {
    for after in [Breaks(1), Refuses(1, "internalServerException")] {
        let mut steps = answer()[..4].to_vec();
        steps.push(after);
        let mut stream = stream_of(steps);
        let (events, error) = drain(&mut stream).await;
        assert_eq!(events.len(), 4);
        assert!(error.is_none() && stream.is_complete(), "{error:?}");
    }
}

/// Neither a stream nor its error shows what was said.
#[tokio::test(start_paused = true)]
async fn nothing_shows_what_was_said() {
    let mut stream = stream_of(vec![
        Says(1, Event::Start),
        Says(1, Event::Text("secret")),
        Says(1, Event::Text("secret")),
        Breaks(1),
    ])
    .with_hold_back(HoldBack::until_bytes(12))
    .answered()
    .await
    .unwrap();
    assert!(!format!("{stream:?}").contains("secret"));
    let (_, error) = drain(&mut stream).await;
    let error = error.unwrap();
    assert!(!format!("{error:?} {error}").contains("secret"));
}

/// A stream can be sent between threads, and be polled in place.
#[test]
fn a_stream_is_send_and_unpin() {
    fn check<T: Send + Unpin + futures_core::FusedStream>() {}
    check::<ResponseStream<Event>>();
}
