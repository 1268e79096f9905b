//! The budget over a pool that is much too small: calls that were admitted stand in line, for minutes.

use std::time::Duration;

use bedrock_sim::{ModelSpec, Window};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Service, ServiceBuilder, ServiceExt, util::BoxCloneService};
use tower_bedrock::{
    BedrockRequest, Error, PoolLayer, Pools, Quota, Quotas, Request, Response, TokenBudgetLayer,
};
use tower_bedrock_tests::model;

use crate::bedrock::{Bedrock, request, route};

const WINDOWS: [Window; 3] = [
    Window::TokenBucket { burst_seconds: 60 },
    Window::SlidingWindow,
    Window::FixedMinute,
];
const MINUTE: Duration = Duration::from_secs(60);
const TOKENS: u64 = 90_000;

type Stack = BoxCloneService<Request<()>, Response<()>, Error>;

/// Answers at four tokens a second: a long one takes minutes, a short one next to nothing. Output
/// costs five, so that long ones settle far above what they held.
fn very_slow_model() -> ModelSpec {
    model()
        .latency(Duration::from_millis(200))
        .tokens_per_second(4)
        .output_tokens((400, 800))
        .rpm(200)
        .tpm(TOKENS)
        .burndown(5)
}

/// Whether the pool can tell the budget when it sends a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signal {
    Heard,
    Lost,
}

fn stack(bedrock: &Bedrock, quotas: &Quotas, pools: &Pools, signal: Signal) -> Stack {
    let below = ServiceBuilder::new()
        .layer(PoolLayer::new(pools.clone()))
        .service(bedrock.clone());
    let below = below.map_request(move |mut request: Request<()>| {
        if signal == Signal::Lost {
            request.context_mut().send_signal = None;
        }
        request
    });
    let stack = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas.clone()).with_max_wait(20 * MINUTE))
        .service(below);
    BoxCloneService::new(stack)
}

/// Long calls that fill the pool, and short ones with large inputs that pile up behind them, for ten
/// minutes; some are given up, in line or under way. Returns how many were answered.
async fn jammed_load(service: Stack, seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut calls = JoinSet::new();
    let start = Instant::now();
    while start.elapsed() < 10 * MINUTE {
        for _ in 0..rng.random_range(1..=8) {
            let is_long = rng.random_ratio(1, 12);
            let request = if is_long {
                request(rng.random_range(1..=200), rng.random_range(400..=900))
            } else {
                request(rng.random_range(500..=4000), rng.random_range(1..=4))
            };
            let patience = Duration::from_secs(rng.random_range(30..=1500));
            let mut service = service.clone();
            calls.spawn(async move {
                let call = async { service.ready().await?.call(request).await };
                matches!(timeout(patience, call).await, Ok(Ok(_)))
            });
        }
        sleep(Duration::from_millis(rng.random_range(0..=4000))).await;
    }
    let results = calls.join_all().await;
    results.into_iter().filter(|answered| *answered).count()
}

/// What came of the load: refusals by the service, answers, and what the pool and the ledger hold.
async fn jam(window: Window, seed: u64, signal: Signal) -> (u64, usize) {
    let bedrock = Bedrock::new(very_slow_model(), window);
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_requests_per_minute(200)
        .with_tokens_per_minute(TOKENS)
        .with_burndown_rate(5);
    quotas.set(&route(), quota).expect("a valid quota");
    let pools = Pools::new()
        .with_max_in_flight(4)
        .with_max_wait(20 * MINUTE);
    let answered = jammed_load(stack(&bedrock, &quotas, &pools, signal), seed).await;

    let pool = pools.snapshot().pop().expect("the region's pool");
    assert_eq!(
        (pool.in_flight, pool.waiting),
        (0, 0),
        "nothing is left over"
    );
    assert!(pool.most_waiting > 20, "the pool is too small: {pool:?}");
    sleep(3 * MINUTE).await;
    let ledger = quotas.snapshot_of(&route());
    assert_eq!((ledger.tokens_held, ledger.waiting), (0, 0));
    assert_eq!(ledger.requests_used, 0);
    (bedrock.ledger().totals.refused.total(), answered)
}

/// However long calls stand in line at the pool, the service refuses none of them: their minute begins
/// when they are sent.
#[tokio::test(start_paused = true)]
async fn nothing_is_refused_behind_a_pool_that_is_too_small() {
    for (seed, window) in (0..).zip(WINDOWS.into_iter().cycle().take(9)) {
        let (refused, answered) = jam(window, seed, Signal::Heard).await;
        assert_eq!(refused, 0, "{window:?}, run {seed}");
        assert!(answered > 300, "{window:?}, run {seed}: {answered}");
    }
}

/// The same load is refused if the budget does not hear when calls are sent: what it drew for them has
/// aged out by then.
#[tokio::test(start_paused = true)]
async fn without_the_signal_the_service_has_to_refuse() {
    for (seed, window) in (0..).zip(WINDOWS) {
        let (refused, _) = jam(window, seed, Signal::Lost).await;
        assert!(refused > 0, "{window:?}, run {seed}");
    }
}
