//! The state machine against one that is written as plainly as it can be.

use proptest::prelude::*;

use super::{
    bypass::Subject,
    reference::{Going, Phase, Reference, Terms},
    *,
};
use crate::circuit_breaker::{
    lanes::LANES,
    outcome::{Outcome, Refused, Ticket},
};

/// What can happen to a circuit.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time goes on, or back a little.
    Wait(u64),
    Back(u64),
    Call,
    /// One of the calls under way ends.
    End(usize, Outcome),
    Drop(usize, Outcome),
    ForceOpen,
    ForceClosed,
    Reset,
}

/// A step from three numbers: drawn like that, a case costs a tenth of what strategies for each kind
/// of step cost.
fn step((kind, size, more): (u8, u16, u16)) -> Step {
    let size = u64::from(size);
    let hint = (more % 5 == 0).then(|| millis(u64::from(more)));
    let is_slow = more % 3 == 0;
    let outcome = match more % 20 {
        0..6 => Outcome::Success { is_slow },
        6..14 => Outcome::Failure { is_slow, hint },
        14..16 => Outcome::Slow { hint },
        16..18 => Outcome::Throttled { hint },
        _ => Outcome::Nothing,
    };
    match kind % 40 {
        0..6 => Step::Wait(size % 3_000),
        6 => Step::Wait(size * 2),
        7 => Step::Wait(60 * 24 * 3_600_000),
        8 => Step::Back(size % 5_000),
        9..23 => Step::Call,
        23..36 => Step::End(usize::from(more), outcome),
        36..39 => Step::Drop(usize::from(more), outcome),
        _ => match size % 3 {
            0 => Step::ForceOpen,
            1 => Step::ForceClosed,
            _ => Step::Reset,
        },
    }
}

prop_compose! {
    fn terms()(
        min_calls in 1_usize..8,
        failure_percent in prop::option::of(1_usize..=100),
        in_a_row in 1_usize..8,
        has_row in any::<bool>(),
        slow_percent in prop::option::of(1_usize..=100),
        cooldown in 1_u64..8,
        longer in 0_u64..12,
        jitter in any::<bool>(),
        probes in 1_usize..4,
        to_close in 1_usize..4,
    ) -> Terms {
        // So that a thousandth of half of it is a whole millisecond.
        let cooldown = cooldown * 2_000;
        Terms {
            min_calls,
            failure_percent,
            in_a_row: (has_row || failure_percent.is_none()).then_some(in_a_row),
            slow_percent,
            cooldown,
            max_cooldown: cooldown + longer * 2_000,
            jitter,
            probes,
            to_close,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12_000))]

    /// Whatever happens, in whatever order: who is admitted, who is refused and for how long, what is
    /// counted, and the state are the same as of the reference. Nobody is admitted while it is open,
    /// and no more probes have a place than may. All of it is the same for calls that go past the lock,
    /// in whatever lane, and whenever somebody looks.
    #[test]
    fn behaves_like_the_reference(
        terms in terms(),
        goes_past in any::<bool>(),
        steps in prop::collection::vec(any::<(u8, u16, u16)>(), 1..80),
    ) {
        let policy = terms.policy();
        policy.check().unwrap();
        let start = Instant::now();
        let mut subject = Subject::new(start, policy);
        let mut reference = Reference::new(terms);
        let mut going: Vec<(Ticket, Going)> = Vec::new();
        let mut clock = 0;
        for numbers in steps {
            let (step, permille) = (step(numbers), u64::from(numbers.1 % 1001));
            let draw = |most: Duration| most * permille as u32 / 1000;
            match step {
                Step::Wait(millis) => clock += millis,
                // Past the lock nobody would know.
                Step::Back(millis) if !goes_past => clock = clock.saturating_sub(millis),
                _ => {}
            }
            let now = start + millis(clock);
            let is_end = matches!(step, Step::End(..) | Step::Drop(..));
            if matches!(step, Step::Wait(_) | Step::Back(_)) || (is_end && going.is_empty()) {
                continue;
            }
            let lane = usize::from(numbers.1) % LANES;
            let is_call = matches!(step, Step::Call);
            let passes = subject.bypass.passes().filter(|_| goes_past && is_call);
            if passes.is_none() {
                reference.is_told(clock);
            }
            match step {
                Step::Wait(_) | Step::Back(_) => {}
                Step::Call => {
                    let was_closed = subject.breaker.passes();
                    prop_assert_eq!(subject.bypass.passes().is_some(), was_closed);
                    let admitted = match passes {
                        Some(generation) => Ok(subject.bypass.admit(lane, generation)),
                        None => subject.locked(|breaker| breaker.admit(now).0),
                    };
                    let expected = reference.call();
                    match (admitted, expected) {
                        (Ok(ticket), Ok(expected)) => {
                            prop_assert!(was_closed || subject.breaker.state() == CircuitState::HalfOpen);
                            going.push((ticket, expected));
                        }
                        (Err(Refused::Open { retry_in }), Err(expected)) => {
                            prop_assert!(!was_closed);
                            prop_assert_eq!(retry_in, expected.map(millis));
                        }
                        (admitted, expected) => {
                            prop_assert!(false, "{admitted:?} is not {expected:?}");
                        }
                    }
                }
                Step::End(which, outcome) | Step::Drop(which, outcome) => {
                    let (ticket, expected) = going.swap_remove(which % going.len());
                    let is_drop = matches!(step, Step::Drop(..));
                    let is_answer = outcome == Outcome::Success { is_slow: false } && !is_drop;
                    let is_past = goes_past && is_answer && subject.bypass.answered(lane, now, ticket);
                    if !is_past {
                        subject.locked(|breaker| match is_drop {
                            true => breaker.abandon(now, ticket, outcome, draw),
                            false => breaker.settle(now, ticket, outcome, draw),
                        });
                        reference.abandoned += u64::from(is_drop);
                    }
                    reference.end(expected, outcome, permille);
                }
                Step::ForceOpen => {
                    subject.locked(|breaker| breaker.force_open(now));
                    if reference.phase != Phase::ForcedOpen {
                        reference.turn(Phase::ForcedOpen);
                    }
                }
                Step::ForceClosed => {
                    subject.locked(|breaker| breaker.force_closed(now));
                    if reference.phase != Phase::ForcedClosed {
                        reference.turn(Phase::ForcedClosed);
                    }
                }
                Step::Reset => {
                    subject.locked(|breaker| breaker.reset(now));
                    reference.begin_anew();
                }
            }
            if goes_past && numbers.0 % 8 != 0 {
                continue;
            }
            reference.is_told(clock);
            let view = subject.locked(|breaker| breaker.view(now));
            let counts = (view.counts.calls, view.counts.failures, view.counts.slow);
            let expected = reference.counts();
            prop_assert_eq!(
                counts,
                (expected.0 as u32, expected.1 as u32, expected.2 as u32)
            );
            prop_assert_eq!(view.state, reference.state());
            prop_assert_eq!(view.generation, reference.era);
            prop_assert_eq!(view.consecutive_failures as usize, reference.in_a_row);
            prop_assert_eq!(view.probes, reference.places());
            prop_assert!(view.probes <= terms.probes);
            prop_assert_eq!(view.abandoned, reference.abandoned);
            prop_assert_eq!(view.refused, reference.refused);
        }
    }
}
