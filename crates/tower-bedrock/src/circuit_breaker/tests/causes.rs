//! What counts, and what does not.

use super::*;
use crate::{BreakerReaction, Reaction, Reactions};

async fn is_open_after(breakers: &CircuitBreakers, calls: u32, error: fn() -> Error) -> bool {
    let model = Model::new(millis(1), move || Err(error()));
    for _ in 0..calls {
        let result = model.send(breakers, request()).await;
        if let Some(Cause::CircuitOpen) = result.as_ref().err().map(Error::cause) {
            return true;
        }
    }
    breakers.state(&route()) == CircuitState::Open
}

/// Only causes that say something of the route's health open the circuit: those of the table.
#[tokio::test(start_paused = true)]
async fn only_health_causes_open_it() {
    for &cause in Cause::ALL {
        let breakers = breakers(CircuitPolicy::new());
        // What was asked with no deadline of its own was not cut by it, so that it counts.
        let counts = cause.reaction().breaker != BreakerReaction::Ignore
            && cause != Cause::ModelFailed
            || cause == Cause::DeadlineExceeded;
        let model = Model::new(millis(1), move || failed(cause));
        for _ in 0..100 {
            drop(model.send(&breakers, request()).await);
        }
        let expected = if counts { 10 } else { 100 };
        assert_eq!(model.calls(), expected, "{cause}");
    }
}

/// Ten thousand throttles in a row never open it, nor do they stand between failures in a row.
#[tokio::test(start_paused = true)]
async fn throttles_never_open_it() {
    for cause in [
        Cause::RequestRate,
        Cause::TokenRate,
        Cause::TokensPerDay,
        Cause::Throttled,
    ] {
        let breakers = breakers(CircuitPolicy::new());
        let model = Model::new(Duration::ZERO, move || failed(cause));
        for _ in 0..10_000 {
            let error = model.send(&breakers, request()).await.unwrap_err();
            assert_eq!(error.cause(), cause);
        }
        assert_eq!(breakers.snapshot_of(&route()).calls, 0);
    }
}

/// What our own layers refuse below says nothing of the route: 190 rejections of a full pool or an
/// empty budget never open it, whatever the table says.
#[tokio::test(start_paused = true)]
async fn own_refusals_never_open_it() {
    let own = [
        Cause::PoolSaturated,
        Cause::BudgetExhausted,
        Cause::CircuitOpen,
        Cause::NoRouteAllowed,
    ];
    let failure = Reaction::GIVE_UP.counted(BreakerReaction::Failure);
    let mut reactions = Reactions::default();
    for cause in own {
        reactions = reactions.with(cause, failure);
    }
    let breakers = breakers(CircuitPolicy::new()).with_reactions(reactions);
    for cause in own {
        let model = Model::new(Duration::ZERO, move || failed(cause));
        for _ in 0..190 {
            drop(model.send(&breakers, request()).await);
        }
        assert_eq!(model.calls(), 190, "{cause}");
    }
    assert_eq!(breakers.state(&route()), CircuitState::Closed);
}

/// A row of the table can be overridden, both ways.
#[tokio::test(start_paused = true)]
async fn the_table_can_be_overridden() {
    let failure = Reaction::GIVE_UP.counted(BreakerReaction::Failure);
    let reactions = Reactions::default()
        .with(Cause::TokenRate, failure)
        .with(Cause::ServiceUnavailable, Reaction::GIVE_UP);
    let breakers = breakers(CircuitPolicy::new()).with_reactions(reactions);
    let unavailable = || Error::new(Cause::ServiceUnavailable);
    assert!(!is_open_after(&breakers, 100, unavailable).await);
    assert!(is_open_after(&breakers, 11, || Error::new(Cause::TokenRate)).await);
}

/// A model that failed with a status of its own is sick for 5xx only.
#[tokio::test(start_paused = true)]
async fn a_failed_model_counts_by_its_own_status() {
    for (status, counts) in [(400, false), (429, false), (500, true), (503, true)] {
        let breakers = breakers(CircuitPolicy::new());
        let model = Model::new(Duration::ZERO, move || {
            Err(Error::new(Cause::ModelFailed).with_original_status(status))
        });
        for _ in 0..20 {
            drop(model.send(&breakers, request()).await);
        }
        let is_open = breakers.state(&route()) == CircuitState::Open;
        assert_eq!(is_open, counts, "{status}");
    }
}

/// A call that got no answer in time is a failure; where slow calls are looked at, it is slow and no
/// failure.
#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_a_failure_or_slow() {
    for cause in [Cause::Timeout, Cause::ModelTimeout] {
        let model = Model::new(secs(1), move || failed(cause));
        let plain = breakers(CircuitPolicy::new());
        assert_eq!(trip(&plain, &model).await, 10);

        let slow = breakers(CircuitPolicy::new().with_slow_calls(secs(60), 1.0));
        let mut transitions = slow.subscribe();
        assert_eq!(trip(&slow, &model).await, 10);
        let transition = transitions.try_recv().unwrap();
        assert_eq!(transition.reason, TransitionReason::SlowCallRate);
        assert_eq!((transition.slow_calls, transition.failures), (10, 0));
    }
}

/// The transition tells what tripped it, with the counts at the time.
#[tokio::test(start_paused = true)]
async fn a_transition_tells_what_tripped_it() {
    let in_a_row = breakers(CircuitPolicy::new().with_consecutive_failures(3));
    let by_rate = breakers(CircuitPolicy::new().with_min_calls(5));
    let model = Model::new(millis(1), || failed(Cause::Internal));
    for (breakers, reason, failures) in [
        (in_a_row, TransitionReason::ConsecutiveFailures, 3),
        (by_rate, TransitionReason::FailureRate, 5),
    ] {
        let mut transitions = breakers.subscribe();
        trip(&breakers, &model).await;
        let transition = transitions.try_recv().unwrap();
        assert_eq!(transition.reason, reason);
        assert_eq!(
            (transition.calls, transition.failures),
            (failures, failures)
        );
        assert_eq!(transition.cooldown, Some(secs(5)));
        assert_eq!(transition.generation, 1);
        assert_eq!(transition.route, route());
    }
}
