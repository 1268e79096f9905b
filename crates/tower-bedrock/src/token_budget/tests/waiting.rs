use super::*;

/// Calls wait until the window has room, and those that fit go together.
#[tokio::test(start_paused = true)]
async fn calls_wait_for_the_window() {
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    for _ in 0..5 {
        tokio::spawn(service.clone().oneshot(holding(400)));
    }
    tokio::time::sleep(secs(200)).await;
    assert_eq!(steady.seconds(), [0, 0, 60, 60, 120]);
}

/// A settlement lets exactly those go who fit into what came back.
#[tokio::test(start_paused = true)]
async fn a_settlement_lets_go_who_fits() {
    let steady = Steady::new(secs(10));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    // Holds 1000, uses 100.
    tokio::spawn(service.clone().oneshot(Request::new((), call(100, 900))));
    settle_tasks().await;
    for tokens in [500, 400, 300] {
        tokio::spawn(service.clone().oneshot(holding(tokens)));
        settle_tasks().await;
    }
    tokio::time::sleep(secs(30)).await;
    assert_eq!(steady.order(), [100, 500, 400]);
    assert_eq!(steady.seconds(), [0, 10, 10]);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(steady.seconds(), [0, 10, 10, 70]);
}

/// A higher priority goes first; within one, a tenant's calls go in the order in which they came.
#[tokio::test(start_paused = true)]
async fn priorities_go_before_order() {
    let steady = Steady::new(secs(1));
    let layer = TokenBudgetLayer::new(quotas(1000)).with_max_wait(secs(3600));
    let service = over(&layer, &steady);
    tokio::spawn(service.clone().oneshot(holding(1000)));
    settle_tasks().await;
    let calls = [
        (901, Priority::Low),
        (902, Priority::Normal),
        (903, Priority::High),
        (904, Priority::Low),
        (905, Priority::Normal),
        (906, Priority::High),
    ];
    for (tokens, priority) in calls {
        let request = holding(tokens).with_priority(priority);
        tokio::spawn(service.clone().oneshot(request));
        settle_tasks().await;
    }
    tokio::time::sleep(secs(400)).await;
    assert_eq!(steady.order(), [1000, 903, 906, 902, 905, 901, 904]);
}

/// A large call at the head is not passed by small ones that would fit: it waits for its room, and
/// they wait behind it. A more urgent call goes by.
#[tokio::test(start_paused = true)]
async fn a_large_call_is_not_starved() {
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    tokio::spawn(service.clone().oneshot(holding(300)));
    settle_tasks().await;
    tokio::spawn(service.clone().oneshot(holding(900)));
    settle_tasks().await;
    let small = service.clone();
    tokio::spawn(async move {
        for _ in 0..100 {
            tokio::spawn(small.clone().oneshot(holding(10)));
            tokio::time::sleep(secs(1)).await;
        }
    });
    settle_tasks().await;
    let urgent = holding(50).with_priority(Priority::High);
    service.oneshot(urgent).await.unwrap();
    tokio::time::sleep(secs(70)).await;
    assert_eq!(&steady.order()[..4], [300, 50, 900, 10]);
    assert_eq!(&steady.seconds()[..3], [0, 0, 60]);
}

/// A tenant that asks for ten times its share costs another at most 5 % of what it gets alone.
#[tokio::test(start_paused = true)]
async fn a_greedy_tenant_does_not_starve_another() {
    let goodput = |greedy: u32| async move {
        let steady = Steady::new(secs(2));
        let quotas = quotas(60_000);
        let service = over(&TokenBudgetLayer::new(quotas), &steady);
        // The modest tenant asks for half of the quota, evenly; the greedy one for `greedy` times
        // that.
        for (tenant, calls) in [("modest", 1), ("greedy", greedy)] {
            let service = service.clone();
            tokio::spawn(async move {
                loop {
                    for _ in 0..calls {
                        let request = holding(500).with_tenant(tenant);
                        tokio::spawn(service.clone().oneshot(request));
                    }
                    tokio::time::sleep(secs(1)).await;
                }
            });
        }
        let minutes = 20;
        tokio::time::sleep(secs(60 * minutes)).await;
        let came = steady.came.lock().unwrap();
        let modest = came
            .iter()
            .filter(|(_, call)| call.tenant.as_deref() == Some("modest"));
        modest.count()
    };
    let alone = goodput(0).await;
    let together = goodput(10).await;
    assert!(alone >= 20 * 58, "{alone}");
    assert!(together * 100 >= alone * 95, "{together} of {alone}");
}

