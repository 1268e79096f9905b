//! What holds for every schedule of calls.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::support::*;
use crate::{
    Admission, Call, ErrorText, FaultSpec, Finish, ModelSpec, Operation, QuotaOptions, Window,
};

/// A call `gap` nanoseconds after the one before it, which ends `lasts` nanoseconds later.
#[derive(Clone, Copy, Debug)]
struct Step {
    gap: u64,
    input: u64,
    max_tokens: u64,
    output: u64,
    lasts: u64,
}

const SECOND: u64 = 1_000_000_000;
const TPM: u64 = 6_007;

fn step() -> impl Strategy<Value = Step> {
    let gap = prop_oneof![Just(0), 0..SECOND, 0..90 * SECOND, Just(60 * SECOND)];
    let lasts = prop_oneof![Just(0), 0..100 * SECOND];
    (gap, 0..2_000_u64, 0..2_000_u64, 0..2_500_u64, lasts).prop_map(
        |(gap, input, max_tokens, output, lasts)| Step {
            gap,
            input,
            max_tokens,
            output,
            lasts,
        },
    )
}

/// A call as it went, in nanoseconds and tokens.
#[derive(Clone, Copy, Debug)]
struct Went {
    at: u64,
    admitted: bool,
    held: u64,
    used: u64,
    ends: u64,
}

fn sim(window: Window) -> Sim {
    let options = QuotaOptions::new().window(window);
    Sim::with(plain().tpm(TPM), options, [])
}

/// Plays a schedule: ends come at their time, before a call of the same time.
fn play(sim: &mut Sim, steps: &[Step]) -> Vec<Went> {
    let at_time = Duration::from_nanos;
    let mut now = 0;
    let mut open = Vec::new();
    let mut went = Vec::new();
    for step in steps {
        now += step.gap;
        end(sim, &mut open, now);
        let call =
            Call::new(sim.model, Operation::Converse, step.input).max_tokens(step.max_tokens);
        let admission = sim.engine.admit(at_time(now), &call);
        let call = Went {
            at: now,
            admitted: matches!(admission, Admission::Admitted(_)),
            held: step.input + step.max_tokens,
            used: step.input + step.output,
            ends: now + step.lasts,
        };
        went.push(call);
        if let Admission::Admitted(admitted) = admission {
            open.push((call.ends, admitted.ticket, step.output));
        }
    }
    end(sim, &mut open, u64::MAX);
    went
}

fn end(sim: &mut Sim, open: &mut Vec<(u64, crate::Ticket, u64)>, until: u64) {
    open.sort_by_key(|(ends, ..)| std::cmp::Reverse(*ends));
    while let Some((ends, ticket, output_tokens)) = open.pop_if(|(ends, ..)| *ends <= until) {
        let finish = Finish::Complete { output_tokens };
        sim.engine
            .finish(Duration::from_nanos(ends), ticket, finish);
    }
}

