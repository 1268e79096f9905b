use super::*;

/// The worked example of the documentation (BEDROCK.md §3.2): 3000 input, 4000 read from and 1000
/// written to a cache, `maxTokens` 32 000 hold 40 000; with 1000 output at five times, 9000 remain.
#[tokio::test(start_paused = true)]
async fn the_published_example_holds_40_000_and_settles_9_000() {
    let quotas = quotas(1_000_000);
    let seen = quotas.clone();
    let inner = service_fn(move |_: Request<()>| {
        let held = used(&seen);
        async move {
            assert_eq!(held, 40_000);
            Ok::<_, Error>(answer(Usage {
                input: 3000,
                output: 1000,
                cache_read: 4000,
                cache_write: 1000,
            }))
        }
    });
    let service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    let request = Request::new((), call(8000, 32_000));
    service.oneshot(request).await.unwrap();
    assert_eq!(used(&quotas), 9000);
    assert_eq!(quotas.snapshot_of(&route()).tokens_held, 0);
}

/// The published count (BEDROCK.md §3.2): of 2 M tokens per minute, 31 calls hold the model's
/// maximum of 64 000 at a time, but 1333 hold a `maxTokens` of 1000.
#[tokio::test(start_paused = true)]
async fn an_unset_max_tokens_lets_31_calls_in_where_1333_would_fit() {
    let route = Route::to("anthropic.claude-sonnet-4-5".parse().unwrap());
    for (max_output, expected) in [(None, 31), (Some(1000), 1333)] {
        let quotas = Quotas::new();
        let quota = Quota::new().with_tokens_per_minute(2_000_000);
        quotas.set(&route, quota).unwrap();
        let steady = Steady::new(secs(30));
        let service = over(&TokenBudgetLayer::new(quotas), &steady);
        let mut call = CallContext::new(Operation::Converse, route.clone());
        call.tokens.input = Some(500);
        call.tokens.max_output = max_output;
        for _ in 0..1500 {
            tokio::spawn(service.clone().oneshot(Request::new((), call.clone())));
        }
        tokio::time::sleep(secs(1)).await;
        assert_eq!(steady.came.lock().unwrap().len(), expected);
    }
}

/// A burndown rate is by the model's name, or as it is set; a settlement above the hold is a debt
/// that is paid before anything else is admitted.
#[tokio::test(start_paused = true)]
async fn what_settles_above_its_hold_is_paid_first() {
    let quotas = quotas(10_000);
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Error>(answer(usage(0, 1000))) });
    let service = TokenBudgetLayer::new(quotas.clone()).layer(inner);
    let start = Instant::now();
    service
        .clone()
        .oneshot(Request::new((), call(0, 1000)))
        .await
        .unwrap();
    // Output of this model costs five.
    assert_eq!(used(&quotas), 5000);

    let dearer = Quota::new()
        .with_tokens_per_minute(10_000)
        .with_burndown_rate(25);
    quotas.set(&route(), dearer).unwrap();
    service
        .clone()
        .oneshot(Request::new((), call(0, 1000)))
        .await
        .unwrap();
    let snapshot = quotas.snapshot_of(&route());
    assert_eq!(snapshot.tokens_used, 10_000);
    assert_eq!(snapshot.tokens_owed, 20_000);

    // 30 000 tokens of 10 000 a minute are there again after three minutes.
    service
        .oneshot(Request::new((), call(0, 10_000)))
        .await
        .unwrap();
    let waited = start.elapsed().as_secs();
    assert!((180..183).contains(&waited), "{waited} s");
}

/// With the burndown held, a call holds what it can cost at most, and nothing is ever owed.
#[tokio::test(start_paused = true)]
async fn a_held_burndown_leaves_no_debt() {
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_tokens_per_minute(10_000)
        .with_burndown_held(true);
    quotas.set(&route(), quota).unwrap();
    let service = over(
        &TokenBudgetLayer::new(quotas.clone()),
        &Steady::new(secs(1)),
    );
    let waiting = tokio::spawn(service.oneshot(Request::new((), call(1000, 1000))));
    settle_tasks().await;
    assert_eq!(used(&quotas), 6000);
    waiting.await.unwrap().unwrap();
    assert_eq!(used(&quotas), 1000);
}

/// Calls without a model, and operations that generate nothing, draw on no quota.
#[tokio::test(start_paused = true)]
async fn what_draws_on_no_quota_passes() {
    let quotas = quotas(1000);
    let service = over(
        &TokenBudgetLayer::new(quotas.clone()),
        &Steady::new(secs(1)),
    );
    let mut count = call(5000, 5000);
    count.operation = Operation::CountTokens;
    service
        .clone()
        .oneshot(Request::new((), count))
        .await
        .unwrap();
    let guardrail = CallContext::new(Operation::ApplyGuardrail, Route::default());
    service.oneshot(Request::new((), guardrail)).await.unwrap();
    assert_eq!(used(&quotas), 0);
}

