//! How many calls a second can the simulated Bedrock decide, on one core?
//!
//! A simulator slower than what it tests would measure itself: the engine is to admit and settle at
//! least a million calls a second.

use std::{hint::black_box, time::Duration};

use bedrock_sim::{
    Admission, Call, Engine, ErrorText, FaultSpec, Finish, ModelSpec, Operation, QuotaOptions,
    Scenario, Window,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// From one call to the next: ten thousand a second, so that the exact log of a sliding window has
/// 600 000 entries.
const STEP: Duration = Duration::from_micros(100);
const MODEL: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// An engine whose quotas admit every call of the bench, and the call.
fn engine(window: Window, faults: usize) -> (Engine, Call) {
    let model = ModelSpec::new(MODEL)
        .rpm(1_000_000_000_000)
        .tpm(1_000_000_000_000_000)
        .tpd(1_000_000_000_000_000_000)
        .concurrency(1_000)
        .latency(Duration::from_millis(200))
        .latency_jitter(0.2)
        .output_tokens((50, 500));
    let scenario = Scenario::builder()
        .quota(QuotaOptions::new().window(window))
        .model(model);
    // Faults that are asked of every call and never fire.
    let scenario = (0..faults).fold(scenario, |all, _| {
        all.fault(FaultSpec::error(ErrorText::InternalServer).skip(u64::MAX))
    });
    let engine = Engine::new(scenario.build().expect("a sound scenario"));
    let model = engine
        .resolve("us-east-1", MODEL)
        .expect("the scenario's model");
    let call = Call::new(model, Operation::Converse, 1_200).max_tokens(1_000);
    (engine, call)
}

fn serve(engine: &mut Engine, now: Duration, call: &Call) {
    match engine.admit(now, black_box(call)) {
        Admission::Admitted(admitted) => {
            let output_tokens = admitted.output_tokens;
            let finish = Finish::Complete { output_tokens };
            engine.finish(now, admitted.ticket, finish);
        }
        other => panic!("every call is to be admitted: {other:?}"),
    }
}

/// A call admitted and finished, a step after the one before.
fn admitted(c: &mut Criterion) {
    let mut group = c.benchmark_group("admit and finish");
    group.throughput(Throughput::Elements(1));
    for (name, window, faults) in [
        ("token bucket", Window::default(), 0),
        ("token bucket, 8 faults", Window::default(), 8),
        ("sliding window", Window::SlidingWindow, 0),
        ("fixed minute", Window::FixedMinute, 0),
    ] {
        let (mut engine, call) = engine(window, faults);
        let mut now = Duration::ZERO;
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                now += STEP;
                serve(&mut engine, now, &call);
            });
        });
    }
    group.finish();
}

/// A call refused: the engine under a storm.
fn refused(c: &mut Criterion) {
    let scenario = Scenario::builder().model(ModelSpec::new(MODEL).tpm(1));
    let mut engine = Engine::new(scenario.build().expect("a sound scenario"));
    let model = engine
        .resolve("us-east-1", MODEL)
        .expect("the scenario's model");
    let call = Call::new(model, Operation::Converse, 1_200).max_tokens(1_000);
    let mut group = c.benchmark_group("refuse");
    group.throughput(Throughput::Elements(1));
    let mut now = Duration::ZERO;
    group.bench_function("tokens per minute", |b| {
        b.iter(|| {
            now += STEP;
            black_box(engine.admit(now, black_box(&call)))
        });
    });
    group.finish();
}

/// An id looked up: as the scenario spells it, and as another name of the same quota.
fn resolved(c: &mut Criterion) {
    let (engine, _) = engine(Window::default(), 0);
    let mut group = c.benchmark_group("resolve");
    group.throughput(Throughput::Elements(1));
    for (name, id) in [
        ("as spelled", MODEL),
        (
            "another prefix",
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| engine.resolve(black_box("us-east-1"), black_box(id)));
        });
    }
    group.finish();
}

criterion_group!(benches, admitted, refused, resolved);
criterion_main!(benches);
