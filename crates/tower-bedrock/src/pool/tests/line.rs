use tower::{ServiceBuilder, ServiceExt};

use super::*;
use crate::{Quota, Quotas, TokenBudgetLayer};

/// Calls go in the order in which they came, as many at a time as may.
#[tokio::test(start_paused = true)]
async fn calls_go_in_the_order_in_which_they_came() {
    let pools = Pools::new().with_max_in_flight(2);
    let start = Instant::now();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let service = service_fn(move |request: Request<()>| {
        let attempt = request.context().attempt;
        seen.lock()
            .unwrap()
            .push((attempt, start.elapsed().as_secs()));
        async {
            sleep(secs(10)).await;
            Ok::<_, Error>(answer())
        }
    });
    let mut calls = Vec::new();
    for number in 1..=6 {
        let mut request = request();
        request.context_mut().attempt = number;
        calls.push(tokio::spawn(over(&pools, service.clone()).oneshot(request)));
        settle_tasks().await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let expected = [(1, 0), (2, 0), (3, 10), (4, 10), (5, 20), (6, 20)];
    assert_eq!(*sent.lock().unwrap(), expected);
    let PoolSnapshot {
        most_in_flight,
        most_waiting,
        admitted,
        in_flight,
        ..
    } = snapshot(&pools);
    assert_eq!(
        (most_in_flight, most_waiting, admitted, in_flight),
        (2, 4, 6, 0)
    );
}

/// A call that may not wait, or finds the line full, is refused without any time passing.
#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    let start = Instant::now();
    let pools = Pools::new().with_max_in_flight(1).with_max_waiting(1);
    let service = over(&pools, steady(secs(10)));
    let first = tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;

    let mut impatient = request();
    impatient.context_mut().max_wait = Some(Duration::ZERO);
    let error = service.clone().oneshot(impatient).await.unwrap_err();
    assert_eq!(reason(&error), SaturatedReason::QueueFull);
    let second = tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    let error = service.oneshot(request()).await.unwrap_err();
    assert_eq!(reason(&error), SaturatedReason::QueueFull);
    assert_eq!(start.elapsed(), Duration::ZERO);

    let refusal = PoolSaturated::of(&error).unwrap();
    assert_eq!(refusal.key(), &key());
    assert_eq!(
        (refusal.limit(), refusal.in_flight(), refusal.waiting()),
        (1, 1, 1)
    );
    assert_eq!(error.route(), Some(&call().route));
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(snapshot(&pools).refused, 2);
}

/// Nobody waits past the pool's limit, the call's own, or the deadline, and each says which it was.
#[tokio::test(start_paused = true)]
async fn waits_end_when_they_have_to() {
    let pools = Pools::new().with_max_in_flight(1).with_max_wait(secs(7));
    let service = over(&pools, steady(secs(100)));
    tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    for (deadline, max_wait, after, expected) in [
        (None, None, 7, SaturatedReason::MaxWait),
        (None, Some(3), 3, SaturatedReason::MaxWait),
        (Some(2), Some(3), 2, SaturatedReason::Deadline),
        (Some(50), None, 7, SaturatedReason::MaxWait),
        (Some(7), None, 7, SaturatedReason::Deadline),
    ] {
        let start = Instant::now();
        let mut request = request();
        request.context_mut().deadline = deadline.map(|after| start + secs(after));
        request.context_mut().max_wait = max_wait.map(secs);
        let error = service.clone().oneshot(request).await.unwrap_err();
        assert_eq!(reason(&error), expected);
        assert_eq!(start.elapsed(), secs(after));
    }
    assert_eq!(snapshot(&pools).waiting, 0);
}

/// A call whose place comes when its deadline has passed is not sent any more.
#[tokio::test(start_paused = true)]
async fn a_place_after_the_deadline_is_not_used() {
    let pools = Pools::new().with_max_in_flight(1);
    let service = over(&pools, steady(secs(5)));
    let first = tokio::spawn(service.clone().oneshot(request()));
    settle_tasks().await;
    let late = service.clone().oneshot(request().with_timeout(secs(6)));
    let mut late = tokio_test::task::spawn(late);
    assert!(late.poll().is_pending());
    first.await.unwrap().unwrap();
    // Its task has better things to do.
    tokio::time::advance(secs(3)).await;
    match late.poll() {
        std::task::Poll::Ready(Err(error)) => {
            assert_eq!(reason(&error), SaturatedReason::Deadline);
        }
        _ => panic!("it was sent"),
    }
    let PoolSnapshot {
        admitted,
        in_flight,
        ..
    } = snapshot(&pools);
    assert_eq!((admitted, in_flight), (1, 0));
}

/// Ten times the load that the pool serves: every wait is bounded, so is the line, and who is served
/// is served in time.
#[tokio::test(start_paused = true)]
async fn an_overload_is_refused_and_not_hoarded() {
    let pools = Pools::new()
        .with_max_in_flight(10)
        .with_max_waiting(40)
        .with_max_wait(secs(3));
    let service = over(&pools, steady(secs(1)));
    let mut calls = Vec::new();
    for _ in 0..600 {
        for _ in 0..10 {
            let service = service.clone();
            calls.push(tokio::spawn(async move {
                let start = Instant::now();
                (service.oneshot(request()).await, start.elapsed())
            }));
        }
        sleep(Duration::from_millis(100)).await;
    }
    let mut answered = 0;
    for call in calls {
        let (result, took) = call.await.unwrap();
        assert!(took <= secs(4), "{took:?}");
        answered += u32::from(result.is_ok());
    }
    assert!(
        (580..=640).contains(&answered),
        "{answered} of 600 served in 60 s"
    );
    let snapshot = snapshot(&pools);
    assert!(snapshot.most_waiting <= 40 && snapshot.most_in_flight == 10);
    assert_eq!(u64::from(answered) + snapshot.refused, 6000);
}

/// What a call draws of its tokens ages from when it is sent, not from when it got in line: no
/// window of 60 s has more than the quota on the wire.
#[tokio::test(start_paused = true)]
async fn a_budget_above_counts_from_when_calls_are_sent() {
    let quotas = Quotas::new();
    let quota = Quota::new().with_requests_per_minute(10);
    quotas.set(&call().route, quota).unwrap();
    let start = Instant::now();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let service = service_fn(move |_: Request<()>| {
        let mut sent = seen.lock().unwrap();
        sent.push(start.elapsed());
        // The first holds up all others, who then go in one clump.
        let latency = if sent.len() == 1 {
            secs(55)
        } else {
            secs(1) / 10
        };
        async move {
            sleep(latency).await;
            Ok::<_, Error>(answer())
        }
    });
    let pools = Pools::new().with_max_in_flight(1).with_max_wait(secs(600));
    let stack = ServiceBuilder::new()
        .layer(TokenBudgetLayer::new(quotas))
        .layer(PoolLayer::new(pools))
        .service(service);
    let calls: Vec<_> = (0..30)
        .map(|_| tokio::spawn(stack.clone().oneshot(request())))
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let sent = sent.lock().unwrap();
    for first in &*sent {
        let window = first..&(*first + secs(60));
        let within = sent.iter().filter(|at| window.contains(at)).count();
        assert!(
            within <= 10,
            "{within} in the minute from {first:?}: {sent:?}"
        );
    }
}
