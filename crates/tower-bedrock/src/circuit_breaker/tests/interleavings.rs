//! Threads at one circuit, in every order (`cargo xtask loom`).

use super::{
    outcome::{Outcome, Ticket},
    *,
};
use crate::{
    circuit_breaker::{breaker::Breaker, circuit::Circuit},
    interleavings::{advance, check, thread},
    route_gate::{Passage, RouteGate},
};

const FAILURE: Outcome = Outcome::Failure {
    is_slow: false,
    hint: None,
};
const SUCCESS: Outcome = Outcome::Success { is_slow: false };

/// Circuits that the first failure opens.
fn touchy() -> CircuitBreakers {
    breakers(
        CircuitPolicy::new()
            .with_min_calls(1)
            .with_consecutive_failures(1)
            .with_cooldown(secs(1), secs(1))
            .with_probes(1)
            .with_successes_to_close(1),
    )
}

fn trip(circuit: &Arc<Circuit>) {
    let ticket = circuit.admit(0).expect("it is closed");
    circuit.settle(Instant::now(), ticket, FAILURE);
    assert_eq!(circuit.state(), CircuitState::Open);
}

/// A circuit whose cooldown is over.
fn cooled_down(breakers: &CircuitBreakers) -> Arc<Circuit> {
    let circuit = breakers.circuit(&route());
    trip(&circuit);
    advance(secs(2));
    circuit
}

/// The cooldown is over, and three come at once: one goes, and is the probe. When it has gone without
/// a word, there is room for one again.
#[test]
fn one_probe_goes() {
    check(|| {
        let circuit = cooled_down(&touchy());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let circuit = Arc::clone(&circuit);
                thread::spawn(move || circuit.admit(1).ok())
            })
            .collect();
        let own = circuit.admit(0).ok();
        let others = threads.into_iter().filter_map(|one| one.join().unwrap());
        let probes: Vec<Ticket> = own.into_iter().chain(others).collect();
        assert_eq!(probes.len(), 1, "{probes:?}");
        assert_eq!(circuit.view(Instant::now()).probes, 1);
        circuit.abandon(Instant::now(), probes[0], Outcome::Nothing);
        assert_eq!(circuit.view(Instant::now()).probes, 0);
        assert!(circuit.admit(0).is_ok() && circuit.admit(0).is_err());
    });
}

/// A probe is dropped while others come: at every moment one at most is out, and in the end there is
/// room for one.
#[test]
fn the_place_of_a_dropped_probe_is_free() {
    check(|| {
        let circuit = cooled_down(&touchy());
        let probe = circuit.admit(0).expect("room for a probe");
        let comes = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || {
                let ticket = circuit.admit(1);
                let now = Instant::now();
                assert!(circuit.view(now).probes <= 1);
                if let Ok(ticket) = ticket {
                    circuit.abandon(now, ticket, Outcome::Nothing);
                }
            })
        };
        let now = Instant::now();
        circuit.abandon(now, probe, Outcome::Nothing);
        comes.join().unwrap();
        assert_eq!(circuit.view(now).probes, 0);
        assert!(circuit.admit(0).is_ok());
    });
}

/// A call from before the circuit opened ends when it is half-open, beside the probe: it says nothing
/// of it, and the probe alone closes it.
#[test]
fn a_call_of_another_generation_does_not_count() {
    check(|| {
        let breakers = touchy();
        let circuit = breakers.circuit(&route());
        let old = circuit.admit(0).expect("it is closed");
        trip(&circuit);
        advance(secs(2));
        let probe = circuit.admit(0).expect("room for a probe");
        let ends_late = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || circuit.settle(Instant::now(), old, FAILURE))
        };
        circuit.settle(Instant::now(), probe, SUCCESS);
        ends_late.join().unwrap();
        assert_eq!(circuit.state(), CircuitState::Closed);
        assert!(circuit.passes());
        assert_eq!(circuit.view(Instant::now()).counts.failures, 0);
    });
}

/// Calls go through a closed circuit without its lock while it is opened by hand: none that comes
/// afterwards goes.
#[test]
fn nobody_passes_a_circuit_that_has_opened() {
    check(|| {
        let breakers = touchy();
        let circuit = breakers.circuit(&route());
        let passes = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || {
                let first = circuit.admit(1).is_ok();
                let second = circuit.admit(1).is_ok();
                assert!(first || !second);
            })
        };
        assert!(circuit.admit(0).is_ok(), "it is closed");
        breakers.force_open(&route());
        assert!(circuit.admit(0).is_err());
        assert!(matches!(
            breakers.ask(
                &CallContext::new(Operation::Converse, route()),
                &route(),
                Instant::now()
            ),
            Passage::Closed { .. }
        ));
        passes.join().unwrap();
        assert!(circuit.admit(1).is_err());
    });
}

/// A circuit that opens when half of two calls or more have failed, and nothing else.
fn half() -> Arc<Circuit> {
    let policy = CircuitPolicy::new()
        .without_consecutive_failures()
        .with_min_calls(2)
        .with_failure_rate(0.5);
    breakers(policy).circuit(&route())
}

/// Lets `number` calls go in `lane`, one after the other, and be answered.
fn answered_in(circuit: &Arc<Circuit>, lane: usize, number: u32) {
    for _ in 0..number {
        let ticket = circuit.admit(lane).expect("it is closed");
        circuit.answered(lane, Instant::now(), ticket);
    }
}

