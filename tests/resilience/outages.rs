//! The recommended stack over the simulator, when things go wrong there.

use std::time::Duration;

use aws_sdk_bedrockruntime::{config::timeout::TimeoutConfig, operation::converse::ConverseInput};
use bedrock_sim::{
    DownAnswer, ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, ScenarioBuilder, SimService,
    WhenFull,
};
use tower_bedrock::{
    Bedrock, DefaultStack, FallbackLayer, Jitter, Ladder, Quota, Request, RetryLayer, Route, Rung,
    Stack, StackBuilder,
};
use tower_bedrock_tests::{MODEL, REGION, converse, in_process};

use crate::{
    load::{Arrivals, Ended, Trace, run},
    wire::{Log, Wire},
};

const SECOND: &str = "us-west-2";
const OTHER_MODEL: &str = "us.amazon.nova-micro-v1:0";

/// The model in two regions, answering after 200 ms.
fn two_regions() -> ScenarioBuilder {
    Scenario::builder().seed(7).model(
        ModelSpec::new(MODEL)
            .regions([REGION, SECOND])
            .latency(Duration::from_millis(200)),
    )
}

/// An SDK over the simulator, that waits two seconds for an answer.
fn bedrock(scenario: ScenarioBuilder) -> (SimService, Wire<Bedrock>, Log) {
    let sim = SimService::new(scenario.build().expect("a valid scenario"));
    let timeouts = TimeoutConfig::builder().read_timeout(secs(2)).build();
    let config = in_process(&sim).timeout_config(timeouts);
    let (wire, log) = Wire::new(Bedrock::from_builder(config));
    (sim, wire, log)
}

fn builder(wire: Wire<Bedrock>, ladder: Ladder) -> StackBuilder<Wire<Bedrock>> {
    let fallback = FallbackLayer::new(ladder).expect("a ladder that can be meant");
    Stack::over(wire, REGION)
        .fallback(fallback.with_jitter(Jitter::seeded(7)))
        .retry(RetryLayer::new().with_jitter(Jitter::seeded(7)))
}

