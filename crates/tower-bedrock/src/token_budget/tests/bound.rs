//! Names that never end.

use std::task::{Context, Waker};

use super::*;

/// More models than any table has room for.
const NAMES: u32 = 6000;
/// What may be remembered: 1024 without a quota, and those of the routes that are found quickly.
const MOST: usize = 1024 + 1024 + 8 + 16;

fn named(number: u32) -> Route {
    let model = format!("us.amazon.model-{number}-v1:0");
    Route::to(model.parse().unwrap()).in_region("us-east-1")
}

fn to(route: Route) -> Request<()> {
    let mut call = call(10, 10);
    call.route = route;
    Request::new((), call)
}

/// Models that answer, each of which is called once, all within a moment: a bounded number of their
/// ledgers stay. What stays in any case is a quota that was set, a call that is under way and one that
/// waits; and of the others, what has learned most.
#[tokio::test(start_paused = true)]
async fn ledgers_of_models_that_answer_are_forgotten() {
    let quotas = quotas(100);
    let layer = TokenBudgetLayer::new(quotas.clone());
    let service = layer.layer(service_fn(|request: Request<()>| async move {
        if request.context().tokens.input == Some(77) {
            std::future::pending::<()>().await;
        }
        Ok::<_, Error>(answer(usage(10, 1)))
    }));
    let mut cx = Context::from_waker(Waker::noop());

    let busy = Route::to("us.amazon.busy-v1:0".parse().unwrap()).in_region("us-east-1");
    let mut under_way = Box::pin(service.clone().oneshot({
        let mut request = to(busy.clone());
        request.context_mut().tokens.input = Some(77);
        request
    }));
    assert!(under_way.as_mut().poll(&mut cx).is_pending());
    let known = Route::to("us.amazon.known-v1:0".parse().unwrap()).in_region("us-east-1");
    let sized = || {
        let mut request = to(known.clone());
        request.context_mut().tokens.input = None;
        request.context_mut().tokens.size.text_bytes = 1000;
        request
    };
    // Not one of the first, which stay anyway.
    for number in 0..20 {
        service.clone().oneshot(to(named(number))).await.unwrap();
    }
    for _ in 0..50 {
        service.clone().oneshot(sized()).await.unwrap();
    }
    service.clone().oneshot(holding(100)).await.unwrap();
    let mut waits = Box::pin(service.clone().oneshot(holding(100)));
    assert!(waits.as_mut().poll(&mut cx).is_pending());

    for number in 20..NAMES {
        service.clone().oneshot(to(named(number))).await.unwrap();
        if number % 500 == 0 {
            let ledgers = quotas.snapshot().len();
            assert!(ledgers <= MOST, "{ledgers} ledgers after {number} names");
        }
    }
    assert!(quotas.snapshot().len() > 700, "they are not all forgotten");
    assert_eq!(quotas.snapshot_of(&busy).tokens_held, 87);
    assert_eq!(quotas.snapshot_of(&route()).waiting, 1);
    assert_eq!(quotas.snapshot_of(&route()).tokens_per_minute, Some(100));
    let learned = quotas.gate(&known).lock().calibration.observed();
    assert_eq!(learned, 50, "what was called often is known still");
    drop((under_way, waits));
    assert_eq!(quotas.snapshot_of(&route()).waiting, 0);
}

/// A service that refuses everything in the name of a day's quota, or twice in a minute, has a bounded
/// number of ledgers remember it.
#[tokio::test(start_paused = true)]
async fn ledgers_of_models_that_refuse_are_forgotten() {
    for cause in [Cause::TokensPerDay, Cause::TokenRate] {
        let quotas = Quotas::new();
        let layer = TokenBudgetLayer::new(quotas.clone());
        let service = layer.layer(service_fn(move |_: Request<()>| async move {
            Err::<Response<()>, _>(Error::new(cause))
        }));
        for number in 0..NAMES {
            for _ in 0..2 {
                drop(service.clone().oneshot(to(named(number))).await);
            }
        }
        let ledgers = quotas.snapshot().len();
        assert!((700..=MOST).contains(&ledgers), "{ledgers} ledgers");
    }
}
