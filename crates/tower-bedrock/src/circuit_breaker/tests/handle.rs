//! What is done from outside: circuits by hand, by key, forgotten.

use super::*;
use crate::{
    BedrockRequest, Passage, RouteGate, ServiceTier,
    circuit_breaker::{
        circuits::MAX_OTHERS,
        outcome::{Outcome, Refused},
    },
};

/// By hand: open refuses everything, for ever and with no probe; closed lets everything through,
/// whatever comes of it; reset begins anew.
#[tokio::test(start_paused = true)]
async fn circuits_can_be_forced() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(millis(1), || failed(Cause::Internal));
    breakers.force_open(&route());
    for _ in 0..3 {
        let error = model.send(&breakers, request()).await.unwrap_err();
        assert_eq!(CircuitOpen::of(&error).unwrap().retry_in(), None);
        assert_eq!(error.retry_after(), None);
        sleep(secs(3600)).await;
    }
    assert_eq!(model.calls(), 0);
    let snapshot = breakers.snapshot_of(&route());
    assert!(snapshot.is_forced && snapshot.state == CircuitState::Open);

    breakers.force_closed(&route());
    for _ in 0..100 {
        drop(model.send(&breakers, request()).await);
    }
    assert_eq!(model.calls(), 100);
    assert!(breakers.snapshot_of(&route()).is_forced);

    breakers.reset(&route());
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.is_forced, snapshot.calls), (false, 0));
    assert_eq!(trip(&breakers, &model).await, 10);
    // A reset forgets the doublings too.
    sleep(secs(5)).await;
    drop(model.send(&breakers, request()).await);
    breakers.reset(&route());
    trip(&breakers, &model).await;
    assert_eq!(breakers.snapshot_of(&route()).retry_in, Some(secs(5)));
}

/// What was under way when a circuit is forced or reset says nothing of what comes after.
#[tokio::test(start_paused = true)]
async fn a_reset_forgets_what_is_under_way() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(secs(1), || failed(Cause::Internal));
    let calls: Vec<_> = (0..20)
        .map(|_| tokio::spawn(model.send(&breakers, request())))
        .collect();
    sleep(millis(1)).await;
    breakers.reset(&route());
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.state, snapshot.calls), (CircuitState::Closed, 0));
}

fn route_of(model: &str, region: Option<&str>, tier: ServiceTier) -> Route {
    let route = Route::to(model.parse().unwrap()).on_tier(tier);
    match region {
        Some(region) => route.in_region(region),
        None => route,
    }
}

/// How many circuits some routes have, by what circuits are kept by.
#[tokio::test(start_paused = true)]
async fn circuits_are_kept_by_their_key() {
    let (nova, sonnet) = ("amazon.nova-lite-v1:0", "anthropic.claude-sonnet-4-6");
    let routes = [
        route_of(nova, Some("us-east-1"), ServiceTier::Default),
        route_of(nova, None, ServiceTier::Default),
        route_of(nova, Some("us-east-1"), ServiceTier::Flex),
        route_of(nova, Some("us-west-2"), ServiceTier::Default),
        route_of(sonnet, Some("us-east-1"), ServiceTier::Default),
    ];
    for (key, home, circuits) in [
        (CircuitKey::Route, Some("us-east-1"), 4),
        (CircuitKey::Route, None, 5),
        (CircuitKey::Model, Some("us-east-1"), 3),
        (CircuitKey::Region, Some("us-east-1"), 2),
        (CircuitKey::Region, None, 3),
    ] {
        let mut breakers = breakers(CircuitPolicy::new()).with_key(key);
        if let Some(home) = home {
            breakers = breakers.with_home_region(home);
        }
        let model = Model::new(millis(1), || failed(Cause::Internal));
        for route in &routes {
            let call = model.send(&breakers, request().with_route(route.clone()));
            drop(call.await);
        }
        assert_eq!(
            breakers.snapshot().len(),
            circuits,
            "{key:?}, home {home:?}"
        );
    }
}

