//! The quiet path costs nothing: a layer that has nothing to do allocates nothing.

use std::{
    future::ready,
    hint::black_box,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{BehaviorVersion, Builder, HttpClient, Region, RuntimeComponents},
    primitives::Blob,
    types::{ContentBlock, ConversationRole, Message, PayloadPart, ResponseStream as ChunkEvent},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use futures_core::Stream;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_bedrock::{
    AdaptiveLimit, BedrockRequest, BedrockResponse, CallContext, Cause, CircuitBreakerLayer,
    CircuitBreakers, CircuitPolicy, ClassifyLayer, Error, EventFacts, FallbackLayer, Finish,
    Ladder, Operation, Passage, PoolKey, PoolLayer, Pools, Quota, QuotaPace, Quotas, RawError,
    Request, Response, ResponseStream, RetryLayer, Route, RouteGate, Served, Stack, StackLayer,
    StreamEvent, TokenBudgetLayer, Usage, Watcher,
    metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics},
    sdk::install::Resilience,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// One measurement at a time.
static MEASURING: Mutex<()> = Mutex::new(());

const CALLS: u64 = 1000;

/// The test harness has threads of its own, which allocate when they like: what a call allocates is
/// there in every round, what they do is not.
const ROUNDS: u64 = 8;

/// What `CALLS` calls of `service` allocate, in the quietest of some rounds.
fn allocations<S>(mut service: S, request: &Request<()>) -> u64
where
    S: Service<Request<()>, Error = Error>,
{
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut round = || {
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..CALLS {
            assert!(service.poll_ready(&mut cx).is_ready());
            let mut call = std::pin::pin!(service.call(request.clone()));
            assert!(black_box(call.as_mut().poll(&mut cx)).is_ready());
        }
        dhat::HeapStats::get().total_blocks - before
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or(u64::MAX)
}

/// A gate that is closed for one region.
struct Closed(&'static str);

impl RouteGate for Closed {
    fn ask(&self, _: &CallContext, route: &Route, _: tokio::time::Instant) -> Passage {
        match &route.region {
            Some(region) if region.as_str() == self.0 => Passage::Closed {
                cause: Cause::CircuitOpen,
                retry_in: None,
            },
            _ => Passage::Open,
        }
    }
}

/// Retry, classify and token budget pass an answered call through without touching the heap; the
/// measurement itself sees what does.
#[test]
fn an_answered_call_allocates_nothing() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let request = Request::new((), CallContext::new(Operation::Converse, route)).with_tenant("t");

    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(ClassifyLayer::new().with_rule(|_| None))
        .service_fn(|_: Request<()>| ready(Ok::<(), Error>(())));
    assert_eq!(allocations(stack, &request), 0);

    // A ledger comes into being with its quota; admission and settlement take it as it is.
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_tokens_per_minute(1_000_000_000)
        .with_requests_per_minute(1_000_000)
        .with_tokens_per_day(1_000_000_000)
        .with_pace(QuotaPace::at(1.0).with_burst(std::time::Duration::from_secs(60)));
    quotas.set(&request.context().route, quota).unwrap();
    let stack = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .service_fn(|_: Request<()>| {
            let usage = Usage {
                input: 10,
                output: 10,
                ..Usage::default()
            };
            ready(Ok::<_, Error>(Response::new(
                (),
                Served::default(),
                Some(usage),
            )))
        });
    assert_eq!(allocations(stack, &request), 0);
    let snapshot = quotas.snapshot_of(&request.context().route);
    assert_eq!(snapshot.tokens_used, ROUNDS * CALLS * 20);

    let answer = |_: Request<()>| ready(Ok::<_, Error>(Response::new((), Served::default(), None)));
    // A circuit comes into being with its first call, in a round that is not the quietest. With slow
    // calls there is a clock for each call, and nothing else.
    let breakers = CircuitBreakers::new();
    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(breakers.clone()))
        .service_fn(answer);
    assert_eq!(allocations(stack, &request), 0);
    let snapshot = breakers.snapshot_of(&request.context().route);
    assert_eq!(u64::from(snapshot.calls), ROUNDS * CALLS);
    let policy = CircuitPolicy::new().with_slow_calls(std::time::Duration::from_secs(45), 0.5);
    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(
            CircuitBreakers::new().with_policy(policy).unwrap(),
        ))
        .service_fn(answer);
    assert_eq!(allocations(stack, &request), CALLS);

    // A pool comes into being with its first call; a place is taken, watched and given back in place.
    // So it is under a budget, which leaves a signal with each call.
    let adaptive = AdaptiveLimit::between(1, 50).unwrap();
    for pools in [Pools::new(), Pools::new().with_adaptive_limit(adaptive)] {
        let stack = ServiceBuilder::new()
            .layer(PoolLayer::new(pools.clone()))
            .service_fn(answer);
        assert_eq!(allocations(stack, &request), 0);
        assert_eq!(pools.snapshot()[0].admitted, ROUNDS * CALLS);
    }
    let stack = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas.clone()))
        .layer(PoolLayer::new(Pools::new()))
        .service_fn(|_: Request<()>| {
            let usage = Usage::default();
            ready(Ok::<_, Error>(Response::new(
                (),
                Served::default(),
                Some(usage),
            )))
        });
    assert_eq!(allocations(stack, &request), 0);

    // A fallback asks the circuits and quotas of its routes, and keeps what it needs in place.
    for (closed, index) in [("nowhere", 0), ("us-east-1", 1)] {
        let layer = FallbackLayer::new(Ladder::regions(["us-west-2", "us-east-2"]))
            .unwrap()
            .with_gate(CircuitBreakers::new())
            .with_gate(quotas.clone())
            .with_gate(Closed(closed));
        let stack = layer.layer(service_fn(|request: Request<()>| {
            let mut served = Served::default();
            served.route.clone_from(&request.context().route);
            ready(Ok::<_, Error>(Response::new((), served, None)))
        }));
        let mut first = std::pin::pin!(stack.clone().call(request.clone()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            first.as_mut().poll(&mut cx),
            Poll::Ready(Ok(response)) if response.served().route_index == index
        ));
        assert_eq!(allocations(stack, &request), 0, "{closed} is closed");
    }

    let boxed = service_fn(|request: Request<()>| -> Pin<Box<dyn Future<Output = _>>> {
        Box::pin(async move {
            drop(request);
            Ok(())
        })
    });
    assert_eq!(allocations(boxed, &request), CALLS);
}