/// A tenant with large calls and one with small ones get the same tokens, not the same calls.
#[tokio::test(start_paused = true)]
async fn turns_are_by_tokens() {
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas(10_000)), &steady);
    tokio::spawn(service.clone().oneshot(holding(10_000)));
    settle_tasks().await;
    for _ in 0..30 {
        let large = holding(1000).with_tenant("large");
        tokio::spawn(service.clone().oneshot(large));
    }
    settle_tasks().await;
    for _ in 0..300 {
        let small = holding(100).with_tenant("small");
        tokio::spawn(service.clone().oneshot(small));
    }
    tokio::time::sleep(secs(250)).await;
    let order = steady.order();
    let tokens = |size| order.iter().filter(|&&tokens| tokens == size).sum::<u32>();
    let (large, small) = (tokens(1000), tokens(100));
    assert!(large.abs_diff(small) <= 1000, "{large} and {small}");
    assert!(large + small >= 39_000);
}

/// A call that cannot go before its deadline is refused at once, and told the wait.
#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_make_it_is_refused_at_once() {
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    let start = Instant::now();
    service.clone().oneshot(holding(1000)).await.unwrap();
    let late = holding(100).with_deadline(start + secs(59));
    let error = service.clone().oneshot(late).await.unwrap_err();
    assert_eq!(start.elapsed(), secs(1));
    let refused = refusal(&error);
    assert_eq!(refused.reason(), ExhaustedReason::Deadline);
    assert_eq!(refused.limit(), Limit::TokensPerMinute);
    let wait = refused.wait().unwrap();
    assert!((secs(59)..secs(60)).contains(&wait), "{wait:?}");

    // The wait that was told is exact: a deadline that leaves time for an answer is met.
    let in_time = holding(100).with_deadline(start + secs(1) + wait + secs(5));
    service.oneshot(in_time).await.unwrap();
    let waited = steady.came.lock().unwrap()[1].0;
    assert!(
        waited.abs_diff(secs(1) + wait) <= Duration::from_millis(1),
        "{waited:?}"
    );
}

/// The queue ahead counts: a call is refused at once if those before it take all there is until its
/// deadline.
#[tokio::test(start_paused = true)]
async fn a_queue_that_is_too_long_refuses_at_once() {
    let steady = Steady::new(secs(1));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    let mut calls = Vec::new();
    for _ in 0..6 {
        let request = holding(500).with_timeout(secs(100));
        calls.push(tokio::spawn(service.clone().oneshot(request)));
        settle_tasks().await;
    }
    let mut refused = 0;
    for call in calls {
        if let Err(error) = call.await.unwrap() {
            assert_eq!(refusal(&error).reason(), ExhaustedReason::Deadline);
            refused += 1;
        }
    }
    // Two go now, two after a minute, and two would go after two.
    assert_eq!(steady.seconds(), [0, 0, 60, 60]);
    assert_eq!(refused, 2);
}

/// What calls really use of their holds shortens the wait that is expected: a call is not refused
/// because of holds that will come back in time.
#[tokio::test(start_paused = true)]
async fn holds_that_come_back_are_expected_back() {
    let steady = Steady::new(secs(5));
    let service = over(&TokenBudgetLayer::new(quotas(10_000)), &steady);
    // Holds 4500 each and uses 100.
    let request = || Request::new((), call(100, 4400)).with_timeout(secs(40));
    service.clone().oneshot(request()).await.unwrap();
    let calls: Vec<_> = (0..6)
        .map(|_| tokio::spawn(service.clone().oneshot(request())))
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(steady.seconds(), [0, 5, 5, 10, 10, 15, 15]);
}

/// A call that would go too late to be answered is refused: it would use quota for an answer that
/// nobody hears. How long answers take is learned.
#[tokio::test(start_paused = true)]
async fn no_quota_goes_to_answers_that_come_too_late() {
    let steady = Steady::new(secs(10));
    let service = over(&TokenBudgetLayer::new(quotas(1000)), &steady);
    let start = Instant::now();
    service.clone().oneshot(holding(1000)).await.unwrap();
    // There is room again a minute after the first call was sent.
    let too_late = holding(100).with_deadline(start + secs(67));
    let error = service.clone().oneshot(too_late).await.unwrap_err();
    assert_eq!(start.elapsed(), secs(10), "at once");
    assert_eq!(refusal(&error).reason(), ExhaustedReason::Deadline);
    let in_time = holding(100).with_deadline(start + secs(90));
    service.oneshot(in_time).await.unwrap();
    assert_eq!(steady.seconds(), [0, 60]);
}

/// A call in line is refused when it is too late for its answer, and the others go on.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_comes_while_waiting_refuses() {
    let steady = Steady::new(secs(20));
    let quotas = quotas(1000);
    let service = over(&TokenBudgetLayer::new(quotas.clone()), &steady);
    let start = Instant::now();
    // What calls use of their holds is known to be little, so the next one hopes.
    service
        .clone()
        .oneshot(Request::new((), call(1, 989)))
        .await
        .unwrap();
    tokio::spawn(service.clone().oneshot(Request::new((), call(1, 989))));
    settle_tasks().await;
    let hopeful = holding(900).with_deadline(start + secs(30));
    let error = service.clone().oneshot(hopeful).await.unwrap_err();
    // It has ten seconds, of which half are kept for an answer that takes longer.
    assert_eq!(start.elapsed(), secs(25));
    assert_eq!(refusal(&error).reason(), ExhaustedReason::Deadline);
    assert_eq!(quotas.snapshot_of(&route()).waiting, 0);
    service.oneshot(holding(900)).await.unwrap();
    assert_eq!(steady.seconds(), [0, 20, 40]);
}