/// A route without a region and the same with the home region are one circuit.
#[tokio::test(start_paused = true)]
async fn the_home_region_counts_with_none() {
    let breakers = breakers(CircuitPolicy::new()).with_home_region("us-east-1");
    let mut anywhere = route();
    anywhere.region = None;
    breakers.force_open(&anywhere);
    assert_eq!(breakers.state(&route()), CircuitState::Open);
    let error = Model::healthy()
        .send(&breakers, request())
        .await
        .unwrap_err();
    assert_eq!(CircuitOpen::of(&error).unwrap().route(), &route());
    let elsewhere = route().in_region("eu-west-1");
    assert_eq!(breakers.state(&elsewhere), CircuitState::Closed);
}

/// A gate is open where a call would go through, as a probe too, and says when to ask again.
#[tokio::test(start_paused = true)]
async fn the_gate_tells_what_a_call_would_meet() {
    let breakers = breakers(CircuitPolicy::new());
    let ask = || breakers.ask(request().context(), &route(), Instant::now());
    let closed = |retry_in| Passage::Closed {
        cause: Cause::CircuitOpen,
        retry_in,
    };
    assert_eq!(ask(), Passage::Open);
    assert!(breakers.snapshot().is_empty(), "asking makes no circuit");
    let model = Model::new(millis(1), || failed(Cause::Internal));
    trip(&breakers, &model).await;
    sleep(secs(2)).await;
    assert_eq!(ask(), closed(Some(secs(3))));
    sleep(secs(3)).await;
    assert_eq!(ask(), Passage::Open);
    assert_eq!(
        breakers.state(&route()),
        CircuitState::Open,
        "asking changes nothing"
    );
    model.becomes(secs(4), answered);
    let probe = tokio::spawn(model.send(&breakers, request()));
    sleep(secs(1)).await;
    assert_eq!(ask(), closed(Some(secs(9))));
    probe.await.unwrap().unwrap();
    assert_eq!(ask(), Passage::Open);
    breakers.force_open(&route());
    assert_eq!(ask(), closed(None));
}

/// A gate is open everywhere while no circuit stops calls: not one that is open, not one that is
/// half-open, and not one that was forgotten.
#[tokio::test(start_paused = true)]
async fn the_gate_knows_when_nothing_is_open() {
    let breakers = breakers(CircuitPolicy::new());
    let call = request();
    let is_open = || breakers.is_open_everywhere(call.context());
    assert!(is_open());
    let model = Model::new(millis(1), || failed(Cause::Internal));
    trip(&breakers, &model).await;
    breakers.force_open(&numbered(1));
    assert!(!is_open());
    breakers.force_closed(&numbered(1));
    assert!(!is_open(), "the other one is open");

    sleep(secs(5)).await;
    model.becomes(secs(4), answered);
    let probe = tokio::spawn(model.send(&breakers, request()));
    sleep(secs(1)).await;
    assert_eq!(breakers.state(&route()), CircuitState::HalfOpen);
    assert!(!is_open());
    probe.await.unwrap().unwrap();
    assert!(is_open());

    // Those that are forgotten were closed and open ones.
    for number in 0..2 * MAX_OTHERS {
        let circuit = breakers.circuit(&numbered(number));
        if number % 2 == 0 {
            let ticket = |_| circuit.admit(0).unwrap();
            let tickets: Vec<_> = (0..10).map(ticket).collect();
            for ticket in tickets {
                let outcome = Outcome::Failure {
                    is_slow: false,
                    hint: None,
                };
                circuit.settle(Instant::now(), ticket, outcome);
            }
            assert_eq!(circuit.state(), CircuitState::Open);
        }
    }
    assert!(breakers.snapshot().len() <= MAX_OTHERS + 8);
    assert!(!is_open());
    for circuit in breakers.snapshot() {
        breakers.reset(&circuit.route);
    }
    assert!(is_open());
}

fn numbered(number: usize) -> Route {
    let model = format!("us.anthropic.claude-{number}");
    Route::to(model.parse().unwrap()).in_region("us-east-1")
}

