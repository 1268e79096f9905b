use std::time::Duration;

use bedrock_sim::{ModelSpec, Window};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{Quota, QuotaWindow, Quotas, Request, TokenBudget, TokenBudgetLayer};
use tower_bedrock_tests::model;

use crate::bedrock::{Bedrock, request, route};

const WINDOWS: [Window; 3] = [
    Window::TokenBucket { burst_seconds: 60 },
    Window::SlidingWindow,
    Window::FixedMinute,
];
const MINUTE: Duration = Duration::from_secs(60);

fn under(quota: Quota, bedrock: &Bedrock) -> TokenBudget<Bedrock> {
    let quotas = Quotas::new();
    quotas.set(&route(), quota).expect("a valid quota");
    ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas))
        .service(bedrock.clone())
}

/// A model whose answers take a while and differ in length.
fn slow_model() -> ModelSpec {
    model()
        .latency(Duration::from_millis(300))
        .latency_jitter(0.5)
        .tokens_per_second(80)
        .output_tokens((10, 800))
}

/// A load of calls of mixed sizes that come in bursts, settle below or above what they held, or are
/// dropped half way, for six minutes. Returns how many were answered.
async fn mixed_load(service: TokenBudget<Bedrock>, seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut calls = JoinSet::new();
    let start = Instant::now();
    while start.elapsed() < 6 * MINUTE {
        for _ in 0..rng.random_range(1..=20) {
            let size = rng.random_range(1..=4000) >> rng.random_range(0..8);
            let request = request(size + 1, rng.random_range(50..=1500));
            let call = service.clone().oneshot(request);
            let patience = Duration::from_millis(rng.random_range(500..=400_000));
            calls.spawn(async move { matches!(timeout(patience, call).await, Ok(Ok(_))) });
        }
        sleep(Duration::from_millis(rng.random_range(0..=8000))).await;
    }
    let results = calls.join_all().await;
    results.into_iter().filter(|answered| *answered).count()
}

/// A ledger that is told `of_the_quota` of what the service allows.
fn told(of_the_quota: f64, bedrock: &Bedrock) -> TokenBudget<Bedrock> {
    let quota = Quota::new()
        .with_requests_per_minute((120.0 * of_the_quota) as u64)
        .with_tokens_per_minute((90_000.0 * of_the_quota) as u64)
        .with_burndown_rate(5);
    under(quota, bedrock)
}

/// Whichever way the service counts its minute, it refuses nothing of what the default admits.
#[tokio::test(start_paused = true)]
async fn nothing_is_refused_that_could_be_foreseen() {
    for (run, window) in (0..).zip(WINDOWS.into_iter().cycle().take(9)) {
        let bedrock = Bedrock::new(slow_model().rpm(120).tpm(90_000).burndown(5), window);
        let answered = mixed_load(told(1.0, &bedrock), run).await;
        let ledger = bedrock.ledger();
        assert_eq!(
            ledger.totals.refused.total(),
            0,
            "{window:?}, run {run}: {ledger:?}"
        );
        assert!(answered > 300, "{window:?}, run {run}: {answered}");
        assert!(ledger.totals.failed > 0, "some are dropped half way");
    }
}

/// The load above is large enough to show it if the ledger were wrong by 2 %.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_wrong_is_found_out() {
    let window = Window::SlidingWindow;
    let bedrock = Bedrock::new(slow_model().rpm(120).tpm(90_000).burndown(5), window);
    mixed_load(told(1.02, &bedrock), 1).await;
    assert!(bedrock.ledger().totals.refused.total() > 0);
}

