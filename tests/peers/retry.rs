//! Retries, their waits and their budget.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Backoff, Cause, CircuitBreakerLayer, CircuitBreakers, Jitter, Reactions, Request, RetryEvent,
    RetryLayer,
};
use tower_bedrock_tests::probe::Play;

use crate::{always, request, route, secs};

/// The waits of so many calls that fail with `backoff`, each wait of a call by itself.
async fn waits(backoff: Backoff, calls: usize, retries: u32) -> Vec<Vec<f64>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let reaction = Cause::Internal.reaction().retried(backoff, retries);
    let layer = RetryLayer::new()
        .with_jitter(Jitter::seeded(7))
        .with_budget(tower_bedrock::RetryBudget::with_costs(0, 0, 0))
        .with_reactions(Reactions::default().with(Cause::Internal, reaction))
        .on_event(move |event| {
            if let RetryEvent::Retrying { after, .. } = event {
                told.lock()
                    .expect("nobody panics")
                    .push(after.as_secs_f64());
            }
        });
    let service = layer.layer(always(Play::failure(secs(0), Cause::Internal)));
    let mut all = Vec::new();
    for _ in 0..calls {
        let failed = service.clone().oneshot(request()).await;
        failed.expect_err("it always fails");
        all.push(std::mem::take(&mut *heard.lock().expect("nobody panics")));
    }
    all
}

/// Row "jitter" (both): presets without any; jitter that is added to the base, that vanishes at the
/// cap or goes beyond it, that whole seconds do not get, and that is the same for every session. A
/// hundred calls wait anything from nothing to the ceiling, with whole seconds, at the cap as well,
/// and no two alike.
#[tokio::test(start_paused = true)]
async fn waits_are_spread_from_nothing_to_the_cap() {
    let calls = waits(Backoff::new(secs(1), secs(4)), 400, 6).await;
    for (retry, ceiling) in [1.0, 2.0, 4.0, 4.0, 4.0, 4.0].into_iter().enumerate() {
        let drawn: Vec<_> = calls.iter().map(|call| call[retry]).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64 / ceiling;
        assert!((0.45..0.55).contains(&mean), "retry {retry}: mean {mean}");
        let is_within = |wait: &&f64| **wait < ceiling * 0.1;
        assert!(drawn.iter().filter(is_within).count() > 20, "retry {retry}");
        assert!(drawn.iter().all(|wait| *wait <= ceiling), "retry {retry}");
        assert!(drawn.iter().any(|wait| *wait > ceiling * 0.95));
    }
    let sessions: BTreeSet<_> = calls.iter().map(|call| format!("{call:?}")).collect();
    assert_eq!(sessions.len(), 400, "no two sessions are alike");
}

/// Row "retry budget": ten tokens a second that limit nothing (1.76 requests for a call at half
/// failures), ratios that are cut to 1/n. Of a thousand calls of which half fail, retries are what
/// successes pay for, and no time refills it.
#[tokio::test(start_paused = true)]
async fn a_budget_limits_retries() {
    let probe = tower_bedrock_tests::probe::Probe::new(
        tower_bedrock_tests::probe::Readiness::AtOnce,
        |_, number| match number % 2 {
            0 => Play::failure(secs(0), Cause::Internal),
            _ => Play::whole(secs(0)),
        },
    );
    let layer = RetryLayer::new().with_jitter(Jitter::seeded(7));
    let service = layer.layer(probe.clone());
    // Every call fails once: each retry is given back, as it succeeds.
    for _ in 0..100 {
        let answered = service.clone().oneshot(request()).await;
        answered.expect("the retry is answered");
    }
    assert_eq!((probe.calls(), layer.budget().available()), (200, 500));

    // In an outage there are 35 retries, and no more after an hour of it.
    let outage = always(Play::failure(secs(0), Cause::Internal));
    let service = layer.layer(outage.clone());
    for _ in 0..1000 {
        let failed = service.clone().oneshot(request()).await;
        failed.expect_err("the service is down");
        tokio::time::sleep(secs(4)).await;
    }
    assert_eq!(outage.calls(), 1000 + 35);
}

/// Row "retry": a refusal of the open breaker is retried, with backoff, for nothing.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_an_open_circuit_is_not_retried() {
    let breakers = CircuitBreakers::new();
    breakers.force_open(&route());
    let probe = always(Play::whole(secs(0)));
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(CircuitBreakerLayer::new(breakers))
        .service(probe.clone());
    let start = tokio::time::Instant::now();
    let error = service.oneshot(request()).await.expect_err("it is open");
    assert_eq!(error.cause(), Cause::CircuitOpen);
    assert_eq!((probe.calls(), start.elapsed()), (0, secs(0)));
}

/// Row "retry": the request is copied for every attempt, even with no retry, at 64 KiB each. A body
/// that cannot be copied at all is sent three times.
#[tokio::test(start_paused = true)]
async fn a_body_is_never_copied() {
    struct NeverCopied([u8; 1 << 16]);
    let body = NeverCopied([7; 1 << 16]);
    let context = request().into_parts().1;
    let layer = RetryLayer::new().with_max_attempts(NonZeroU32::new(3).expect("not zero"));
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let addresses = Arc::clone(&seen);
    let service = layer.layer(tower::service_fn(move |request: Request<NeverCopied>| {
        let body = request.input();
        let mut addresses = addresses.lock().expect("nobody panics");
        addresses.insert((std::ptr::from_ref(body).addr(), body.0[0]));
        async { Err::<(), _>(tower_bedrock::Error::new(Cause::Internal)) }
    }));
    let failed = service.oneshot(Request::new(body, context)).await;
    assert_eq!(failed.expect_err("it always fails").attempts(), Some(3));
    assert_eq!(seen.lock().expect("nobody panics").len(), 1);
}
