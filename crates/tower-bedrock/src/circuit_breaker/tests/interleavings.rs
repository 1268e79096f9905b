//! Threads at one circuit, in every order (`cargo xtask loom`).

use super::{
    outcome::{Outcome, Ticket},
    *,
};
use crate::{
    circuit_breaker::circuit::Circuit,
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
    let ticket = circuit.admit().expect("it is closed");
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
                thread::spawn(move || circuit.admit().ok())
            })
            .collect();
        let own = circuit.admit().ok();
        let others = threads.into_iter().filter_map(|one| one.join().unwrap());
        let probes: Vec<Ticket> = own.into_iter().chain(others).collect();
        assert_eq!(probes.len(), 1, "{probes:?}");
        assert_eq!(circuit.view(Instant::now()).probes, 1);
        circuit.abandon(Instant::now(), probes[0], Outcome::Nothing);
        assert_eq!(circuit.view(Instant::now()).probes, 0);
        assert!(circuit.admit().is_ok() && circuit.admit().is_err());
    });
}

/// A probe is dropped while others come: at every moment one at most is out, and in the end there is
/// room for one.
#[test]
fn the_place_of_a_dropped_probe_is_free() {
    check(|| {
        let circuit = cooled_down(&touchy());
        let probe = circuit.admit().expect("room for a probe");
        let comes = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || {
                let ticket = circuit.admit();
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
        assert!(circuit.admit().is_ok());
    });
}

/// A call from before the circuit opened ends when it is half-open, beside the probe: it says nothing
/// of it, and the probe alone closes it.
#[test]
fn a_call_of_another_generation_does_not_count() {
    check(|| {
        let breakers = touchy();
        let circuit = breakers.circuit(&route());
        let old = circuit.admit().expect("it is closed");
        trip(&circuit);
        advance(secs(2));
        let probe = circuit.admit().expect("room for a probe");
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
/// afterwards goes, and each that went has a number of its own.
#[test]
fn nobody_passes_a_circuit_that_has_opened() {
    check(|| {
        let breakers = touchy();
        let circuit = breakers.circuit(&route());
        let passes = {
            let circuit = Arc::clone(&circuit);
            thread::spawn(move || {
                let first = circuit.admit().ok();
                let second = circuit.admit().ok();
                assert!(first.is_some() || second.is_none());
                (first, second)
            })
        };
        let own = circuit.admit().expect("it is closed");
        breakers.force_open(&route());
        assert!(circuit.admit().is_err());
        assert!(matches!(
            breakers.ask(
                &CallContext::new(Operation::Converse, route()),
                &route(),
                Instant::now()
            ),
            Passage::Closed { .. }
        ));
        let (first, second) = passes.join().unwrap();
        let mut numbers: Vec<_> = [Some(own), first, second]
            .into_iter()
            .flatten()
            .map(|ticket| ticket.number)
            .collect();
        let admitted = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), admitted, "{numbers:?}");
        assert!(circuit.admit().is_err());
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