/// Calls that use exactly what they hold.
fn exact(steps: &[Step]) -> Vec<Step> {
    let exact = |step: &Step| Step {
        output: step.max_tokens,
        ..*step
    };
    steps.iter().map(exact).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A bucket admits a call exactly when no window that ends with it would have more than the
    /// burst and the refill of its length.
    #[test]
    fn a_bucket_admits_what_every_window_allows(
        steps in vec(step(), 1..60),
        burst_seconds in prop_oneof![Just(60_u64), 30..300_u64],
    ) {
        let mut sim = sim(Window::TokenBucket { burst_seconds });
        let went = play(&mut sim, &exact(&steps));
        // In parts of which a token has 60 × 10⁹, so that all is exact.
        let parts = |tokens: u64| u128::from(tokens) * u128::from(60 * SECOND);
        for (last, call) in went.iter().enumerate() {
            let mut sum = parts(call.held);
            let mut fits = sum <= parts(TPM) * u128::from(burst_seconds) / 60;
            for before in went[..last].iter().rev().filter(|before| before.admitted) {
                sum += parts(before.held);
                let refill = u128::from(call.at - before.at) * u128::from(TPM);
                fits &= sum <= parts(TPM) * u128::from(burst_seconds) / 60 + refill;
            }
            prop_assert_eq!(call.admitted, fits, "call {} of {:?}", last, went);
        }
    }

    /// With holds that come back, the draws and returns of a window that ends with an admission are
    /// still within the burst and the refill.
    #[test]
    fn returned_holds_do_not_outgrow_the_bucket(steps in vec(step(), 1..60)) {
        let mut sim = sim(Window::default());
        let frugal: Vec<_> = steps
            .iter()
            .map(|step| Step { output: step.output.min(step.max_tokens), ..*step })
            .collect();
        let went = play(&mut sim, &frugal);
        let parts = |tokens: u64| i128::from(tokens) * i128::from(60 * SECOND);
        for (last, call) in went.iter().enumerate().filter(|(_, call)| call.admitted) {
            for first in &went[..=last] {
                let inside = |at: u64| (first.at..=call.at).contains(&at);
                let net: i128 = went[..=last]
                    .iter()
                    .filter(|one| one.admitted)
                    .map(|one| {
                        let drawn = if inside(one.at) { parts(one.held) } else { 0 };
                        let back = if inside(one.ends) { parts(one.held - one.used) } else { 0 };
                        drawn - back
                    })
                    .sum();
                let refill = i128::from(call.at - first.at) * i128::from(TPM);
                prop_assert!(net <= parts(TPM) + refill);
            }
        }
    }

    /// A sliding window admits a call exactly when it fits with what the calls of the last 60 s
    /// hold or have used.
    #[test]
    fn a_sliding_window_admits_what_the_last_minute_allows(steps in vec(step(), 1..60)) {
        let mut sim = sim(Window::SlidingWindow);
        let frugal: Vec<_> = steps
            .iter()
            .map(|step| Step { output: step.output.min(step.max_tokens), ..*step })
            .collect();
        let went = play(&mut sim, &frugal);
        for (last, call) in went.iter().enumerate() {
            let counted: u64 = went[..last]
                .iter()
                .filter(|one| one.admitted && call.at - one.at < 60 * SECOND)
                .map(|one| if one.ends <= call.at { one.used } else { one.held })
                .sum();
            prop_assert_eq!(call.admitted, counted + call.held <= TPM, "call {}", last);
        }
    }

    /// In a fixed minute, no more than the quota is held or used.
    #[test]
    fn a_fixed_minute_never_holds_more(steps in vec(step(), 1..60)) {
        let mut sim = sim(Window::FixedMinute);
        let went = play(&mut sim, &exact(&steps));
        for (last, call) in went.iter().enumerate() {
            let minute = call.at / (60 * SECOND);
            let counted: u64 = went[..last]
                .iter()
                .filter(|one| one.admitted && one.at / (60 * SECOND) == minute)
                .map(|one| one.held)
                .sum();
            prop_assert_eq!(call.admitted, counted + call.held <= TPM, "call {}", last);
        }
    }

    /// A rolling day never gives more than its quota in any 24 hours.
    #[test]
    fn a_rolling_day_is_never_exceeded(
        calls in vec((0..3 * 60 * 60 * SECOND, 0..4_000_u64), 1..200),
    ) {
        let mut sim = Sim::new(plain().tpd(10_000));
        let day = 24 * 60 * 60 * SECOND;
        let mut now = 0;
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (gap, tokens) in calls {
            now += gap;
            let call = sim.call(tokens);
            let within = |span: u64| -> u64 {
                let inside = |(at, _): &&(u64, u64)| now - at < span;
                admitted.iter().filter(inside).map(|(_, tokens)| tokens).sum()
            };
            let (least, most) = (within(day), within(day + 60 * SECOND));
            if let Admission::Admitted(_) = sim.engine.admit(Duration::from_nanos(now), &call) {
                prop_assert!(least + tokens <= 10_000);
                admitted.push((now, tokens));
            } else {
                // Nor is anything kept longer than the minute by which the day is kept.
                prop_assert!(most + tokens > 10_000);
            }
        }
    }

    /// When all calls are finished nothing is held, every request is accounted for, and what was
    /// charged is what was used; under every window, with and without lag.
    #[test]
    fn what_is_taken_is_given_back(
        steps in vec(step(), 1..60),
        window in prop_oneof![
            Just(Window::default()),
            Just(Window::SlidingWindow),
            Just(Window::FixedMinute),
        ],
        lag in prop_oneof![Just(0), 0..5_000_u64],
        charge_rejected in any::<bool>(),
    ) {
        let options = QuotaOptions::new()
            .window(window)
            .enforcement_lag(ms(lag))
            .charge_rejected(charge_rejected);
        let spec = plain().tpm(TPM).rpm(40).tpd(30_000).concurrency(5);
        let mut sim = Sim::with(spec, options, []);
        let went = play(&mut sim, &steps);
        let counts = sim.counts();
        let admitted = went.iter().filter(|one| one.admitted);
        prop_assert_eq!((counts.in_flight, counts.tokens_held), (0, 0));
        prop_assert_eq!(counts.requests, steps.len() as u64);
        prop_assert_eq!(counts.admitted + counts.refused.total(), counts.requests);
        prop_assert_eq!(counts.completed, counts.admitted);
        prop_assert_eq!(counts.tokens_settled, admitted.map(|one| one.used).sum::<u64>());
        // Long after, the whole quota is there again.
        let later = 10 * DAY;
        let whole = sim.call(TPM);
        prop_assert!(sim.serve(later, &whole));
    }

    /// The same scenario and the same calls at the same times: the same answers, to the letter, and
    /// again after a reset.
    #[test]
    fn the_same_seed_decides_the_same(steps in vec(step(), 1..40)) {
        let new = || {
            let spec = ModelSpec::new(MODEL)
                .tpm(TPM)
                .rpm(50)
                .latency(ms(100))
                .latency_jitter(0.3)
                .output_tokens((1, 500));
            let faults = [
                FaultSpec::error(ErrorText::InternalServer).probability(0.2),
                FaultSpec::error(ErrorText::TooManyConnections).probability(0.1).every(2),
            ];
            Sim::with(spec, QuotaOptions::new(), faults)
        };
        let answers = |sim: &mut Sim| -> Vec<String> {
            let mut now = 0;
            let mut answers = Vec::new();
            for step in &steps {
                now += step.gap;
                let call = Call::new(sim.model, Operation::Converse, step.input);
                match sim.admit(now / 1_000_000, &call) {
                    Ok(admitted) => {
                        answers.push(format!(
                            "{} {:?}", admitted.output_tokens, admitted.first_token_after
                        ));
                        sim.complete(now / 1_000_000, admitted);
                    }
                    Err(refusal) => answers.push(refusal.message.into_owned()),
                }
            }
            answers
        };
        let (mut one, mut other) = (new(), new());
        let first = answers(&mut one);
        prop_assert_eq!(&first, &answers(&mut other));
        one.engine.reset();
        prop_assert_eq!(&first, &answers(&mut one));
    }

    /// Time that goes back is taken to stand still: it neither panics nor invents tokens.
    #[test]
    fn time_that_goes_back_stands_still(
        times in vec(prop_oneof![0..200_000_u64, Just(u64::MAX)], 1..60),
        window in prop_oneof![
            Just(Window::default()),
            Just(Window::SlidingWindow),
            Just(Window::FixedMinute),
        ],
    ) {
        let new = || {
            let options = QuotaOptions::new().window(window);
            Sim::with(plain().rpm(10).tpm(TPM).tpd(20_000), options, [])
        };
        let (mut wild, mut tame) = (new(), new());
        let mut latest = 0;
        for time in times {
            latest = latest.max(time);
            let call = wild.call(1_500);
            prop_assert_eq!(wild.serve(time, &call), tame.serve(latest, &call));
        }
    }
}
