use futures_util::{StreamExt, stream};

use super::*;
use crate::{EventFacts, RawError, ResponseStream, Stack, StreamEvent, TokenCounts};

/// An event of a stream made up for a test.
#[derive(Clone, Copy, Debug)]
enum Event {
    Text,
    Stop,
    Usage,
}

impl StreamEvent for Event {
    fn facts(&self) -> EventFacts {
        let mut facts = EventFacts {
            has_known_end: true,
            ..EventFacts::default()
        };
        match self {
            Self::Text => {
                facts.is_content = true;
                facts.output_bytes = 300;
            }
            Self::Stop => facts.is_end = true,
            Self::Usage => {
                facts.counts_are_final = true;
                facts.counts = Some(TokenCounts {
                    input: Some(7),
                    output: Some(5),
                    ..TokenCounts::default()
                });
            }
        }
        facts
    }
}

/// A service whose streams say these, a second each, and hang or break off then.
async fn answer(
    request: Request<()>,
    events: &'static [Event],
) -> Result<ResponseStream<Event>, RawError> {
    let (_, call) = request.into_parts();
    let events = stream::iter(events).then(|event| async move {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, RawError>(*event)
    });
    ResponseStream::new(events, call).answered().await
}

fn stream_request() -> Request<()> {
    let (_, mut call) = request().into_parts();
    call.operation = Operation::ConverseStream;
    Request::new((), call)
}

const FIELDS: &[&str] = &[
    "gen_ai.request.stream",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "tower_bedrock.usage.estimated_output_tokens",
    "error.type",
    "tower_bedrock.end",
];

/// The spans of a call that is a stream are open until the stream is over, and tell then what it used.
#[tokio::test(start_paused = true)]
async fn spans_are_open_until_the_stream_is_over() {
    use Event::{Stop, Text, Usage};

    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = tower::service_fn(|request| answer(request, &[Text, Text, Stop, Usage]));
    let stack = Stack::over(service, HOME).build().unwrap();
    let mut answer = stack.send(stream_request()).await.unwrap();
    let is_open = || {
        recorder
            .entries()
            .iter()
            .map(|entry| entry.is_open)
            .collect::<Vec<_>>()
    };
    assert!(answer.next().await.is_some());
    assert_eq!(is_open(), [true, true]);
    while let Some(event) = answer.next().await {
        event.unwrap();
    }
    assert_eq!(is_open(), [false, false]);
    assert_eq!(
        recorder.tree(FIELDS),
        [
            "bedrock.call stream=true time_to_first_chunk=1.0 input_tokens=7 output_tokens=5 end=complete",
            "  bedrock.attempt end=complete"
        ]
    );
}

/// A stream that is cut fails both spans, although its call was answered; what came of it is told as
/// an estimate.
#[tokio::test(start_paused = true)]
async fn a_cut_stream_fails_both_spans() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = tower::service_fn(|request| answer(request, &[Event::Text]));
    let stack = Stack::over(service, HOME).build().unwrap();
    let mut answer = stack.send(stream_request()).await.unwrap();
    while answer.next().await.is_some() {}
    let lines = tree(&recorder, FIELDS);
    assert_eq!(
        lines[0],
        "bedrock.call stream=true time_to_first_chunk=1.0 estimated_output_tokens=100 \
         type=stream_truncated end=failed"
    );
    assert_eq!(
        lines[1],
        "  bedrock.attempt type=stream_truncated end=failed"
    );
    assert!(recorder.entries().iter().all(|entry| !entry.is_open));
}

/// A stream that the caller drops closes both spans as dropped.
#[tokio::test(start_paused = true)]
async fn a_dropped_stream_closes_both_spans() {
    let recorder = Recorder::default();
    let _guard = recorder.install();
    let service = tower::service_fn(|request| answer(request, &[Event::Text, Event::Text]));
    let stack = Stack::over(service, HOME).build().unwrap();
    let mut answer = stack.send(stream_request()).await.unwrap();
    assert!(answer.next().await.is_some());
    drop(answer);
    let lines = tree(&recorder, &["error.type", "tower_bedrock.end"]);
    assert_eq!(
        lines,
        ["bedrock.call end=dropped", "  bedrock.attempt end=dropped"]
    );
    assert!(recorder.entries().iter().all(|entry| !entry.is_open));
}
