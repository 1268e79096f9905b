//! What is told of a ledger's room without its lock.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    super::{estimate::Estimate, terms::Need},
    *,
};
use crate::{Passage, RouteGate, size::InputSize};

/// All ways to count.
fn counted(way: usize) -> Quota {
    let quota = Quota::new()
        .with_tokens_per_minute(1_000_000)
        .with_requests_per_minute(300);
    match way {
        0 => quota,
        1 => quota.with_window(QuotaWindow::TokenBucket { burst: secs(60) }),
        2 => quota.with_pace(QuotaPace::at(0.8)),
        3 => quota.with_tokens_per_day(5_000_000),
        _ => Quota::new(),
    }
}

fn any_call(rng: &mut StdRng) -> CallContext {
    let mut call = call(0, 0);
    call.tokens.input = rng.random_bool(0.5).then(|| rng.random_range(1..40_000));
    call.tokens.max_output = rng.random_bool(0.7).then(|| rng.random_range(0..20_000));
    call.tokens.size = InputSize {
        text_bytes: rng.random_range(0..40_000),
        ..InputSize::default()
    };
    call
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A gate answers the same whether it goes by what is told of the ledger's room or looks into the
    /// ledger itself, whatever calls do to it: wait, answer, fail, are refused, are dropped.
    #[test]
    fn what_is_told_is_true(seed in any::<u64>(), way in 0..5_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async move {
            let mut rng = StdRng::seed_from_u64(seed);
            let quotas = Quotas::new();
            quotas.set(&route(), counted(way)).unwrap();
            let ends = Arc::new(Mutex::new(StdRng::seed_from_u64(seed ^ 1)));
            let bedrock = service_fn(move |request: Request<()>| {
                let (seconds, end, used) = {
                    let mut rng = ends.lock().unwrap();
                    (rng.random_range(0..40), rng.random_range(0..10), rng.random_range(0..150_000))
                };
                async move {
                    tokio::time::sleep(secs(seconds)).await;
                    match end {
                        0 => Err(Error::new(Cause::TokenRate)),
                        1 => Err(Error::new(Cause::Internal)),
                        2 => Err(Error::new(Cause::Timeout)),
                        _ => {
                            let input = request.context().tokens.input.unwrap_or(1000);
                            Ok(answer(usage(input.into(), used / 10)))
                        }
                    }
                }
            });
            let service = TokenBudgetLayer::new(quotas.clone()).layer(bedrock);
            let gate = quotas.gate(&route());
            // Another one that has any room.
            drop(quotas.gate(&Route::to("amazon.nova-lite-v1:0".parse().unwrap())));
            for step in 0..300 {
                let call = any_call(&mut rng);
                if rng.random_bool(0.6) {
                    tokio::spawn(service.clone().oneshot(Request::new((), call)));
                } else {
                    let sent = service.clone().oneshot(Request::new((), call));
                    let patience = secs(rng.random_range(0..5));
                    tokio::spawn(tokio::time::timeout(patience, sent));
                }
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..3000))).await;
                if step == 200 {
                    quotas.set(&route(), counted((way + 1) % 5)).unwrap();
                }
                if step % 30 == 0 {
                    tokio::time::sleep(secs(200)).await;
                }
                let call = any_call(&mut rng);
                let now = Instant::now();
                if step % 3 == 0 {
                    quotas.shared.look_for_least(now);
                }
                let is_told = gate.room.has(&call.tokens);
                let is_told_of_all = quotas.shared.least.has(&call.tokens);
                let need = Need {
                    input: Estimate::of(&call.tokens),
                    max_output: call.tokens.max_output,
                };
                let fits = gate.look(now, |state| {
                    let tokens = state.draw(need).tokens;
                    state.has_room(tokens)
                });
                prop_assert!(fits || !is_told);
                prop_assert!(is_told || !is_told_of_all);
                prop_assert_eq!(quotas.ask(&call, &route(), now) == Passage::Open, fits);
            }
            Ok(())
        })?;
    }
}

/// What is drawn is seen at once, and that it has come back, when somebody looks.
#[tokio::test(start_paused = true)]
async fn room_comes_and_goes() {
    let quotas = quotas(1_000_000);
    let gate = quotas.gate(&route());
    let call = call(1000, 0);
    let has_room = || gate.room.has(&call.tokens);
    assert!(!has_room(), "nobody has looked");
    assert_eq!(quotas.ask(&call, &route(), Instant::now()), Passage::Open);
    assert!(has_room());

    let steady = Steady::new(secs(1));
    let service = service_fn(move |request| steady.clone().answer(request));
    let service = TokenBudgetLayer::new(quotas.clone()).layer(service);
    service.oneshot(holding(999_500)).await.unwrap();
    assert!(!has_room());
    tokio::time::sleep(secs(70)).await;
    assert_eq!(quotas.ask(&call, &route(), Instant::now()), Passage::Open);
    assert!(has_room());
}

/// While every ledger has room, routes need not be asked for one by one; of a ledger that comes into being,
/// runs dry, or counts otherwise from now on, everybody hears at once.
#[tokio::test(start_paused = true)]
async fn the_least_room_of_all_is_known() {
    let quotas = quotas(1_000_000);
    let call = call(1000, 0);
    let is_open = || (0..100).any(|_| quotas.is_open_everywhere(&call));
    let is_open_now = || quotas.is_open_everywhere(&call);
    assert!(!is_open_now(), "nobody has looked");
    assert!(is_open() && is_open_now());

    let other = Route::to("amazon.nova-lite-v1:0".parse().unwrap()).in_region("us-east-1");
    let small = Quota::new().with_tokens_per_minute(500).without_learning();
    quotas.set(&other, small).unwrap();
    assert!(!is_open_now() && !is_open());
    let large = Quota::new().with_tokens_per_minute(1_000_000);
    quotas.set(&other, large).unwrap();
    assert!(is_open() && is_open_now());

    let steady = Steady::new(secs(1));
    let service = service_fn(move |request| steady.clone().answer(request));
    let service = TokenBudgetLayer::new(quotas.clone()).layer(service);
    service.oneshot(holding(999_500)).await.unwrap();
    assert!(!is_open_now() && !is_open());
    tokio::time::sleep(secs(70)).await;
    assert_eq!(quotas.ask(&call, &route(), Instant::now()), Passage::Open);
    assert!(is_open() && is_open_now());
}
