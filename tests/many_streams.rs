//! What a thousand streams need that are open at once, over real sockets.

use std::{alloc::System, error::Error, time::Duration};

use aws_sdk_bedrockruntime::{
    config::timeout::TimeoutConfig,
    types::{ContentBlockDelta, ConverseStreamOutput},
};
use bedrock_sim::{FaultKind, FaultSpec, Recording, RecordingEnd, Server};
use cap::Cap;
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, ClassifyLayer, PoolKey, PoolLayer, Pools, Quota, Quotas, Request, ResponseStream,
    RetryLayer, Route, TokenBudgetLayer,
};
use tower_bedrock_tests::{MODEL, REGION, config, converse_stream, scenario};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const STREAMS: usize = 1000;
/// How many are opened at a time.
const AT_A_TIME: usize = 50;
const EVENTS: usize = 40;
/// What the deltas of an answer say that comes to its end, and those of one that does not.
const ENDS: &str = "sixteen letters!";
const STALLS: &str = "sixteen silences";

type TestResult<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A stream, and whether it comes to its end.
struct Open {
    stream: ResponseStream<ConverseStreamOutput>,
    ends: bool,
}

/// What the layers hold.
struct Gauges {
    quotas: Quotas,
    pools: Pools,
    route: Route,
}

impl Gauges {
    fn new() -> TestResult<Self> {
        let route = Route::to(MODEL.parse()?).in_region(REGION);
        let quotas = Quotas::new().with_home_region(REGION);
        let quota = Quota::new().with_tokens_per_minute(1_000_000_000);
        quotas.set(&route, quota)?;
        let pools = Pools::new()
            .with_home_region(REGION)
            .with_max_in_flight(STREAMS);
        Ok(Self {
            quotas,
            pools,
            route,
        })
    }

    /// Calls in flight, and the tokens that are held for them.
    fn now(&self) -> (usize, u64) {
        let pool = self.pools.snapshot_of(&PoolKey::region(REGION));
        let quota = self.quotas.snapshot_of(&self.route);
        (pool.in_flight, quota.tokens_held)
    }
}

/// The first events of an answer.
fn answer(text: &str) -> Recording {
    let delta = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}}}}"#);
    (1..EVENTS).fold(
        Recording::new().event("messageStart", r#"{"role":"assistant"}"#),
        |answer, _| answer.event("contentBlockDelta", &delta),
    )
}

/// Half of its streams come to their end, the others fall silent and stay open.
async fn server() -> TestResult<Server> {
    let stalls = answer(STALLS).end(RecordingEnd::Stall);
    let ends = answer(ENDS)
        .event("messageStop", r#"{"stopReason":"end_turn"}"#)
        .event(
            "metadata",
            r#"{"usage":{"inputTokens":11,"outputTokens":7,"totalTokens":18},"metrics":{"latencyMs":5}}"#,
        );
    let scenario = scenario()
        .fault(FaultSpec::new(FaultKind::Recording(stalls)).every(2))
        .fault(FaultSpec::new(FaultKind::Recording(ends)))
        .build()?;
    Ok(Server::bind("127.0.0.1:0", scenario).await?)
}

/// Opens all streams.
async fn open(server: &Server, gauges: &Gauges) -> TestResult<Vec<Open>> {
    // A busy machine may take its time.
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(60));
    let sdk = config(server.url()).timeout_config(timeouts.build());
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(TokenBudgetLayer::new(gauges.quotas.clone()))
        .layer(PoolLayer::new(gauges.pools.clone()))
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(sdk));
    let mut streams = Vec::with_capacity(STREAMS);
    while streams.len() < STREAMS {
        let mut calls = JoinSet::new();
        for _ in 0..AT_A_TIME {
            calls.spawn(stack.clone().oneshot(Request::from(converse_stream(MODEL))));
        }
        for stream in calls.join_all().await {
            streams.push(Open {
                stream: stream?,
                ends: false,
            });
        }
    }
    Ok(streams)
}

/// Reads so many events of each stream, of all at once.
async fn read(streams: Vec<Open>, events: usize) -> TestResult<Vec<Open>> {
    let mut reading = JoinSet::new();
    for mut open in streams {
        reading.spawn(async move {
            for _ in 0..events {
                let event = open.stream.next().await.ok_or("no event")??;
                open.ends |= text(&event) == Some(ENDS);
            }
            TestResult::Ok(open)
        });
    }
    reading.join_all().await.into_iter().collect()
}

fn text(event: &ConverseStreamOutput) -> Option<&str> {
    let ConverseStreamOutput::ContentBlockDelta(event) = event else {
        return None;
    };
    match event.delta()? {
        ContentBlockDelta::Text(text) => Some(text),
        _ => None,
    }
}

/// Waits until something has happened; longer than it takes is for ever.
async fn until(mut happened: impl FnMut() -> bool) -> TestResult {
    let happens = async {
        while !happened() {
            yield_now().await;
        }
    };
    Ok(timeout(Duration::from_secs(60), happens).await?)
}

/// Has a thousand streams open, reads half of them to their end and leaves the others. Then no more
/// is allocated than before, but for `left` bytes a stream.
async fn a_thousand(server: &Server, gauges: &Gauges, left: usize) -> TestResult {
    let before = ALLOCATOR.allocated();
    let streams = open(server, gauges).await?;
    let (in_flight, held) = gauges.now();
    assert_eq!(in_flight, STREAMS);
    assert!(held > 100 * STREAMS as u64, "{held} tokens");
    assert!(server.service().ledger().totals.in_flight >= STREAMS as u64 / 2);

    // With both ends of its connection, its buffers and what the SDK has of it.
    let streams = read(streams, EVENTS / 4).await?;
    let early = ALLOCATOR.allocated();
    let each = (early - before) / STREAMS;
    assert!((1_000..=128_000).contains(&each), "{each} bytes a stream");
    let streams = read(streams, EVENTS * 3 / 4).await?;
    let grown = ALLOCATOR.allocated().saturating_sub(early) / STREAMS;
    assert!(grown <= 16, "{grown} bytes more a stream after more events");

    let (ending, silent): (Vec<_>, Vec<_>) = streams.into_iter().partition(|open| open.ends);
    assert_eq!((ending.len(), silent.len()), (STREAMS / 2, STREAMS / 2));
    drop(silent);
    for mut open in read(ending, 2).await? {
        assert!(open.stream.next().await.is_none());
        assert_eq!(open.stream.usage().map(|usage| usage.output), Some(7));
    }
    assert_eq!(gauges.now(), (0, 0));
    until(|| server.service().ledger().totals.in_flight == 0).await?;
    // The tasks of the connections end when they are told of it.
    let gone = until(|| ALLOCATOR.allocated() <= before + left * STREAMS).await;
    let still = ALLOCATOR.allocated().saturating_sub(before) / STREAMS;
    assert!(gone.is_ok(), "{still} bytes a stream are left");
    Ok(())
}

/// A thousand streams are open at once, and each is as large after forty events as after ten. When
/// they are over, everything is given back: the first thousand leave what the SDK keeps for ever, the
/// second nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_are_flat() -> TestResult {
    let server = server().await?;
    let gauges = Gauges::new()?;
    a_thousand(&server, &gauges, 500).await?;
    a_thousand(&server, &gauges, 50).await?;
    server.shutdown().await;
    Ok(())
}
