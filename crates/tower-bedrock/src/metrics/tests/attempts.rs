use std::future::ready;

use futures_util::stream;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::{
    ClassifyLayer, ErrorDetails, EventFacts, HoldBack, ResponseStream, StreamEvent, TokenCounts,
};

const COUNTERS: [&str; 3] = ["invocation", "refusals", "stream_ends"];

fn attempts<S>(service: S) -> AttemptMetrics<S> {
    AttemptMetricsLayer::new(Metrics::new()).layer(service)
}

async fn fail(error: Error) {
    let mut error = Some(error);
    let service = attempts(service_fn(move |_: Request<()>| {
        ready(Err::<Response<()>, _>(error.take().unwrap()))
    }));
    let request = request(Operation::Converse);
    service.oneshot(request).await.unwrap_err();
}

/// An answer counts once, with what it used; the convention's input includes the cached.
#[tokio::test(start_paused = true)]
async fn an_answer_counts_as_an_invocation() {
    let recorded = Recorded::new();
    let service = attempts(service_fn(|_: Request<()>| async {
        sleep(Duration::from_millis(1500)).await;
        Ok::<_, Error>(answer())
    }));
    let request = request(Operation::Converse);
    service.oneshot(request).await.unwrap();
    let snapshot = recorded.recorder.snapshotter().snapshot().into_vec();
    let value = |name: &str, label: &str| {
        let mut found = snapshot.iter().filter(|(key, ..)| {
            let has_label = key.key().labels().any(|known| known.value() == label);
            key.key().name() == name && has_label
        });
        let (_, _, _, value) = found.next().unwrap();
        format!("{value:?}")
    };
    assert_eq!(value(names::INVOCATIONS.name, "Converse"), "Counter(1)");
    assert!(value(names::INVOCATION_LATENCY.name, REGION).contains("1.5"));
    assert_eq!(value(names::INPUT_TOKENS.name, MODEL), "Counter(3)");
    assert_eq!(value(names::OUTPUT_TOKENS.name, MODEL), "Counter(5)");
    assert_eq!(
        value(names::CACHE_READ_INPUT_TOKENS.name, MODEL),
        "Counter(7)"
    );
    assert_eq!(
        value(names::CACHE_WRITE_INPUT_TOKENS.name, MODEL),
        "Counter(11)"
    );
    assert!(value(names::TOKEN_USAGE.name, "input").contains("21"));
    assert!(value(names::TOKEN_USAGE.name, "output").contains('5'));
}

/// Every cause counts in one place: throttles, the caller's fault, the service's, the way there. What
/// one of our own layers refuses further in was not sent, but for a deadline that cut it.
#[tokio::test]
async fn every_failure_counts_once() {
    let recorded = Recorded::new();
    for &cause in Cause::ALL {
        fail(Error::new(cause).with_status(500)).await;
        let lines = recorded.lines(&COUNTERS);
        assert_eq!(lines.len(), 1, "{cause}: {lines:?}");
        let is_refused = cause.is_own_refusal() && cause != Cause::DeadlineExceeded;
        assert_eq!(lines[0].starts_with("refusals"), is_refused, "{lines:?}");
        assert_eq!(
            lines[0].starts_with("invocation_throttles"),
            cause.is_throttle() || cause == Cause::ModelNotReady,
            "{lines:?}"
        );
        assert!(lines[0].contains(&format!("cause={cause}")), "{lines:?}");
    }
    for (status, name) in [
        (Some(418), "invocation_client_errors_total"),
        (Some(599), "invocation_server_errors_total"),
        (None, "invocation_transport_errors_total"),
    ] {
        let unknown = Error::new(Cause::Unknown);
        fail(match status {
            Some(status) => unknown.with_status(status),
            None => unknown,
        })
        .await;
        let labels = format!("model={MODEL},region={REGION},operation=Converse,cause=unknown");
        assert_eq!(recorded.lines(&COUNTERS), [format!("{name}{{{labels}}} 1")]);
    }
}

/// What could not be built or signed never went out, so it is no attempt.
#[tokio::test]
async fn what_was_not_sent_is_no_attempt() {
    let recorded = Recorded::new();
    for (raw, cause) in [
        (RawError::NotSent as fn(_) -> _, "invalid_request"),
        (RawError::Credentials, "credentials"),
    ] {
        let service = attempts(
            ClassifyLayer::new().layer(service_fn(move |_: Request<()>| {
                ready(Err::<Response<()>, _>(raw(Box::default())))
            })),
        );
        let request = request(Operation::Converse);
        service.oneshot(request).await.unwrap_err();
        let labels = format!("layer=bedrock,cause={cause},limit=not_sent");
        let expected = format!("refusals_total{{{labels}}} 1");
        assert_eq!(recorded.lines(&COUNTERS), [expected]);
    }
}

/// A call that is dropped under way counts as dropped, or as cut if its deadline has passed; one that
/// was never polled counts as nothing.
#[tokio::test(start_paused = true)]
async fn dropped_attempts_count_as_such() {
    let recorded = Recorded::new();
    let never = || {
        attempts(service_fn(|_: Request<()>| {
            pending::<Result<Response<()>, Error>>()
        }))
    };
    drop(never().call(request(Operation::Converse)));
    assert_eq!(recorded.lines(&COUNTERS), [""; 0]);

    assert!(poll(never().call(request(Operation::Converse))).is_pending());
    let labels = format!("model={MODEL},region={REGION},operation=Converse");
    let expected = format!("invocations_dropped_total{{{labels}}} 1");
    assert_eq!(recorded.lines(&COUNTERS), [expected]);

    let request = request(Operation::Converse).with_timeout(Duration::from_secs(1));
    let mut call = Box::pin(never().call(request));
    assert!(poll(call.as_mut()).is_pending());
    sleep(Duration::from_secs(1)).await;
    drop(call);
    let expected =
        format!("invocation_transport_errors_total{{{labels},cause=deadline_exceeded}} 1");
    assert_eq!(recorded.lines(&COUNTERS), [expected]);
}

