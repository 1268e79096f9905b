use super::*;

/// Callers make 200 calls each, one after the other, most of which have to wait, until `calls` are
/// done. Returns how long that took by the virtual clock.
async fn make(calls: u32, quota: u64) -> Duration {
    let quotas = quotas(quota);
    let steady = service_fn(|request: Request<()>| async move {
        tokio::time::sleep(Duration::from_millis(800)).await;
        let input = request.context().tokens.input.unwrap();
        Ok::<_, Error>(answer(usage(input.into(), 10)))
    });
    let service = TokenBudgetLayer::new(quotas.clone()).layer(steady);
    let start = Instant::now();
    let callers: Vec<_> = (0..calls / 200)
        .map(|caller| {
            let service = service.clone();
            let tenant: Arc<str> = format!("tenant {}", caller % 10).into();
            tokio::spawn(async move {
                for _ in 0..200 {
                    let request = Request::new((), call(100, 50)).with_tenant(Arc::clone(&tenant));
                    service.clone().oneshot(request).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!((snapshot.waiting, snapshot.tokens_held), (0, 0));
    assert!(snapshot.tokens_used <= quota);
    start.elapsed()
}

/// Twenty thousand calls through a quota that lets a tenth of them go in a minute take ten minutes
/// by the clock, and leave nothing behind.
#[tokio::test(start_paused = true)]
async fn many_calls_take_what_the_quota_makes_them_take() {
    // A call uses 100 and 5 · 10 tokens.
    let took = make(20_000, 300_000).await;
    assert!(
        (9 * 60..=10 * 60 + 10).contains(&took.as_secs()),
        "{took:?}"
    );
}

/// The same with a million.
#[tokio::test(start_paused = true)]
#[ignore = "a measurement: run it in release, under `time`"]
async fn a_million_calls() {
    let took = make(1_000_000, 15_000_000).await;
    assert!(
        (9 * 60..=10 * 60 + 10).contains(&took.as_secs()),
        "{took:?}"
    );
}