/// Requests per minute count calls, whatever their tokens.
#[tokio::test(start_paused = true)]
async fn requests_per_minute_count_calls() {
    let quotas = Quotas::new();
    let quota = Quota::new().with_requests_per_minute(3);
    quotas.set(&route(), quota).unwrap();
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas), &steady);
    for _ in 0..7 {
        tokio::spawn(service.clone().oneshot(holding(1)));
    }
    tokio::time::sleep(secs(200)).await;
    assert_eq!(steady.seconds(), [0, 0, 0, 60, 60, 60, 120]);
}

/// A share of a quota is that part of all its limits, by a fraction or by tokens.
#[test]
fn a_share_is_a_part_of_every_limit() {
    let quota = Quota::new()
        .with_tokens_per_minute(200_000)
        .with_requests_per_minute(100)
        .with_tokens_per_day(10_000_000);
    let third = quota.clone().with_share(QuotaShare::Fraction(1.0 / 3.0));
    assert_eq!(third.effective(Limit::TokensPerMinute), Some(66_666));
    assert_eq!(third.effective(Limit::RequestsPerMinute), Some(33));
    let tokens = quota.with_share(QuotaShare::TokensPerMinute(50_000));
    assert_eq!(tokens.effective(Limit::TokensPerMinute), Some(50_000));
    assert_eq!(tokens.effective(Limit::RequestsPerMinute), Some(25));
    assert_eq!(tokens.effective(Limit::TokensPerDay), Some(2_500_000));
    assert_eq!(Quota::new().effective(Limit::TokensPerDay), None);
}

/// A model is counted by the key of its path: geographic prefixes together, in-region apart; a
/// route without a region belongs to the home region.
#[tokio::test(start_paused = true)]
async fn ledgers_are_by_key() {
    let quotas = Quotas::new().with_home_region("us-east-1");
    let to = |id: &str| Route::to(id.parse().unwrap());
    let quota = Quota::new().with_tokens_per_minute(10_000);
    let us = to("us.anthropic.claude-sonnet-4-6");
    quotas
        .set(&us.clone().in_region("us-east-1"), quota)
        .unwrap();
    let service = over(
        &TokenBudgetLayer::new(quotas.clone()),
        &Steady::new(secs(1)),
    );
    for route in [us.clone(), to("ca.anthropic.claude-sonnet-4-6"), to(MODEL)] {
        let mut call = call(1000, 0);
        call.route = route;
        service
            .clone()
            .oneshot(Request::new((), call))
            .await
            .unwrap();
    }
    assert_eq!(quotas.snapshot_of(&us).tokens_used, 2000);
    assert_eq!(quotas.snapshot_of(&to(MODEL)).tokens_used, 1000);
    let elsewhere = us.in_region("us-west-2");
    assert_eq!(quotas.snapshot_of(&elsewhere).tokens_used, 0);
    assert_eq!(quotas.get(&elsewhere), None);
}

/// A pace spaces calls evenly at its share of the quota.
#[tokio::test(start_paused = true)]
async fn a_pace_spaces_calls() {
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_tokens_per_minute(6000)
        .with_pace(QuotaPace::at(0.5));
    quotas.set(&route(), quota).unwrap();
    let steady = Steady::new(secs(120));
    let service = over(&TokenBudgetLayer::new(quotas), &steady);
    // 50 a second, and one second's worth saved up.
    for _ in 0..5 {
        tokio::spawn(service.clone().oneshot(holding(250)));
    }
    tokio::time::sleep(secs(59)).await;
    assert_eq!(steady.seconds(), [0, 5, 10, 15, 20]);
}

/// A call larger than what a pace saves up goes when nothing is owed; what follows it makes up for
/// it, and is refused if that is too late.
#[tokio::test(start_paused = true)]
async fn a_large_call_goes_ahead_of_its_pace() {
    let quotas = Quotas::new();
    let quota = Quota::new()
        .with_tokens_per_minute(6000)
        .with_pace(QuotaPace::at(0.5));
    quotas.set(&route(), quota).unwrap();
    let steady = Steady::new(secs(120));
    let service = over(&TokenBudgetLayer::new(quotas), &steady);
    // 50 a second, and one second's worth saved up.
    tokio::spawn(service.clone().oneshot(holding(50)));
    settle_tasks().await;
    tokio::spawn(
        service
            .clone()
            .oneshot(holding(3000).with_timeout(secs(200))),
    );
    tokio::time::sleep(secs(2)).await;
    assert_eq!(steady.seconds(), [0, 1]);
    let error = service
        .oneshot(holding(50).with_timeout(secs(30)))
        .await
        .unwrap_err();
    let wait = refusal(&error).wait().unwrap();
    assert_eq!(wait.as_secs(), 59);
}