/// The whole recommended stack, with a quota and a ladder, passes an answered call through without
/// touching the heap; a deadline costs nothing as long as the call need not wait.
#[test]
fn the_whole_stack_allocates_nothing() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap());
    let request = Request::new((), CallContext::new(Operation::Converse, route.clone()));
    let usage = Usage {
        input: 10,
        output: 10,
        ..Usage::default()
    };
    let answer = service_fn(move |request: Request<()>| {
        let mut served = Served::default();
        served.route.clone_from(&request.context().route);
        ready(Ok::<_, Error>(Response::new((), served, Some(usage))))
    });
    let quota = Quota::new()
        .with_tokens_per_minute(1_000_000_000)
        .with_requests_per_minute(1_000_000);
    let stack = Stack::over(answer, "us-east-1")
        .quota(route.clone(), quota)
        .fallback(FallbackLayer::new(Ladder::regions(["us-west-2"])).unwrap())
        .build()
        .unwrap();
    assert_eq!(allocations(stack.clone(), &request), 0);
    let calls = ROUNDS * CALLS;
    assert_eq!(
        stack.quotas().unwrap().snapshot_of(&route).tokens_used,
        20 * calls
    );
    assert_eq!(
        u64::from(stack.breakers().unwrap().snapshot_of(&route).calls),
        calls
    );
    assert_eq!(
        stack
            .pools()
            .unwrap()
            .snapshot_of(&PoolKey::region("us-east-1"))
            .in_flight,
        0
    );
}