/// Two threads count answers in lanes of their own, or share one, while a third looks: whoever looks
/// sees those that were counted before, and in the end each is counted once.
#[test]
fn answers_count_once() {
    for lanes in [[0, 1], [1, 1]] {
        check(move || {
            let circuit = half();
            let threads = lanes.map(|lane| {
                let circuit = Arc::clone(&circuit);
                thread::spawn(move || answered_in(&circuit, lane, 1))
            });
            answered_in(&circuit, 0, 1);
            let seen = circuit.view(Instant::now()).counts.calls;
            assert!((1..=3).contains(&seen), "{seen}");
            threads.into_iter().for_each(|one| one.join().unwrap());
            assert_eq!(circuit.view(Instant::now()).counts.calls, 3);
        });
    }
}

/// Of two calls one fails and one is answered, each in its thread. Whichever is over first, the other
/// makes it half of two: that opens the circuit, always.
#[test]
fn no_answer_slips_past_a_failure() {
    check(|| {
        let circuit = half();
        let [answered, failed] = [0, 1].map(|lane| circuit.admit(lane).expect("it is closed"));
        let fails = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || circuit.settle(Instant::now(), failed, FAILURE))
        };
        circuit.answered(0, Instant::now(), answered);
        fails.join().unwrap();
        assert_eq!(circuit.state(), CircuitState::Open);
        assert_eq!(circuit.view(Instant::now()).counts.calls, 0);
    });
}

/// A failure, an answer and another failure, of which the last two are over at the same time. Either
/// the answer was first, and there are not two failures in a row; or it was last, and says nothing of
/// the generation that began in between.
#[test]
fn an_answer_is_before_a_failure_or_after_it() {
    check(|| {
        let policy = CircuitPolicy::new()
            .without_failure_rate()
            .with_consecutive_failures(2);
        let circuit = breakers(policy).circuit(&route());
        let [first, answered, last] = [0, 1, 0].map(|lane| circuit.admit(lane).expect("closed"));
        circuit.settle(Instant::now(), first, FAILURE);
        let answers = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || circuit.answered(1, Instant::now(), answered))
        };
        circuit.settle(Instant::now(), last, FAILURE);
        answers.join().unwrap();
        let view = circuit.view(Instant::now());
        let told = (view.state, view.counts.calls, view.consecutive_failures);
        let is_first = (CircuitState::Closed, 3, 1);
        let is_last = (CircuitState::Open, 0, 0);
        assert!(told == is_first || told == is_last, "{told:?}");
    });
}

/// A call is answered while the circuit is opened by hand and closed again: it counts in its own
/// generation or not at all.
#[test]
fn an_answer_of_another_generation_does_not_count() {
    check(|| {
        let circuit = half();
        let ticket = circuit.admit(1).expect("it is closed");
        let answers = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || circuit.answered(1, Instant::now(), ticket))
        };
        circuit.force(Breaker::reset);
        assert_eq!(circuit.view(Instant::now()).counts.calls, 0);
        answers.join().unwrap();
        assert_eq!(circuit.view(Instant::now()).counts.calls, 0);
        answered_in(&circuit, 1, 1);
        assert_eq!(circuit.view(Instant::now()).counts.calls, 1);
    });
}

/// Calls are admitted and answered in two threads while an era ends: in the end none is under way, so
/// that one failure is half of two.
#[test]
fn calls_of_two_eras_are_all_over() {
    check(|| {
        let circuit = half();
        let before = circuit.admit(1).expect("it is closed");
        advance(secs(15));
        let goes_on = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || {
                let ticket = circuit.admit(1).expect("it is closed");
                circuit.answered(1, Instant::now(), before);
                circuit.settle(Instant::now(), ticket, Outcome::Nothing);
            })
        };
        let ticket = circuit.admit(0).expect("it is closed");
        circuit.settle(Instant::now(), ticket, Outcome::Nothing);
        goes_on.join().unwrap();
        let ticket = circuit.admit(0).expect("it is closed");
        circuit.settle(Instant::now(), ticket, FAILURE);
        assert_eq!(circuit.state(), CircuitState::Open);
    });
}

/// Two threads turn the circuit over: every transition is told, once, in order, and no two at a time.
#[test]
fn transitions_are_told_once_and_in_order() {
    check(|| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let breakers = touchy().on_event(move |event| {
            if let CircuitEvent::Changed { transition } = event {
                let mut heard = ears.try_lock().expect("one listener at a time");
                heard.push((transition.generation, transition.to));
                // Whoever else turns it over may do so now.
                thread::yield_now();
            }
        });
        let circuit = breakers.circuit(&route());
        let opens = {
            let breakers = breakers.clone();
            thread::spawn(move || breakers.force_open(&route()))
        };
        breakers.force_closed(&route());
        opens.join().unwrap();
        let heard = heard.lock().unwrap().clone();
        let generations: Vec<_> = heard.iter().map(|(generation, _)| *generation).collect();
        assert_eq!(generations, [1, 2], "{heard:?}");
        assert_eq!(heard[1].1, circuit.state());
    });
}

/// A table that is full forgets circuits. One that is held open by hand stays open for all, whoever
/// comes by at the time; and a call that finds its circuit forgotten finds another one.
#[test]
fn what_was_set_by_hand_is_not_forgotten() {
    fn at(region: &'static str) -> Route {
        route().in_region(region)
    }

    check(|| {
        let breakers = touchy();
        // The first one stays; of others there is room for one.
        drop(breakers.circuit(&at("first")));
        breakers.force_open(&at("shut"));
        let threads: Vec<_> = ["this", "that"]
            .into_iter()
            .map(|own| {
                let breakers = breakers.clone();
                thread::spawn(move || {
                    let mut call = CallContext::new(Operation::Converse, at(own));
                    assert!(breakers.admit(&mut call).is_ok(), "it is closed");
                    let mut call = CallContext::new(Operation::Converse, at("shut"));
                    assert!(breakers.admit(&mut call).is_err(), "it was shut by hand");
                })
            })
            .collect();
        threads.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(breakers.state(&at("shut")), CircuitState::Open);
    });
}
