//! Only a service that is ready is called, and it is the one that was made ready (RELIABILITY.md
//! §2.7, 11).

use std::time::Duration;

use futures_util::future::join_all;
use tower::{Service, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit};
use tower_bedrock::{Cause, Error};
use tower_bedrock_tests::probe::{Play, Probe, Readiness};

use crate::rigs::{Layers, Rig, over_any, request};

const CALLS: u64 = 10_000;

/// A service that fails one call in five, most of them in a way that is worth another attempt.
fn unsteady(readiness: Readiness) -> Probe {
    Probe::new(readiness, |_, number| {
        let after = Duration::from_millis(number % 7 * 10);
        match number % 15 {
            3 => Play::failure(after, Cause::Internal),
            7 => Play::failure(after, Cause::ModelOverloaded),
            11 => Play::failure(after, Cause::InvalidRequest),
            _ => Play::whole(after),
        }
    })
}

/// Calls of many clones at once, and of one clone after the other.
async fn make_calls(rig: &Rig, calls: u64) -> u64 {
    let mut answered = 0;
    let mut made = 0;
    while made < calls {
        let at_once = join_all((0..40).map(|_| rig.service.clone().oneshot(request()))).await;
        answered += at_once.iter().filter(|result| result.is_ok()).count() as u64;
        let mut service = rig.service.clone();
        for _ in 0..10 {
            let ready = service.ready().await.expect("it does not break");
            answered += u64::from(ready.call(request()).await.is_ok());
        }
        made += 50;
        // Circuits that have opened close again.
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    answered
}

/// In ten thousand calls through every layer alone and all together, first attempts, retries and
/// moves to another route alike, no service is called that was not made ready.
#[tokio::test(start_paused = true)]
async fn only_a_service_that_is_ready_is_called() {
    for (readiness, calls) in [
        (Readiness::AtOnce, CALLS / 10),
        (Readiness::SecondTime, CALLS),
        (Readiness::After(Duration::from_millis(5)), CALLS / 10),
    ] {
        for layers in Layers::ALL {
            let probe = unsteady(readiness);
            let rig = layers.over(&probe);
            let answered = make_calls(&rig, calls).await;
            let what = format!("{layers:?}, {readiness:?}");
            let told = probe.violations();
            assert_eq!(told.len(), 0, "{what}: {:?}", told.first());
            assert!(answered * 2 > calls, "{what}: {answered} answered");
            if layers.make_calls_again() {
                assert!(probe.calls() > calls, "{what}: nothing was made again");
            }
            rig.gauges.assert_at_rest(&what);
        }
    }
}

/// A service that breaks is asked no more by the call that finds it broken: the error is passed on,
/// and nothing stays held.
#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_is_let_go() {
    for layers in Layers::ALL {
        for calls in 0..4 {
            let probe = Probe::new(Readiness::Breaks(calls), |_, _| {
                Play::failure(Duration::ZERO, Cause::Internal)
            });
            let rig = layers.over(&probe);
            for _ in 0..6 {
                let error = rig.service.clone().oneshot(request()).await.unwrap_err();
                let expected = [Cause::Internal, Cause::Connect, Cause::CircuitOpen];
                assert!(expected.contains(&error.cause()), "{layers:?}: {error:?}");
            }
            let what = format!("{layers:?}, broken after {calls} calls");
            assert_eq!(probe.violations(), Vec::<String>::new(), "{what}");
            assert!(probe.calls() <= calls + 6, "{what}: {}", probe.calls());
            rig.gauges.assert_at_rest(&what);
        }
    }
}

/// Tower's own services, which give out places and queues when they are made ready, work below every
/// layer: none of their places is lost.
#[tokio::test(start_paused = true)]
async fn places_that_readiness_gives_out_are_not_lost() {
    for layers in Layers::ALL {
        let probe = unsteady(Readiness::SecondTime);
        let limited = ConcurrencyLimit::new(probe.clone(), 2);
        make_a_few(over_any(layers, limited), layers, &probe).await;

        let probe = unsteady(Readiness::SecondTime);
        let (buffer, worker) = Buffer::pair(probe.clone(), 2);
        tokio::spawn(worker);
        let buffered = buffer.map_err(|error: tower::BoxError| match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::new(Cause::Unknown).with_source(error),
        });
        make_a_few(over_any(layers, buffered), layers, &probe).await;
    }
}

async fn make_a_few(rig: Rig, layers: Layers, probe: &Probe) {
    for round in 0..5 {
        let calls = join_all((0..30).map(|_| rig.service.clone().oneshot(request())));
        let calls = tokio::time::timeout(Duration::from_secs(600), calls).await;
        let calls = calls.unwrap_or_else(|_| panic!("{layers:?}, round {round}: stuck"));
        let answered = calls.iter().filter(|result| result.is_ok()).count();
        assert!(answered >= 15, "{layers:?}, round {round}: {answered}");
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert_eq!(probe.violations(), Vec::<String>::new(), "{layers:?}");
    assert_eq!(probe.under_way(), 0);
}