/// A recorder that takes everything and allocates nothing once it knows a metric.
#[derive(Debug, Default)]
struct Sink(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    counted: AtomicU64,
    recorded: AtomicU64,
}

impl CounterFn for Sums {
    fn increment(&self, value: u64) {
        self.counted.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Sums {
    fn record(&self, _: f64) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Sink {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(&self.0))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(&self.0))
    }
}

/// A call that is counted allocates nothing, with a recorder or without.
#[test]
fn counting_allocates_nothing() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap());
    let request = Request::new((), CallContext::new(Operation::Converse, route)).with_tenant("t");
    let counted = || {
        let metrics = Metrics::new().with_tenants(10);
        ServiceBuilder::new()
            .layer(CallMetricsLayer::new(metrics.clone()))
            .layer(AttemptMetricsLayer::new(metrics))
            .service_fn(|_: Request<()>| {
                let usage = Some(Usage::default());
                ready(Ok::<_, Error>(Response::new((), Served::default(), usage)))
            })
    };
    assert_eq!(allocations(counted(), &request), 0);

    let sink = Sink::default();
    let _guard = metrics::set_default_local_recorder(&sink);
    assert_eq!(allocations(counted(), &request), 0);
    // A call and an invocation; two durations, and two kinds of tokens.
    let Sums { counted, recorded } = &*sink.0;
    assert_eq!(counted.load(Ordering::Relaxed), 2 * ROUNDS * CALLS);
    assert_eq!(recorded.load(Ordering::Relaxed), 4 * ROUNDS * CALLS);
}

/// Answers at once.
#[derive(Clone, Debug)]
struct AtOnce;

impl HttpClient for AtOnce {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}

impl HttpConnector for AtOnce {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        const ANSWER: &str = r#"{"output":{"message":{"content":[{"text":"Hello."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":9,"outputTokens":12,"totalTokens":21}}"#;
        let status = 200.try_into().unwrap();
        let mut answer = HttpResponse::new(status, SdkBody::from(ANSWER));
        let headers = answer.headers_mut();
        headers.insert("content-type", "application/json");
        headers.insert("x-amzn-requestid", "158a2e26-c851-4440-9f98-e3065df1de46");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// Inside the SDK a call allocates no more than without us, through one layer and through the whole
/// stack: what is laid around it is paid for by what the SDK is spared.
#[test]
fn inside_the_sdk_a_call_allocates_no_more() {
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = || {
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
            .http_client(AtOnce)
    };
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap());
    let quota = Quota::new().with_tokens_per_minute(1_000_000_000);
    let stack = StackLayer::builder("us-east-1")
        .quota(route, quota)
        .fallback(FallbackLayer::new(Ladder::regions(["us-west-2"])).unwrap())
        .build_layer()
        .unwrap();
    let allocations = |config: Builder| {
        let client = Client::from_conf(config.build());
        let call = || {
            let before = dhat::HeapStats::get().total_blocks;
            let message = Message::builder()
                .role(ConversationRole::User)
                .content(ContentBlock::Text("Hello".to_owned()))
                .build()
                .unwrap();
            let call = client.converse().model_id("us.amazon.nova-lite-v1:0");
            let answer = runtime.block_on(call.messages(message).send()).unwrap();
            drop(black_box(answer));
            dhat::HeapStats::get().total_blocks - before
        };
        (0..100).map(|_| call()).min().unwrap()
    };
    let bare = allocations(config());
    let classified = allocations(Resilience::new(ClassifyLayer::new()).install(config()));
    let stacked = allocations(Resilience::new(stack).install(config()));
    println!("the SDK alone {bare}, with one layer {classified}, with the stack {stacked}");
    assert!(classified <= bare, "{classified} against {bare}");
    assert!(stacked <= bare, "{stacked} against {bare}");
}

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
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
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
    let _alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = dhat::Profiler::builder().testing().build();
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