/// A layer that does not wait refuses what does not fit now, with the wait it would have taken.
#[tokio::test(start_paused = true)]
async fn without_waiting_a_call_is_refused() {
    let layer = TokenBudgetLayer::new(quotas(1000)).with_waiting(false);
    let service = over(&layer, &Steady::new(secs(1)));
    service.clone().oneshot(holding(700)).await.unwrap();
    service.clone().oneshot(holding(300)).await.unwrap();
    let error = service.oneshot(holding(1)).await.unwrap_err();
    let refused = refusal(&error);
    assert_eq!(refused.reason(), ExhaustedReason::WouldWait);
    assert!(refused.wait().unwrap() > secs(57));
}

/// As many calls wait as may, and one more is refused.
#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded() {
    let layer = TokenBudgetLayer::new(quotas(1000)).with_max_waiting(2);
    let steady = Steady::new(secs(1));
    let service = over(&layer, &steady);
    for _ in 0..3 {
        tokio::spawn(service.clone().oneshot(holding(1000)));
        settle_tasks().await;
    }
    let error = service.clone().oneshot(holding(1)).await.unwrap_err();
    let reason = refusal(&error).reason();
    assert!(matches!(
        reason,
        ExhaustedReason::QueueFull { waiting: 2, .. }
    ));
    tokio::time::sleep(secs(61)).await;
    tokio::spawn(service.oneshot(holding(1)));
    tokio::time::sleep(secs(130)).await;
    assert_eq!(steady.order(), [1000, 1000, 1000, 1]);
}

/// No call waits longer than the layer allows, whatever its deadline.
#[tokio::test(start_paused = true)]
async fn the_longest_wait_is_bounded() {
    let layer = TokenBudgetLayer::new(quotas(1000)).with_max_wait(secs(30));
    let service = over(&layer, &Steady::new(secs(1)));
    service.clone().oneshot(holding(1000)).await.unwrap();
    let error = service.oneshot(holding(1)).await.unwrap_err();
    assert_eq!(refusal(&error).reason(), ExhaustedReason::Deadline);
}

/// A call larger than the quota is refused at once, with both numbers and what to do.
#[tokio::test(start_paused = true)]
async fn a_call_above_the_whole_quota_is_refused() {
    let service = over(
        &TokenBudgetLayer::new(quotas(50_000)),
        &Steady::new(secs(1)),
    );
    let request = Request::new((), call(3000, 64_000));
    let error = service.oneshot(request).await.unwrap_err();
    let refused = refusal(&error);
    assert_eq!(refused.wait(), None);
    let ExhaustedReason::TooLarge { needed, quota } = refused.reason() else {
        panic!("{refused}");
    };
    assert_eq!((needed, quota), (67_000, 50_000));
    let text = error.to_string();
    for part in ["67000", "50000", "maxTokens", MODEL] {
        assert!(text.contains(part), "{text}");
    }
}

/// A retry is admitted again, and does not jump the queue.
#[tokio::test(start_paused = true)]
async fn a_retry_stands_in_line_again() {
    use crate::{Backoff, Jitter, Reaction, Reactions, RetryLayer};

    let quotas = quotas(1000);
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let inner = service_fn(move |request: Request<()>| {
        let call = request.context().clone();
        let tokens = call.tokens.input.unwrap();
        seen.lock().unwrap().push((tokens, call.attempt));
        async move {
            if tokens == 1000 && call.attempt == 1 {
                tokio::time::sleep(secs(5)).await;
                return Err(Error::new(Cause::Internal));
            }
            Ok(answer(usage(tokens.into(), 0)))
        }
    });
    let at_once = Backoff::new(Duration::from_millis(1), Duration::from_millis(1));
    let reactions =
        Reactions::default().with(Cause::Internal, Reaction::GIVE_UP.retried(at_once, 3));
    let service = RetryLayer::new()
        .with_reactions(reactions)
        .with_jitter(Jitter::seeded(1))
        .layer(TokenBudgetLayer::new(quotas).layer(inner));
    let failing = tokio::spawn(service.clone().oneshot(holding(1000)));
    settle_tasks().await;
    for tokens in [600, 700] {
        tokio::spawn(service.clone().oneshot(holding(tokens)));
        settle_tasks().await;
    }
    failing.await.unwrap().unwrap();
    assert_eq!(
        *sent.lock().unwrap(),
        [(1000, 1), (600, 1), (700, 1), (1000, 2)]
    );
}