/// However many routes are called, a bounded number of circuits is remembered. Those that are open,
/// forced or watched are kept before those that are not in use, and circuits that are forgotten let
/// nobody through that another would not.
#[tokio::test(start_paused = true)]
async fn circuits_that_are_not_in_use_are_forgotten() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(millis(1), || failed(Cause::Internal));
    // The first are never forgotten.
    for number in 0..8 {
        drop(breakers.watch(&numbered(number)));
    }
    let (open, forced, watched) = (numbered(100), numbered(101), numbered(102));
    while breakers.state(&open) != CircuitState::Open {
        drop(
            model
                .send(&breakers, request().with_route(open.clone()))
                .await,
        );
    }
    breakers.force_closed(&forced);
    let watching = breakers.watch(&watched);
    model.becomes(Duration::ZERO, answered);
    for number in 1000..20_000 {
        let call = model.send(&breakers, request().with_route(numbered(number)));
        call.await.unwrap();
        if number % 1000 == 0 {
            assert!(breakers.snapshot().len() <= 1040, "{number}");
        }
    }
    assert_eq!(breakers.state(&open), CircuitState::Open);
    assert!(breakers.snapshot_of(&forced).is_forced);
    breakers.force_open(&watched);
    assert_eq!(*watching.borrow(), CircuitState::Open);
    assert_eq!(breakers.state(&numbered(3)), CircuitState::Closed);
}

/// A circuit that is forgotten while calls are under way hears no more of them; the next call makes
/// another one.
#[tokio::test(start_paused = true)]
async fn a_forgotten_circuit_begins_anew() {
    let breakers = breakers(CircuitPolicy::new());
    for number in 0..8 {
        drop(breakers.watch(&numbered(number)));
    }
    let model = Model::new(secs(3600), || failed(Cause::Internal));
    let old = request().with_route(numbered(500));
    let calls: Vec<_> = (0..20)
        .map(|_| tokio::spawn(model.send(&breakers, old.clone())))
        .collect();
    sleep(secs(1)).await;
    let mut transitions = breakers.subscribe();
    // All of these are in use as much, and later.
    let quick = Model::new(Duration::ZERO, answered);
    for number in 1000..3000 {
        let call = quick.send(&breakers, request().with_route(numbered(number)));
        call.await.unwrap();
    }
    assert!(
        !breakers
            .snapshot()
            .iter()
            .any(|circuit| circuit.route == numbered(500))
    );
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
    assert_eq!(breakers.state(&numbered(500)), CircuitState::Closed);
    assert!(transitions.try_recv().is_err());
}

/// Whoever has found a circuit in the moment in which it is forgotten is let through by another.
#[tokio::test(start_paused = true)]
async fn a_forgotten_circuit_lets_nobody_through() {
    for was_open in [false, true] {
        let breakers = breakers(CircuitPolicy::new());
        let mut transitions = breakers.subscribe();
        let found = breakers.circuit(&route());
        if was_open {
            breakers.force_open(&route());
            assert_eq!(transitions.try_recv().unwrap().to, CircuitState::Open);
        }
        found.forget();
        assert_eq!(found.admit(0), Err(Refused::Forgotten));
        // Only what was not closed is missed.
        let told = transitions.try_recv().ok();
        let reason = told.map(|transition| transition.reason);
        assert_eq!(reason, was_open.then_some(TransitionReason::Forgotten));
    }
}

/// Neither a prompt nor an answer shows in anything that is printed.
#[tokio::test(start_paused = true)]
async fn debug_shows_no_prompt() {
    let breakers = breakers(CircuitPolicy::new());
    let layer = CircuitBreakerLayer::new(breakers.clone());
    let service = layer.layer(service_fn(|_: Request<&'static str>| async { answered() }));
    let call = request().context().clone();
    let future = service.oneshot(Request::new("the prompt", call));
    assert!(!format!("{future:?} {breakers:?} {layer:?}").contains("the prompt"));
    future.await.unwrap();
}
