use tower::ServiceExt;

use super::*;
use crate::pool::adaptive::{Adaptation, Sign};

fn adaptation(least: usize, most: usize, initial: usize) -> Adaptation {
    let limit = AdaptiveLimit::between(least, most).unwrap();
    Adaptation::new(limit.with_initial(initial))
}

/// A storm of failures that were all sent before the first of them came back is one event, over
/// whatever time they come back.
#[test]
fn a_storm_counts_once() {
    let mut limit = adaptation(1, 100, 100);
    let start = Instant::now();
    let mut now = 0;
    for number in 0..100 {
        let at = start + secs(2 * number);
        now = limit.observe(Sign::OutOfCapacity, number, 100, 100, at);
    }
    assert_eq!(now, 70);
    // Those of the next storm were sent afterwards.
    for number in 100..170 {
        let at = start + secs(2 * number);
        now = limit.observe(Sign::OutOfCapacity, number, 170, 70, at);
    }
    assert_eq!(now, 49);
}

/// However long it storms, at least the least is let through.
#[test]
fn the_least_is_kept() {
    let mut limit = adaptation(4, 100, 100);
    let start = Instant::now();
    let last = (0..1000).map(|number| {
        let at = start + secs(2 * number);
        limit.observe(Sign::OutOfCapacity, number, number + 1, 50, at)
    });
    assert_eq!(last.last(), Some(4));
}

/// The limit grows by about one for each limitful of answers while it is in use, up to the most, and
/// not at all while it is not.
#[test]
fn the_limit_grows_only_while_it_is_used() {
    let mut limit = adaptation(1, 12, 10);
    let now = Instant::now();
    let mut grow = |calls: u64, in_flight| {
        let grown =
            (0..calls).map(|number| limit.observe(Sign::Answered, number, number, in_flight, now));
        grown.last().unwrap()
    };
    assert_eq!(grow(10_000, 4), 10);
    assert_eq!(grow(9, 10), 10);
    assert_eq!(grow(2, 10), 11);
    assert_eq!(grow(10_000, 10), 12);
}

/// What says nothing of capacity changes nothing: throttles, faults of the caller, abandoned calls.
#[test]
fn only_capacity_counts() {
    let counts = |is_of_one_model| {
        let causes = Cause::ALL.iter().copied();
        let counts =
            causes.filter(|&cause| Sign::of(cause, is_of_one_model) == Sign::OutOfCapacity);
        counts.collect::<Vec<_>>()
    };
    let of_a_region = [
        Cause::CapacityExceeded,
        Cause::ServiceUnavailable,
        Cause::Timeout,
    ];
    assert_eq!(counts(false), of_a_region);
    let of_a_model = [
        Cause::ModelOverloaded,
        Cause::CapacityExceeded,
        Cause::ServiceUnavailable,
        Cause::ModelTimeout,
        Cause::Timeout,
    ];
    assert_eq!(counts(true), of_a_model);
    let mut limit = adaptation(1, 100, 50);
    let now = Instant::now();
    assert_eq!(limit.observe(Sign::Nothing, 7, 8, 50, now), 50);
}

/// Limits that cannot be meant are refused with what is wrong of them.
#[test]
fn senseless_limits_are_refused() {
    for (least, most) in [(0, 5), (6, 5)] {
        let invalid = AdaptiveLimit::between(least, most).unwrap_err();
        assert_eq!(invalid, InvalidAdaptiveLimit::Bounds { least, most });
    }
    for factor in [0.0, 1.0, -1.0, f64::NAN] {
        let limit = AdaptiveLimit::between(1, 5).unwrap();
        assert!(limit.with_decrease(factor).is_err(), "{factor}");
    }
}

