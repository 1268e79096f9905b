use super::*;

/// A raised quota lets those go at once who wait and fit now.
#[tokio::test(start_paused = true)]
async fn a_raised_quota_lets_waiters_go() {
    let quotas = quotas(1000);
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    for _ in 0..3 {
        tokio::spawn(service.clone().oneshot(holding(1000)));
        settle_tasks().await;
    }
    tokio::time::sleep(secs(5)).await;
    let raised = Quota::new().with_tokens_per_minute(2000);
    quotas.set(&route(), raised).unwrap();
    tokio::time::sleep(secs(60)).await;
    assert_eq!(steady.seconds(), [0, 5, 60]);
}

/// A lowered quota counts what is drawn, refuses those in line who never fit now, and lets the
/// others wait.
#[tokio::test(start_paused = true)]
async fn a_lowered_quota_refuses_what_never_fits() {
    let quotas = quotas(1000);
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    tokio::spawn(service.clone().oneshot(holding(900)));
    settle_tasks().await;
    let large = tokio::spawn(service.clone().oneshot(holding(600)));
    settle_tasks().await;
    tokio::spawn(service.clone().oneshot(holding(400)));
    tokio::time::sleep(secs(5)).await;
    let lowered = Quota::new().with_tokens_per_minute(500);
    quotas.set(&route(), lowered).unwrap();
    let error = large.await.unwrap().unwrap_err();
    let reason = refusal(&error).reason();
    assert_eq!(
        reason,
        ExhaustedReason::TooLarge {
            needed: 600,
            quota: 500
        }
    );
    tokio::time::sleep(secs(60)).await;
    assert_eq!(steady.order(), [900, 400]);
    assert_eq!(steady.seconds(), [0, 60]);
}

/// Another way of counting takes over what is drawn, and calls that were sent before still settle
/// without harm.
#[tokio::test(start_paused = true)]
async fn another_window_keeps_what_is_drawn() {
    let quotas = quotas(1000);
    let steady = Steady::new(secs(10));
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    tokio::time::advance(secs(500)).await;
    let before = tokio::spawn(service.clone().oneshot(Request::new((), call(0, 700))));
    settle_tasks().await;
    for window in [
        QuotaWindow::TokenBucket { burst: secs(60) },
        QuotaWindow::Sliding,
    ] {
        let quota = Quota::new()
            .with_tokens_per_minute(1000)
            .with_margin(Duration::ZERO)
            .with_tokens_per_day(100_000)
            .with_window(window);
        quotas.set(&route(), quota).unwrap();
        assert_eq!(used(&quotas), 700, "{window:?}");
    }
    before.await.unwrap().unwrap();
    let left = used(&quotas);
    assert!(left <= 700, "{left}");
    service.oneshot(holding(1000)).await.unwrap();
    assert!(steady.seconds()[1] - steady.seconds()[0] <= 61);
}

/// A snapshot tells what is used, held, settled and waiting.
#[tokio::test(start_paused = true)]
async fn a_snapshot_tells_what_is_drawn() {
    let quotas = quotas(1000);
    let service = over(
        &TokenBudgetLayer::new(quotas.clone()),
        &Steady::new(secs(5)),
    );
    service
        .clone()
        .oneshot(Request::new((), call(100, 400)))
        .await
        .unwrap();
    tokio::spawn(service.clone().oneshot(holding(600)));
    settle_tasks().await;
    tokio::spawn(service.clone().oneshot(holding(500)));
    settle_tasks().await;
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!(snapshot.tokens_used, 700);
    assert_eq!(snapshot.tokens_held, 600);
    assert_eq!(snapshot.tokens_settled(), 100);
    assert_eq!(snapshot.requests_used, 2);
    assert_eq!(snapshot.waiting, 1);
    assert_eq!(snapshot.tokens_waiting, 500);
    assert_eq!(snapshot.limit(Limit::TokensPerMinute), Some(1000));
    assert_eq!(snapshot.learned_tokens_per_minute, None);
    assert_eq!(quotas.snapshot(), [snapshot]);
}

