//! How do time and memory grow with the number of calls, of those that wait, of open streams, of quotas?
//!
//! Each is done twice, the second time with ten times as many. What grows as it should grows tenfold in
//! all, and not at all for each. Time of the services and of those that wait is virtual; the time that
//! is measured is the machine's.

use std::{
    alloc::System,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use benches::{report, rows::ours};
use cap::Cap;
use clap::Parser;
use criterion::measurement::{Measurement, WallTime};
use futures_core::Stream;
use serde::Serialize;
use tokio::{runtime, task::JoinSet};
use tower::{Service, ServiceExt, service_fn};
use tower_bedrock::{
    BedrockRequest, CallContext, Error, EventFacts, Operation, Quota, Quotas, RawError, Request,
    Response, ResponseStream, Route, Served, Stack, StreamEvent, TokenBudgetLayer,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Measures how time and memory grow.
#[derive(Parser)]
struct Cli {
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Does this one alone, `calls`, `waiters`, `streams` or `quotas`, and so many of it once: for a
    /// profiler.
    #[arg(long, num_args = 2, value_names = ["WHAT", "NUMBER"])]
    once: Option<Vec<String>>,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What so many of something cost.
#[derive(Clone, Copy, Debug, Serialize)]
struct Cost {
    number: u64,
    nanos_each: f64,
    bytes_each: f64,
}

#[derive(Debug, Serialize)]
struct Growth {
    what: &'static str,
    few: Cost,
    many: Cost,
    /// How much more the many take in all.
    time: f64,
    bytes: f64,
}

fn main() {
    let cli = Cli::parse();
    if let Some([what, number]) = cli.once.as_deref() {
        let number = number.parse().expect("a number");
        let cost = match what.as_str() {
            "calls" => calls(number),
            "waiters" => waiters(number),
            "streams" => streams(number),
            _ => quotas(number),
        };
        println!("{cost:?}");
        return;
    }
    let rows = [
        growth("calls through the stack", 1_000_000, calls),
        growth("calls that wait at one ledger", 100_000, waiters),
        growth("open streams, 20 events each", 10_000, streams),
        growth("quotas, a call to each", 1000, quotas),
    ];
    if cli.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&rows).unwrap_or_default()
        );
        return;
    }
    let mut table = report::table(&["", "number", "ns each", "bytes each", "time", "bytes"]);
    for row in &rows {
        for (cost, total) in [(row.few, None), (row.many, Some((row.time, row.bytes)))] {
            let [time, bytes] = match total {
                Some((time, bytes)) => [time, bytes].map(|times| format!("× {times:.1}")),
                None => Default::default(),
            };
            table.add_row([
                row.what.to_owned(),
                cost.number.to_string(),
                format!("{:.0}", cost.nanos_each),
                format!("{:.0}", cost.bytes_each),
                time,
                bytes,
            ]);
        }
    }
    report::align(&mut table);
    println!("{table}");
}

fn growth(what: &'static str, number: u64, cost: fn(u64) -> Cost) -> Growth {
    let (few, many) = (cost(number / 10), cost(number));
    Growth {
        what,
        few,
        many,
        time: 10.0 * many.nanos_each / few.nanos_each,
        bytes: 10.0 * many.bytes_each / few.bytes_each,
    }
}

/// Bytes in use, and the clock, since it was started.
struct Meter {
    bytes: usize,
    start: <WallTime as Measurement>::Intermediate,
}

impl Meter {
    fn start() -> Self {
        Self {
            bytes: ALLOCATOR.allocated(),
            start: WallTime.start(),
        }
    }

    fn bytes(&self) -> f64 {
        ALLOCATOR.allocated().saturating_sub(self.bytes) as f64
    }

    fn cost(self, number: u64, bytes: f64) -> Cost {
        let taken: Duration = WallTime.end(self.start);
        Cost {
            number,
            nanos_each: taken.as_nanos() as f64 / number as f64,
            bytes_each: bytes / number as f64,
        }
    }
}

