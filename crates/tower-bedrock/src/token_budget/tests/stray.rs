//! A refusal that tells little must not weigh for long.

use super::*;

/// A layer over a service that refuses the first `refused` calls with `cause`, and no others.
fn refusing(
    refused: u32,
    cause: Cause,
) -> tower::util::BoxCloneService<Request<()>, Response<()>, Error> {
    let seen = Arc::new(Mutex::new(0));
    let inner = service_fn(move |request: Request<()>| {
        let mut calls = seen.lock().unwrap();
        *calls += 1;
        let is_refused = *calls <= refused;
        async move {
            if is_refused {
                return Err(Error::new(cause));
            }
            let input = request.context().tokens.input.unwrap_or(0);
            Ok(answer(usage(input.into(), 0)))
        }
    });
    let layer = TokenBudgetLayer::new(Quotas::new());
    tower::util::BoxCloneService::new(layer.layer(inner))
}

/// Has `refused` calls of `first` tokens refused, then makes a call of `tokens` each second for ten
/// minutes; returns how many ended well in each minute.
async fn goodput(refused: u32, cause: Cause, first: u32, tokens: u32) -> [u32; 10] {
    let service = refusing(refused, cause);
    for _ in 0..refused {
        service.clone().oneshot(holding(first)).await.unwrap_err();
    }
    let done = Arc::new(Mutex::new([0; 10]));
    let start = Instant::now();
    while start.elapsed() < secs(600) {
        let (service, done) = (service.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            if service.oneshot(holding(tokens)).await.is_ok() {
                let minute = start.elapsed().as_secs() / 60;
                if let Some(count) = done.lock().unwrap().get_mut(minute as usize) {
                    *count += 1;
                }
            }
        });
        tokio::time::sleep(secs(1)).await;
    }
    *done.lock().unwrap()
}

/// A single refusal of a ledger that knows no quota, while next to nothing is drawn, slows nothing.
#[tokio::test(start_paused = true)]
async fn a_single_refusal_without_a_quota_slows_nothing() {
    for (cause, first, tokens) in [
        (Cause::TokenRate, 100, 5000),
        (Cause::TokenRate, 5000, 5000),
        (Cause::RequestRate, 100, 100),
    ] {
        let done = goodput(1, cause, first, tokens).await;
        assert_eq!(done, [60; 10], "{cause} {first} {tokens}");
    }
}

/// What refusals of small calls taught does not keep large ones out for long.
#[tokio::test(start_paused = true)]
async fn a_limit_learned_from_small_calls_grows_with_large_ones() {
    for refused in [2, 3, 10] {
        let done = goodput(refused, Cause::TokenRate, 100, 5000).await;
        let sent: u32 = done[..6].iter().sum();
        assert!(sent >= 60 && done[9] >= 60, "{refused}: {done:?}");
    }
}

/// A bucket that holds less than one request still lets one go at a time.
#[tokio::test(start_paused = true)]
async fn a_small_bucket_of_requests_lets_one_go_at_a_time() {
    let quotas = Quotas::new();
    let window = QuotaWindow::TokenBucket { burst: secs(1) };
    let quota = Quota::new()
        .with_requests_per_minute(10)
        .with_window(window);
    quotas.set(&route(), quota).unwrap();
    let steady = Steady::new(Duration::ZERO);
    let service = over(&TokenBudgetLayer::new(quotas), &steady);
    for _ in 0..3 {
        service.clone().oneshot(holding(1)).await.unwrap();
    }
    assert_eq!(steady.seconds(), [0, 6, 12]);
}