fn request() -> Request<ConverseInput> {
    Request::from(converse(MODEL)).with_timeout(secs(60))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Five calls a second until `end`.
async fn load(stack: &DefaultStack<Wire<Bedrock>>, end: Duration) -> Trace {
    let arrivals = Arrivals::Poisson { rate: 5.0, seed: 7 };
    run(stack.clone(), arrivals, end, request).await
}

fn assert_all_answered(trace: &Trace) {
    if let Some(failure) = trace.first_failure() {
        panic!("{failure:?}");
    }
}

/// Which of the ladder's routes answered a call.
fn route_index(call: &Ended) -> usize {
    call.result.as_ref().expect("answered").route_index
}

/// A primary that answers 503 for good: every call is answered by the second region, and the primary
/// is asked no more often than its circuit takes to open, and then once for each cooldown.
#[tokio::test(start_paused = true)]
async fn a_primary_that_is_down_is_left_alone() {
    let down = FaultSpec::error(ErrorText::TooManyConnections).region(REGION);
    let (_sim, wire, log) = bedrock(two_regions().fault(down));
    let stack = builder(wire, Ladder::regions([SECOND])).build().unwrap();
    let trace = load(&stack, secs(300)).await;
    assert_all_answered(&trace);
    assert!(trace.0.iter().all(|call| route_index(call) == 1));

    let asked = log.in_region(REGION);
    println!("{} calls, {} of the primary", trace.0.len(), asked.len());
    let probes = &asked[10..];
    let seldom = probes.windows(2).map(|pair| pair[1] - pair[0]).min();
    assert!(seldom >= Some(Duration::from_millis(2500)), "{seldom:?}");
    assert!(
        probes.len() > 300 / 10 - 5,
        "it is asked whether it is well"
    );
    assert_eq!(log.in_region(SECOND).len(), trace.0.len());
}

/// A primary that goes and comes back: every call is answered meanwhile, and calls are back on the
/// primary twelve seconds after it is.
#[tokio::test(start_paused = true)]
async fn calls_return_to_a_primary_that_comes_back() {
    let outages = [(60, 90), (150, 180), (240, 260)];
    let scenario = outages
        .iter()
        .fold(two_regions(), |scenario, &(from, until)| {
            let down = FaultSpec::error(ErrorText::TooManyConnections).region(REGION);
            scenario.fault(down.from(secs(from)).until(secs(until)))
        });
    let (_sim, wire, _log) = bedrock(scenario);
    let stack = builder(wire, Ladder::regions([SECOND])).build().unwrap();
    let trace = load(&stack, secs(330)).await;
    assert_all_answered(&trace);

    let ends = outages.iter().map(|&(_, until)| until);
    let begins = outages.iter().skip(1).map(|&(from, _)| from).chain([330]);
    for (end, next) in ends.zip(begins) {
        let calls = trace.within(end as usize..next as usize);
        let last_elsewhere = calls.iter().rfind(|call| route_index(call) > 0);
        let back = last_elsewhere.map_or(Duration::ZERO, |call| call.at - secs(end));
        println!("back {back:?} after {end} s");
        assert!(back <= secs(12), "{back:?} after {end} s");
    }
    for (from, until) in outages {
        let calls = trace.within(from as usize..until as usize);
        assert!(calls.iter().all(|call| route_index(call) == 1));
    }
}

/// A region that is gone, in whatever way: with an answer, a broken connection, or none at all. Every
/// call is answered, and when nothing comes at all only as many wait for their time limit as the
/// circuit takes to open, and its probes.
#[tokio::test(start_paused = true)]
async fn the_outage_of_a_region_is_survived() {
    for answer in [
        DownAnswer::ServiceUnavailable,
        DownAnswer::Reset,
        DownAnswer::NoAnswer,
    ] {
        let down = FaultSpec::new(FaultKind::Down { answer }).region(REGION);
        let scenario = two_regions().fault(down.from(secs(30)).until(secs(90)));
        let (_sim, wire, _log) = bedrock(scenario);
        let stack = builder(wire, Ladder::regions([SECOND])).build().unwrap();
        let trace = load(&stack, secs(120)).await;
        assert_all_answered(&trace);

        let is_slow = |call: &&Ended| call.took > secs(1);
        let slow = trace.0.iter().filter(is_slow).count();
        println!("{answer:?}: {slow} of {} were slow", trace.0.len());
        // Two seconds' worth of calls until the first has failed, ten to open, and the probes.
        assert!(slow <= 2 * 5 + 10 + 60 / 5, "{answer:?}: {slow}");
        let last = trace.within(105..120);
        assert!(last.iter().all(|call| route_index(call) == 0), "{answer:?}");
    }
}

/// A model that serves two calls a second and is offered ten: what it cannot take is answered by
/// another model, said to be another, and it is not hammered.
#[tokio::test(start_paused = true)]
async fn an_overloaded_model_is_relieved_by_another() {
    let narrow = ModelSpec::new(MODEL)
        .regions([REGION])
        .concurrency(2)
        .when_full(WhenFull::Overloaded)
        .latency(secs(1));
    let other = ModelSpec::new(OTHER_MODEL).regions([REGION]);
    let scenario = Scenario::builder().seed(7).model(narrow).model(other);
    let (_sim, wire, log) = bedrock(scenario);
    let ladder = Ladder::new().then(Rung::model(OTHER_MODEL.parse().unwrap()));
    let stack = builder(wire, ladder).build().unwrap();
    let arrivals = Arrivals::Poisson {
        rate: 10.0,
        seed: 7,
    };
    let trace = run(stack.clone(), arrivals, secs(120), request).await;
    assert_all_answered(&trace);
    for call in &trace.0 {
        let served = call.result.as_ref().unwrap();
        assert_eq!(served.degraded, served.route_index == 1);
    }
    let by_itself = trace.0.iter().filter(|call| route_index(call) == 0).count();
    let attempts = log.attempts().len();
    println!(
        "{by_itself} of {} by the model itself, {attempts} attempts",
        trace.0.len()
    );
    assert!(by_itself > 20, "{by_itself}");
    assert!(attempts as f64 <= 1.25 * trace.0.len() as f64, "{attempts}");
}

/// A primary of three requests a minute and a second route: of ten calls at once, three go to the
/// one and seven to the other, and the service refuses none.
#[tokio::test(start_paused = true)]
async fn a_small_quota_is_used_up_and_the_rest_moves_on() {
    let scenario = Scenario::builder()
        .model(ModelSpec::new(MODEL).regions([REGION]).rpm(3))
        .model(ModelSpec::new(OTHER_MODEL).regions([REGION]));
    let (sim, wire, _log) = bedrock(scenario);
    let ladder = Ladder::new().then(Rung::model(OTHER_MODEL.parse().unwrap()));
    let stack = builder(wire, ladder)
        .quota(
            Route::to(MODEL.parse().unwrap()),
            Quota::new().with_requests_per_minute(3),
        )
        .build()
        .unwrap();
    let calls = (0..10).map(|_| stack.send(request()));
    let responses = futures_util::future::try_join_all(calls).await.unwrap();
    let of = |index| {
        let there = responses
            .iter()
            .filter(|one| one.served().route_index == index);
        there.count()
    };
    assert_eq!((of(0), of(1)), (3, 7));
    assert_eq!(sim.ledger().totals.requests, 10);
    assert_eq!(sim.ledger().totals.completed, 10);
}
