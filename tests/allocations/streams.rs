//! Streams.

use std::{
    future::ready,
    hint::black_box,
    pin::Pin,
    task::{Context, Poll},
};

use aws_sdk_bedrockruntime::{
    primitives::Blob,
    types::{PayloadPart, ResponseStream as ChunkEvent},
};
use futures_core::Stream;
use tower::{Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    BedrockRequest, BedrockResponse, CallContext, ClassifyLayer, Error, EventFacts, Finish,
    Operation, Quota, Quotas, RawError, Request, ResponseStream, RetryLayer, Route, StreamEvent,
    TokenBudgetLayer, Watcher,
};

use crate::{ROUNDS, measure};

/// An event: text, or the last.
struct Line {
    is_last: bool,
}

impl StreamEvent for Line {
    fn facts(&self) -> EventFacts {
        let mut facts = EventFacts::default();
        facts.is_content = !self.is_last;
        facts.output_bytes = 4;
        facts.is_end = self.is_last;
        facts.counts_are_final = self.is_last;
        facts
    }
}

/// So many events, all there at once, from a source that allocates nothing.
struct Lines(u64);

impl Stream for Lines {
    type Item = Result<Line, RawError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let left = self.0.checked_sub(1);
        Poll::Ready(left.map(|left| {
            self.0 = left;
            Ok(Line { is_last: left == 0 })
        }))
    }
}

struct Guard;

impl Watcher for Guard {
    fn finish(&mut self, finish: Finish<'_>) {
        assert!(matches!(finish, Finish::Complete));
        black_box(self);
    }
}

/// What a service allocates for a call whose answer is a stream, and to read that to its end.
fn stream_allocations<S>(mut service: S, request: &Request<()>, guards: u64) -> u64
where
    S: Service<Request<()>, Response = ResponseStream<Line>, Error = Error>,
{
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut round = || {
        let before = dhat::HeapStats::get().total_blocks;
        assert!(service.poll_ready(&mut cx).is_ready());
        let mut call = std::pin::pin!(service.call(request.clone()));
        let Poll::Ready(Ok(mut stream)) = call.as_mut().poll(&mut cx) else {
            panic!("the answer is there");
        };
        for _ in 0..guards {
            stream.watch(Guard);
        }
        while let Poll::Ready(Some(event)) = Pin::new(&mut stream).poll_next(&mut cx) {
            assert!(black_box(event).is_ok());
        }
        assert!(stream.is_complete());
        dhat::HeapStats::get().total_blocks - before
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or(u64::MAX)
}

/// A stream costs an allocation for its source, one for events that are held back, and one for each
/// guard that rides in it; nothing for an event, however many there are, and nothing for a layer
/// that leaves no guard.
#[test]
fn a_stream_allocates_once_for_each_guard() {
    let _measurement = measure();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let call = CallContext::new(Operation::ConverseStream, route);
    let request = Request::new((), call.clone());
    let service = |events| {
        service_fn(move |request: Request<()>| {
            let call = request.context().clone();
            ready(Ok::<_, Error>(ResponseStream::new(Lines(events), call)))
        })
    };

    for events in [10, 10_000] {
        for guards in [0, 1, 4] {
            let allocated = stream_allocations(service(events), &request, guards);
            assert_eq!(allocated, 2 + guards, "{events} events, {guards} guards");
        }
    }

    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_minute(1_000_000_000);
    quotas.set(&call.route, quota).unwrap();
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(TokenBudgetLayer::new(quotas))
        .layer(ClassifyLayer::new().with_rule(|_| None))
        .service(service(10_000));
    assert_eq!(stream_allocations(stack, &request, 0), 2 + 1);
}

/// What an event of the SDK tells of its stream is found out without keeping anything of it, whatever
/// the format of its chunk. What is nested costs the parser the few bytes of its stack.
#[test]
fn the_facts_of_an_event_are_found_in_place() {
    let _measurement = measure();
    for (chunk, allocated) in [
        (
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a \"b\""}}"#,
            0,
        ),
        (
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
            0,
        ),
        (
            r#"{"contentBlockDelta":{"delta":{"text":"Hello"},"contentBlockIndex":0}}"#,
            1,
        ),
        (
            r#"{"generation":"Hello","prompt_token_count":null,"generation_token_count":2,"stop_reason":null}"#,
            0,
        ),
        (r#"{"outputs":[{"text":"Hello","stop_reason":null}]}"#, 1),
        (
            r#"{"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}"#,
            1,
        ),
        (
            r#"{"generations":[{"id":"1","text":"Hello","finish_reason":"COMPLETE"}]}"#,
            1,
        ),
        (
            r#"{"outputText":"Hello","index":0,"completionReason":null,"inputTextTokenCount":7}"#,
            0,
        ),
    ] {
        let part = PayloadPart::builder().bytes(Blob::new(chunk)).build();
        let event = ChunkEvent::Chunk(part);
        let round = || {
            let before = dhat::HeapStats::get().total_blocks;
            black_box(event.facts());
            dhat::HeapStats::get().total_blocks - before
        };
        let least = (0..ROUNDS).map(|_| round()).min();
        assert!(least <= Some(allocated), "{least:?} for {chunk}");
        assert!(event.facts().has_known_end, "{chunk}");
    }
}
