//! What circuits tell those who listen.

use tokio::sync::broadcast::error::TryRecvError;

use super::*;

type Told = (CircuitState, CircuitState, TransitionReason);

const OPENED: Told = (
    CircuitState::Closed,
    CircuitState::Open,
    TransitionReason::FailureRate,
);

/// One outage as it is told: opened, asked, opened again, asked, closed.
async fn outage(breakers: &CircuitBreakers) -> Vec<Told> {
    use CircuitState::{Closed, HalfOpen, Open};
    let model = Model::new(millis(1), || failed(Cause::Internal));
    trip(breakers, &model).await;
    sleep(secs(5)).await;
    drop(model.send(breakers, request()).await);
    sleep(secs(10)).await;
    model.becomes(millis(1), answered);
    model.send(breakers, request()).await.unwrap();
    vec![
        OPENED,
        (Open, HalfOpen, TransitionReason::CooldownOver),
        (HalfOpen, Open, TransitionReason::ProbeFailed),
        (Open, HalfOpen, TransitionReason::CooldownOver),
        (HalfOpen, Closed, TransitionReason::ProbesSucceeded),
    ]
}

fn told(transition: &CircuitTransition) -> Told {
    (transition.from, transition.to, transition.reason)
}

/// A subscriber and a listener see every transition, in order, each generation once; and so do two.
#[tokio::test(start_paused = true)]
async fn every_transition_is_told_in_order() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let policy = CircuitPolicy::new().without_consecutive_failures();
    let breakers = breakers(policy).on_event(move |event| {
        if let CircuitEvent::Changed { transition } = event {
            ears.lock().unwrap().push(told(transition));
        }
    });
    let mut first = breakers.subscribe();
    let mut second = breakers.clone().subscribe();
    let expected = outage(&breakers).await;
    assert_eq!(*heard.lock().unwrap(), expected);
    for receiver in [&mut first, &mut second] {
        for (number, expected) in (1..).zip(&expected) {
            let transition = receiver.try_recv().unwrap();
            assert_eq!(told(&transition), *expected);
            assert_eq!(transition.generation, number);
        }
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    }
}

/// Refusals are told with the call, and the listeners of a clone are those of all.
#[tokio::test(start_paused = true)]
async fn refusals_are_told() {
    let refused = Arc::new(AtomicU32::new(0));
    let breakers = breakers(CircuitPolicy::new());
    for _ in 0..2 {
        let refused = Arc::clone(&refused);
        drop(breakers.clone().on_event(move |event| {
            if let CircuitEvent::Refused { call, refusal, .. } = event {
                assert_eq!(call.tenant.as_deref(), Some("search"));
                assert_eq!(refusal.route(), &route());
                refused.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    breakers.force_open(&route());
    let model = Model::healthy();
    for _ in 0..3 {
        let call = model.send(&breakers, request().with_tenant("search"));
        call.await.unwrap_err();
    }
    assert_eq!(refused.load(Ordering::SeqCst), 6);
    assert_eq!(breakers.snapshot_of(&route()).refused, 3);
}

/// A listener may look at the circuits, and change them: what it brings about is told after what it
/// was told of.
#[tokio::test(start_paused = true)]
async fn a_listener_may_use_the_circuits() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let slot: Arc<Mutex<Option<CircuitBreakers>>> = Arc::default();
    let (ears, inside) = (Arc::clone(&heard), Arc::clone(&slot));
    let policy = CircuitPolicy::new().without_failure_rate();
    let breakers = breakers(policy).on_event(move |event| {
        let CircuitEvent::Changed { transition } = event else {
            return;
        };
        ears.lock().unwrap().push(transition.to);
        let breakers = inside.lock().unwrap().clone().unwrap();
        if transition.reason == TransitionReason::ConsecutiveFailures {
            assert_eq!(breakers.state(&route()), CircuitState::Open);
            breakers.force_closed(&route());
        }
    });
    let second = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&second);
    let breakers = breakers.on_event(move |event| {
        if let CircuitEvent::Changed { transition } = event {
            ears.lock().unwrap().push(transition.to);
        }
    });
    let model = Model::new(millis(1), || failed(Cause::Internal));
    *slot.lock().unwrap() = Some(breakers.clone());
    for _ in 0..50 {
        drop(model.send(&breakers, request()).await);
    }
    assert_eq!(model.calls(), 50);
    let states = [CircuitState::Open, CircuitState::Closed];
    assert_eq!(*heard.lock().unwrap(), states);
    assert_eq!(*second.lock().unwrap(), states);
    slot.lock().unwrap().take();
}

/// A listener that panics takes only its own call down: the next transition is told.
#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_wedges_nothing() {
    let breakers = breakers(CircuitPolicy::new()).on_event(|event| {
        if let CircuitEvent::Changed { transition } = event {
            assert_ne!(
                transition.to,
                CircuitState::Open,
                "the listener's own fault"
            );
        }
    });
    let handle = breakers.clone();
    let forced = tokio::spawn(async move { handle.force_open(&route()) });
    assert!(forced.await.unwrap_err().is_panic());
    let mut transitions = breakers.subscribe();
    breakers.reset(&route());
    assert_eq!(transitions.try_recv().unwrap().to, CircuitState::Closed);
    Model::healthy().send(&breakers, request()).await.unwrap();
}

/// A state can be waited for; a receiver that comes late sees the state of the moment.
#[tokio::test(start_paused = true)]
async fn a_state_can_be_waited_for() {
    let breakers = breakers(CircuitPolicy::new());
    let mut state = breakers.watch(&route());
    assert_eq!(*state.borrow_and_update(), CircuitState::Closed);
    let recovers = {
        let breakers = breakers.clone();
        tokio::spawn(async move { outage(&breakers).await })
    };
    state
        .wait_for(|state| *state == CircuitState::Open)
        .await
        .unwrap();
    assert_eq!(*breakers.watch(&route()).borrow(), CircuitState::Open);
    state
        .wait_for(|state| *state == CircuitState::Closed)
        .await
        .unwrap();
    recovers.await.unwrap();
}
