use tokio::{task::JoinSet, time};
use tower::{Layer, ServiceExt, service_fn};
use tower_bedrock::{
    BedrockRequest, CallContext, Error, Operation, Quota, Quotas, Request, Response, Route, Served,
    TokenBudgetLayer, Usage,
};

use super::*;

fn workload() -> Workload {
    Workload {
        calls_per_minute: 60.0,
        input: 1_000,
        cache_read: 0,
        cache_write: 0,
        max_tokens: 3_000,
        output: 500,
        burndown: 1,
        duration: Duration::from_secs(10),
    }
}

/// The published example (BEDROCK.md §3.2): 40 000 are held, 9 000 paid.
#[test]
fn a_call_holds_and_costs_what_is_published() {
    let call = Workload {
        input: 3_000,
        cache_read: 4_000,
        cache_write: 1_000,
        max_tokens: 32_000,
        output: 1_000,
        burndown: 5,
        ..workload()
    };
    assert_eq!((call.held(), call.settled()), (40_000, 9_000));
}

/// With the maxTokens that is said to fit, the calls fit, and with a little more they do not.
#[test]
fn the_max_tokens_that_fits_is_the_largest() {
    let quota = 120_000;
    let asked = workload();
    let tokens = asked.max_tokens_that_fits(quota);
    let with = |max_tokens| Workload {
        max_tokens,
        ..asked.clone()
    };
    assert!(with(tokens).fit_tokens(quota) >= asked.calls_per_minute);
    assert!(with(tokens + 20).fit_tokens(quota) < asked.calls_per_minute);
}

/// The number of regions is enough, and one less is not.
#[test]
fn the_number_of_regions_is_the_smallest() {
    assert_eq!(regions(100.0, 100.0), Some(1));
    assert_eq!(regions(101.0, 100.0), Some(2));
    assert_eq!(regions(1.0, 0.0), None);
}

/// A call that is larger than the quota fits in no number.
#[test]
fn what_is_larger_than_the_quota_never_fits() {
    let limits = Limits {
        tokens_per_minute: Some(3_999),
        ..Limits::default()
    };
    let answer = answer(&workload(), &limits, false);
    assert_eq!(
        (answer.calls_per_minute_that_fit, answer.regions),
        (0.0, None)
    );
}

/// What is planned is what the stack's own ledger lets through: a minute of calls that always have
/// somebody waiting, after one in which the window filled.
#[tokio::test(start_paused = true)]
async fn the_ledger_admits_what_is_planned() {
    let quota = 120_000;
    for (max_tokens, seconds) in [(3_000, 10), (600, 2), (20_000, 90)] {
        let load = Workload {
            max_tokens,
            duration: Duration::from_secs(seconds),
            ..workload()
        };
        let planned = load.fit_tokens(quota);
        // Enough callers that somebody waits at any time, and nobody for longer than he may.
        let open = planned * load.duration.as_secs_f64() / 60.0;
        let admitted = admitted_per_minute(&load, quota, (2.0 * planned + open) as u32).await;
        let ratio = admitted / planned;
        assert!(
            (0.95..=1.05).contains(&ratio),
            "{admitted} admitted, {planned} planned: {load:?}"
        );
    }
}

async fn admitted_per_minute(load: &Workload, quota: u64, callers: u32) -> f64 {
    const MINUTES: u32 = 60;
    let route = Route::to("meta.llama3-1-8b-instruct-v1:0".parse().unwrap());
    let quotas = Quotas::new();
    let terms = Quota::new()
        .with_tokens_per_minute(quota)
        .without_learning();
    quotas.set(&route, terms).unwrap();
    let load = load.clone();
    let layer = TokenBudgetLayer::new(quotas);
    let mut context = CallContext::new(Operation::Converse, route);
    context.tokens.input = u32::try_from(load.input).ok();
    context.tokens.max_output = u32::try_from(load.max_tokens).ok();
    let (input, output, takes) = (load.input, load.output, load.duration);
    let service = layer.layer(service_fn(move |request: Request<()>| async move {
        time::sleep(takes).await;
        let usage = Usage {
            input,
            output,
            ..Usage::default()
        };
        let mut served = Served::default();
        served.route = request.context().route.clone();
        Ok::<_, Error>(Response::new((), served, Some(usage)))
    }));

    let mut calls = JoinSet::new();
    let start = time::Instant::now();
    let (from, to) = (
        start + Duration::from_secs(180),
        start + Duration::from_secs(180 + 60 * u64::from(MINUTES)),
    );
    for _ in 0..callers {
        let (service, context) = (service.clone(), context.clone());
        calls.spawn(async move {
            let mut ended = 0_u32;
            while time::Instant::now() < to {
                service
                    .clone()
                    .oneshot(Request::new((), context.clone()))
                    .await
                    .unwrap();
                let now = time::Instant::now();
                ended += u32::from(now >= from && now < to);
            }
            ended
        });
    }
    let ended: u32 = calls.join_all().await.into_iter().sum();
    f64::from(ended) / f64::from(MINUTES)
}