#[derive(Debug)]
enum Event {
    Begin,
    Text,
    End,
    Refusal,
}

impl StreamEvent for Event {
    fn facts(&self) -> EventFacts {
        let is_end = matches!(self, Self::End);
        EventFacts {
            is_content: matches!(self, Self::Text),
            is_error: matches!(self, Self::Refusal),
            has_known_end: true,
            is_end,
            counts: is_end.then_some(TokenCounts {
                input: Some(3),
                output: Some(5),
                ..TokenCounts::default()
            }),
            counts_are_final: is_end,
            ..EventFacts::default()
        }
    }

    fn error(&self) -> Option<RawError> {
        let details = ErrorDetails {
            code: Some("throttlingException".to_owned()),
            message: Some("Too many tokens, please wait before trying again.".to_owned()),
            ..ErrorDetails::default()
        };
        Some(RawError::Answered(Box::new(details)))
    }
}

/// An attempt whose reply is a stream of `events`, a second apart.
async fn streamed(events: Vec<Event>, hold_back: HoldBack) -> Result<ResponseStream<Event>, Error> {
    let mut events = Some(events);
    let service = service_fn(move |request: Request<()>| {
        let (_, call) = request.into_parts();
        let events = stream::unfold(events.take().unwrap().into_iter(), |mut events| async {
            sleep(Duration::from_secs(1)).await;
            Some((Ok(events.next()?), events))
        });
        ResponseStream::new(events, call)
            .with_hold_back(hold_back)
            .answered()
    });
    let service = attempts(ClassifyLayer::new().layer(service));
    let request = request(Operation::ConverseStream);
    service.oneshot(request).await
}

async fn drain(mut stream: ResponseStream<Event>) -> Option<Error> {
    while let Some(event) = stream.next().await {
        if let Err(error) = event {
            return Some(error);
        }
    }
    None
}

/// A stream counts when it is over, by how it ended; one that fails before its first content is like
/// any other call that fails.
#[tokio::test(start_paused = true)]
async fn streams_count_by_their_end() {
    use Event::{Begin, End, Refusal, Text};
    let recorded = Recorded::new();
    let route = format!("model={MODEL},region={REGION}");
    let call = format!("{route},operation=ConverseStream");

    let stream = streamed(vec![Begin, Text, End], HoldBack::until_content()).await;
    assert_eq!(recorded.lines(&COUNTERS), [""; 0]);
    assert!(drain(stream.unwrap()).await.is_none());
    assert_eq!(
        recorded.lines(&["invocation", "stream_ends", "output_tokens"]),
        [
            format!("invocation_latency_seconds{{{call}}} 1"),
            format!("invocations_total{{{call}}} 1"),
            format!("output_tokens_total{{{route}}} 5"),
            format!("stream_ends_total{{{route},end=complete}} 1"),
        ]
    );

    let stream = streamed(vec![Begin, Text, End], HoldBack::until_content()).await;
    drop(stream.unwrap());
    assert_eq!(
        recorded.lines(&COUNTERS),
        [
            format!("invocations_total{{{call}}} 1"),
            format!("stream_ends_total{{{route},end=dropped}} 1"),
        ]
    );

    for (events, name, cause) in [
        (vec![Begin, Text, Refusal], "throttles", "token_rate"),
        (vec![Begin, Text], "transport_errors", "stream_truncated"),
    ] {
        let stream = streamed(events, HoldBack::until_content()).await;
        assert!(drain(stream.unwrap()).await.is_some());
        assert_eq!(
            recorded.lines(&COUNTERS),
            [
                format!("invocation_{name}_total{{{call},cause={cause}}} 1"),
                format!("stream_ends_total{{{route},end={cause}}} 1"),
            ]
        );
    }

    let refused = streamed(vec![Begin, Refusal], HoldBack::until_content()).await;
    refused.unwrap_err();
    assert_eq!(
        recorded.lines(&COUNTERS),
        [format!(
            "invocation_throttles_total{{{call},cause=token_rate}} 1"
        )]
    );
}

/// The first token is the first content, whether it came before the layer saw the reply or after; not
/// the first event, and not when somebody reads it.
#[tokio::test(start_paused = true)]
async fn the_first_token_is_timed_where_it_is_seen() {
    use Event::{Begin, End, Text};
    let recorded = Recorded::new();
    let first_token = || {
        let snapshot = recorded.recorder.snapshotter().snapshot().into_vec();
        let mut found = snapshot.into_iter().filter_map(|(key, _, _, value)| {
            let is_it = key.key().name() == names::TIME_TO_FIRST_TOKEN.name;
            is_it.then_some(value)
        });
        match found.next() {
            Some(DebugValue::Histogram(values)) => values.into_iter().map(f64::from).collect(),
            _ => Vec::new(),
        }
    };
    for hold_back in [HoldBack::until_content(), HoldBack::until_first_event()] {
        let begun = Instant::now();
        let events = vec![Begin, Text, Text, End];
        let stream = streamed(events, hold_back).await.unwrap();
        let is_seen = begun.elapsed() >= Duration::from_secs(2);
        assert_eq!(first_token(), if is_seen { vec![2.0] } else { vec![] });
        assert!(drain(stream).await.is_none());
        assert_eq!(first_token(), if is_seen { vec![] } else { vec![2.0] });
    }
}