/// Calls that never end: the share of the quota that comes to good in ten minutes.
async fn goodput(
    quota: Quota,
    spec: ModelSpec,
    window: Window,
    call: fn(&mut StdRng) -> Request<()>,
) -> f64 {
    let allowed = (spec.tpm.expect("a quota of tokens") * 10) as f64;
    let bedrock = Bedrock::new(spec, window);
    let service = under(quota, &bedrock);
    let mut rng = StdRng::seed_from_u64(1);
    let mut calls = JoinSet::new();
    let start = Instant::now();
    let end = 10 * MINUTE;
    for _ in 0..400 {
        calls.spawn(service.clone().oneshot(call(&mut rng)));
    }
    while start.elapsed() < end {
        if let Ok(Some(result)) = timeout(end - start.elapsed(), calls.join_next()).await {
            assert!(result.expect("no call panics").is_ok());
            calls.spawn(service.clone().oneshot(call(&mut rng)));
        }
    }
    let ledger = bedrock.ledger();
    assert_eq!(ledger.totals.refused.total(), 0, "{window:?}: {ledger:?}");
    assert!(bedrock.burndown() > 0);
    ledger.totals.tokens_settled as f64 / allowed
}

/// A load that always has a call ready gets at least 97 % of what the quota is worth.
#[tokio::test(start_paused = true)]
async fn a_greedy_load_gets_nearly_all_of_the_quota() {
    let call = |rng: &mut StdRng| request(rng.random_range(100..=3000), 900);
    for window in WINDOWS {
        let quota = Quota::new().with_tokens_per_minute(200_000);
        let share = goodput(quota, slow_model().tpm(200_000), window, call).await;
        assert!(share >= 0.97, "{window:?}: {share}");
    }
}

/// What open calls hold counts in full. Long calls that hold far more than they use come to two thirds
/// of the quota under the default, which must be right for every way of counting; and to all of it
/// where the ledger is told that the service counts by a bucket.
#[tokio::test(start_paused = true)]
async fn long_calls_with_large_holds_need_the_bucket() {
    let call = |_: &mut StdRng| request(100, 1900);
    let share = async |window| {
        let quota = Quota::new()
            .with_tokens_per_minute(200_000)
            .with_window(window);
        let spec = model()
            .latency(Duration::from_secs(10))
            .output_tokens(400)
            .tpm(200_000);
        goodput(quota, spec, Window::default(), call).await
    };
    let sliding = share(QuotaWindow::Sliding).await;
    assert!((0.65..0.70).contains(&sliding), "{sliding}");
    let bucket = share(QuotaWindow::TokenBucket { burst: MINUTE }).await;
    assert!(bucket >= 0.97, "{bucket}");
}

/// A tenant that asks for ten times its share costs another, which asks for less than its own, no
/// more than 5 %.
#[tokio::test(start_paused = true)]
async fn a_loud_tenant_does_not_starve_a_quiet_one() {
    /// How many of a tenant's calls are answered, if it makes one `every` so often and waits for
    /// each up to a minute.
    async fn answered(
        service: TokenBudget<Bedrock>,
        tenant: &'static str,
        every: Duration,
    ) -> (usize, usize) {
        let start = Instant::now();
        let mut calls = JoinSet::new();
        while start.elapsed() < 10 * MINUTE {
            let call = request(1000, 900).with_tenant(tenant).with_timeout(MINUTE);
            calls.spawn(service.clone().oneshot(call));
            sleep(every).await;
        }
        let results = calls.join_all().await;
        let answered = results.iter().filter(|result| result.is_ok()).count();
        (answered, results.len())
    }
    let service = || {
        let bedrock = Bedrock::new(slow_model().tpm(200_000), Window::default());
        under(Quota::new().with_tokens_per_minute(200_000), &bedrock)
    };
    // The quota is good for some 140 of these calls a minute, a share for 70.
    let quiet_every = Duration::from_millis(1000);
    let loud_every = Duration::from_millis(85);
    let (alone, _) = answered(service(), "quiet", quiet_every).await;
    let shared = service();
    let ((quiet, _), (loud, asked)) = tokio::join!(
        answered(shared.clone(), "quiet", quiet_every),
        answered(shared, "loud", loud_every),
    );
    assert!(quiet * 100 >= alone * 95, "{quiet} of {alone}");
    assert!(
        loud * 5 < asked,
        "the loud one asks for far more than there is: {loud} of {asked}"
    );
    assert!(quiet + loud > 1300, "and still gets the rest: {loud}");
}