/// A service that bears 20 calls at once and refuses the others: the pool finds that out, and after a
/// while few are refused. When it bears more, the pool finds that out too.
#[tokio::test(start_paused = true)]
async fn a_pool_finds_out_what_the_service_bears() {
    let bears = Arc::new(Mutex::new((20_u32, 0_u32)));
    let server = Arc::clone(&bears);
    let service = service_fn(move |_: Request<()>| {
        let server = Arc::clone(&server);
        async move {
            {
                let (bears, in_flight) = &mut *server.lock().unwrap();
                if in_flight >= bears {
                    return Err(Error::new(Cause::CapacityExceeded));
                }
                *in_flight += 1;
            }
            sleep(secs(1)).await;
            server.lock().unwrap().1 -= 1;
            Ok(answer())
        }
    });
    let changes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&changes);
    let pools = Pools::new()
        .with_adaptive_limit(AdaptiveLimit::between(2, 200).unwrap())
        .with_max_waiting(0)
        .on_event(move |event| {
            if let PoolEvent::LimitChanged { from, to, .. } = event {
                assert_ne!(from, to);
                *counted.lock().unwrap() += 1;
            }
        });
    let service = over(&pools, service);
    let load = async |seconds: u64| {
        let mut calls = Vec::new();
        for _ in 0..seconds * 20 {
            for _ in 0..10 {
                calls.push(tokio::spawn(service.clone().oneshot(request())));
            }
            sleep(Duration::from_millis(50)).await;
        }
        let (mut answered, mut refused) = (0_u32, 0_u32);
        for call in calls {
            match call.await.unwrap() {
                Ok(_) => answered += 1,
                Err(error) if error.cause() == Cause::CapacityExceeded => refused += 1,
                Err(_) => {}
            }
        }
        (answered, refused)
    };
    load(60).await;
    let (answered, refused) = load(60).await;
    assert!(answered >= 960, "{answered} of 1200 answered");
    assert!(
        refused * 20 <= answered,
        "{refused} refused, {answered} answered"
    );
    bears.lock().unwrap().0 = 60;
    load(60).await;
    let (answered, _) = load(60).await;
    assert!(answered >= 2700, "{answered} of 3600 answered");
    assert!(*changes.lock().unwrap() > 10);
}

/// Answers that take long are no reason to send fewer.
#[tokio::test(start_paused = true)]
async fn long_answers_change_nothing() {
    let limit = AdaptiveLimit::between(1, 40).unwrap();
    let pools = Pools::new().with_adaptive_limit(limit.with_initial(20));
    let quick = over(&pools, steady(secs(1)));
    let slow = over(&pools, steady(secs(50)));
    for service in [quick.clone().boxed_clone(), slow.boxed_clone()] {
        let calls: Vec<_> = (0..20)
            .map(|_| tokio::spawn(service.clone().oneshot(request())))
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let limit = snapshot(&pools).limit;
        assert!((20..=22).contains(&limit), "{limit}");
    }
}

/// A service that refuses everything for a moment, within a millisecond each: the moment is one event,
/// however many calls are sent and refused in it.
#[tokio::test(start_paused = true)]
async fn a_burst_of_quick_refusals_is_one_event() {
    let limit = AdaptiveLimit::between(1, 100).unwrap();
    let pools = Pools::new().with_adaptive_limit(limit);
    let service = service_fn(|_: Request<()>| async {
        sleep(Duration::from_millis(1)).await;
        Err::<Response<()>, _>(Error::new(Cause::CapacityExceeded))
    });
    let service = over(&pools, service);
    for _ in 0..200 {
        service.clone().oneshot(request()).await.unwrap_err();
    }
    assert_eq!(snapshot(&pools).limit, 70);
    sleep(secs(1)).await;
    service.oneshot(request()).await.unwrap_err();
    assert_eq!(snapshot(&pools).limit, 49);
}

/// What is short of one model says nothing of the others in its region: only a pool of the model
/// itself becomes smaller.
#[tokio::test(start_paused = true)]
async fn one_model_does_not_shrink_the_pool_of_a_region() {
    let limit = AdaptiveLimit::between(1, 100).unwrap();
    for cause in [Cause::ModelOverloaded, Cause::ModelTimeout] {
        let service =
            service_fn(
                move |_: Request<()>| async move { Err::<Response<()>, _>(Error::new(cause)) },
            );
        let of_regions = Pools::new().with_adaptive_limit(limit);
        let of_models = of_regions
            .clone()
            .with_key(|call| PoolKey::route(&call.route));
        for pools in [&of_regions, &of_models] {
            over(pools, service).oneshot(request()).await.unwrap_err();
        }
        assert_eq!(snapshot(&of_regions).limit, 100, "{cause}");
        let of_model = of_models.snapshot_of(&PoolKey::route(&call().route));
        assert_eq!(of_model.limit, 70, "{cause}");
    }
}