fn virtual_time() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// Calls that are answered after two seconds, fifty at a time; bytes are what is left behind.
fn calls(number: u64) -> Cost {
    let runtime = virtual_time();
    runtime.block_on(async {
        let answer = service_fn(|request: Request<()>| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            ours::answer(request).await
        });
        let stack = Stack::over(answer, "us-east-1").quota(ours::route(), ours::quota());
        let stack = stack.build().expect("a stack that can be meant");
        // What comes into being with the first call is there.
        assert!(stack.send(ours::request()).await.is_ok());
        let meter = Meter::start();
        let mut callers = JoinSet::new();
        for _ in 0..50 {
            let stack = stack.clone();
            callers.spawn(async move {
                for _ in 0..number / 50 {
                    assert!(stack.send(ours::request()).await.is_ok());
                }
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller.expect("a caller does not panic");
        }
        drop(callers);
        let bytes = meter.bytes();
        meter.cost(number, bytes)
    })
}

/// From when the first stands in line until the last has gone; bytes are those of one in line, beside
/// its future.
fn waiters(number: u64) -> Cost {
    let runtime = virtual_time();
    let _entered = runtime.enter();
    let quotas = Quotas::new().with_home_region("us-east-1");
    let quota = Quota::new().with_requests_per_minute(1000);
    quotas.set(&ours::route(), quota).expect("a quota");
    let layer = TokenBudgetLayer::new(quotas).with_max_wait(Duration::from_secs(1_000_000_000));
    let service = tower::ServiceBuilder::new()
        .layer(layer)
        .service_fn(ours::answer);
    let mut calls: Vec<_> = (0..number + 1000)
        .map(|caller| {
            let request = ours::request().with_tenant(format!("tenant {}", caller % 100));
            Box::pin(service.clone().call(request))
        })
        .collect();
    let mut cx = Context::from_waker(Waker::noop());
    let meter = Meter::start();
    calls.retain_mut(|call| call.as_mut().poll(&mut cx).is_pending());
    let bytes = meter.bytes();
    assert_eq!(calls.len() as u64, number);
    runtime.block_on(async {
        let mut waiting: JoinSet<_> = calls.into_iter().collect();
        while let Some(answer) = waiting.join_next().await {
            assert!(answer.is_ok_and(|answer| answer.is_ok()));
        }
    });
    meter.cost(number, bytes)
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

/// So many events, all there at once.
struct Lines(u32);

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

/// All open at once, read in turn, an event at a time; bytes are those of one that is open.
fn streams(number: u64) -> Cost {
    let runtime = virtual_time();
    runtime.block_on(async {
        let answer = service_fn(|request: Request<()>| async move {
            let call = request.context().clone();
            Ok::<_, Error>(ResponseStream::new(Lines(20), call))
        });
        let pools = tower_bedrock::Pools::new()
            .with_home_region("us-east-1")
            .with_max_in_flight(usize::MAX);
        let stack = Stack::over(answer, "us-east-1")
            .pool(pools)
            .quota(ours::route(), ours::quota())
            .build()
            .expect("a stack that can be meant");
        let mut call = CallContext::new(Operation::ConverseStream, ours::route());
        call.tokens.max_output = Some(1000);
        let request = Request::new((), call);
        let meter = Meter::start();
        let mut streams = Vec::with_capacity(number as usize);
        for _ in 0..number {
            let stream = stack.send(request.clone()).await;
            streams.push(stream.expect("a stream"));
        }
        let bytes = meter.bytes();
        let mut cx = Context::from_waker(Waker::noop());
        while !streams.is_empty() {
            streams.retain_mut(|stream| {
                let event = Pin::new(stream).poll_next(&mut cx);
                matches!(event, Poll::Ready(Some(Ok(_))))
            });
        }
        meter.cost(number, bytes)
    })
}

/// A quota is set and a call is made for each of so many models; bytes are those of a ledger, a circuit
/// and what else there is for each.
fn quotas(number: u64) -> Cost {
    let runtime = virtual_time();
    runtime.block_on(async {
        let stack = Stack::over(service_fn(ours::answer), "us-east-1")
            .build()
            .expect("a stack that can be meant");
        let meter = Meter::start();
        for model in 0..number {
            let id = format!("us.amazon.model-{model}-v1:0");
            let route = Route::to(id.parse().expect("a model id"));
            let quotas = stack.quotas().expect("a token budget");
            quotas.set(&route, ours::quota()).expect("a quota");
            let call = CallContext::new(Operation::Converse, route);
            let answer: Result<Response<()>, _> =
                stack.clone().oneshot(Request::new((), call)).await;
            assert!(answer.is_ok_and(|answer| *answer.served() != Served::default()));
        }
        let bytes = meter.bytes();
        meter.cost(number, bytes)
    })
}