/// Model ids of every kind have a ledger; without a quota it admits everything.
#[tokio::test(start_paused = true)]
async fn every_model_id_has_a_ledger() {
    let ids = [
        "amazon.nova-lite-v1:0",
        "us.amazon.nova-lite-v1:0",
        "nobody.knows-this-model",
        "a-bare-name",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
        "arn:aws:bedrock:us-east-1:111111111111:inference-profile/eu.amazon.nova-lite-v1:0",
        "arn:aws:bedrock:us-east-1:111111111111:application-inference-profile/abc123",
        "arn:aws:bedrock:us-east-1:111111111111:provisioned-model/abcdefabcdef",
        "arn:aws:sagemaker:us-east-1:111111111111:endpoint/mine",
    ];
    let quotas = Quotas::new();
    let service = over(
        &TokenBudgetLayer::new(quotas.clone()),
        &Steady::new(secs(1)),
    );
    for id in ids {
        let mut call = call(1_000_000, 0);
        call.route = Route::to(id.parse().unwrap());
        let route = call.route.clone();
        service
            .clone()
            .oneshot(Request::new((), call))
            .await
            .unwrap();
        assert!(quotas.snapshot_of(&route).requests_used >= 1, "{id}");
    }
}

/// Routes and keys without a quota do not pile up: memory is bounded whatever is called.
#[tokio::test(start_paused = true)]
async fn ledgers_without_a_quota_do_not_pile_up() {
    let quotas = quotas(1000);
    let service = over(
        &TokenBudgetLayer::new(quotas.clone()),
        &Steady::new(Duration::ZERO),
    );
    for number in 0..10_000 {
        let mut call = call(1, 0);
        call.route = Route::to(format!("vendor.model-{number}").parse().unwrap());
        service
            .clone()
            .oneshot(Request::new((), call))
            .await
            .unwrap();
        if number % 10 == 0 {
            tokio::time::advance(secs(1)).await;
        }
    }
    let ledgers = quotas.snapshot().len();
    assert!(ledgers <= 2048, "{ledgers}");
    assert!(quotas.get(&route()).is_some());
}

/// Looking at all ledgers wakes those who can go; whatever their wakers do, no lock is in the way.
#[tokio::test(start_paused = true)]
async fn a_look_at_all_ledgers_holds_no_lock_while_it_wakes() {
    struct Sets(Quotas, std::sync::atomic::AtomicU32);

    impl std::task::Wake for Sets {
        fn wake(self: Arc<Self>) {
            let wakes = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let other = route().in_region(format!("region-{wakes}"));
            self.0.set(&other, Quota::new()).unwrap();
        }
    }

    let quotas = quotas(1000);
    let steady = Steady::new(Duration::ZERO);
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    service.clone().oneshot(holding(1000)).await.unwrap();
    let mut waits = std::pin::pin!(service.oneshot(holding(1000)));
    let waker = Arc::new(Sets(quotas.clone(), 0.into())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(Future::poll(waits.as_mut(), &mut cx).is_pending());
    tokio::time::advance(secs(61)).await;
    drop(quotas.snapshot());
    assert!(quotas.snapshot().len() > 1);
}

/// A call waits no longer than it says itself, and not at all if it says so.
#[tokio::test(start_paused = true)]
async fn a_call_may_bound_its_own_wait() {
    let quotas = quotas(1000);
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    tokio::spawn(service.clone().oneshot(holding(1000)));
    settle_tasks().await;
    for (max_wait, reason) in [
        (secs(0), ExhaustedReason::WouldWait),
        (secs(30), ExhaustedReason::Deadline),
    ] {
        let mut request = holding(1000);
        request.context_mut().max_wait = Some(max_wait);
        let error = service.clone().oneshot(request).await.unwrap_err();
        assert_eq!(refusal(&error).reason(), reason);
    }
    let mut request = holding(1000);
    request.context_mut().max_wait = Some(secs(61));
    service.clone().oneshot(request).await.unwrap();
    assert_eq!(steady.seconds(), [0, 60]);
}
