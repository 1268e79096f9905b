//! Slots, latency, output, and what a model cannot take.

use std::time::Duration;

use super::support::*;
use crate::{Call, Exception, Finish, ModelSpec, Operation, WhenFull};

/// A call that finds all slots taken is refused in the words that the scenario asks for, and takes
/// nothing of the quota with it; a finished call frees its slot, however it ended.
#[test]
fn a_full_model_refuses_until_a_slot_is_free() {
    for (when_full, exception, text) in [
        (
            WhenFull::ServiceUnavailable,
            Exception::ServiceUnavailable,
            "Too many connections, please wait before trying again.",
        ),
        (
            WhenFull::Overloaded,
            Exception::Throttling,
            "Model amazon.nova-lite-v1:0 is currently overloaded. Please try again later.",
        ),
    ] {
        let mut sim = Sim::new(plain().concurrency(2).when_full(when_full).tpm(30));
        let call = sim.call(10);
        let first = sim.admit(0, &call).unwrap();
        let _second = sim.admit(0, &call).unwrap();
        for _ in 0..5 {
            let refusal = sim.admit(0, &call).unwrap_err();
            assert_eq!(refusal.exception, exception);
            assert_eq!(refusal.message, text);
        }
        sim.finish(0, first, Finish::Failed { output_tokens: 0 });
        assert!(sim.admit(0, &call).is_ok());
        assert_eq!(sim.counts().refused.capacity, 5);
    }
}

/// Output is what the scenario says, cut by `maxTokens`, else by the model's maximum; only a cut is
/// reported as one.
#[test]
fn output_is_cut_by_max_tokens() {
    let mut sim = Sim::new(ModelSpec::new(MODEL).output_tokens(100).max_output(150));
    for (max_tokens, output, cut) in [
        (Some(99), 99, true),
        (Some(100), 100, false),
        (Some(150), 100, false),
        (None, 100, false),
    ] {
        let call = Call {
            max_tokens,
            ..Call::new(sim.model, Operation::Converse, 1)
        };
        let admitted = sim.admit(0, &call).unwrap();
        assert_eq!(
            (admitted.output_tokens, admitted.hit_max_tokens),
            (output, cut)
        );
    }
    let mut sim = Sim::new(ModelSpec::new(MODEL).output_tokens(100).max_output(50));
    let call = Call::new(sim.model, Operation::Converse, 1);
    let admitted = sim.admit(0, &call).unwrap();
    assert_eq!(
        (admitted.output_tokens, admitted.hit_max_tokens),
        (50, true)
    );
}

/// Output and latency stay within their bounds, and reach both ends of them.
#[test]
fn drawn_numbers_fill_their_range() {
    let spec = ModelSpec::new(MODEL)
        .output_tokens((3, 6))
        .latency(Duration::from_nanos(4))
        .latency_jitter(0.5);
    let mut sim = Sim::new(spec);
    let call = Call::new(sim.model, Operation::Converse, 1);
    let (mut outputs, mut latencies) = ([0; 8], [0; 8]);
    for _ in 0..1_000 {
        let admitted = sim.admit(0, &call).unwrap();
        outputs[usize::try_from(admitted.output_tokens).unwrap()] += 1;
        latencies[usize::try_from(admitted.first_token_after.as_nanos()).unwrap()] += 1;
    }
    let filled = |counts: [u32; 8]| counts.map(|count| count > 0);
    assert_eq!(
        filled(outputs),
        [false, false, false, true, true, true, true, false]
    );
    assert_eq!(
        filled(latencies),
        [false, false, true, true, true, true, true, false]
    );
}

/// The last token comes one step after another from the first.
#[test]
fn tokens_come_at_their_speed() {
    let spec = ModelSpec::new(MODEL)
        .latency(ms(200))
        .tokens_per_second(50)
        .output_tokens(101);
    let mut sim = Sim::new(spec);
    let call = Call::new(sim.model, Operation::ConverseStream, 1);
    let admitted = sim.admit(0, &call).unwrap();
    assert_eq!(admitted.first_token_after, ms(200));
    assert_eq!(admitted.per_token, ms(20));
    assert_eq!(admitted.last_token_after(), ms(2_200));

    let mut sim = Sim::new(ModelSpec::new(MODEL));
    let call = Call::new(sim.model, Operation::ConverseStream, 1);
    assert_eq!(sim.admit(0, &call).unwrap().last_token_after(), ms(0));
}

/// What a model cannot take at all is a validation error, before any quota.
#[test]
fn a_call_beyond_the_model_is_invalid() {
    let spec = ModelSpec::new(MODEL)
        .context_window(1_000)
        .max_output(200)
        .rpm(1);
    let mut sim = Sim::new(spec);
    let long = Call {
        cache_read_tokens: 400,
        cache_write_tokens: 301,
        ..Call::new(sim.model, Operation::Converse, 300)
    };
    let refusal = sim.admit(0, &long).unwrap_err();
    assert_eq!(refusal.exception, Exception::Validation);
    assert_eq!(refusal.message, "Input is too long for requested model.");

    let greedy = Call::new(sim.model, Operation::Converse, 1).max_tokens(201);
    let refusal = sim.admit(0, &greedy).unwrap_err();
    assert_eq!(refusal.exception, Exception::Validation);
    assert!(refusal.message.contains("exceed the model limit of 200"));

    let fitting = Call::new(sim.model, Operation::Converse, 1_000).max_tokens(200);
    assert!(sim.admit(0, &fitting).is_ok());
    assert_eq!(sim.counts().refused.validation, 2);
}

/// `CountTokens` and `ApplyGuardrail` draw on nothing and need no slot.
#[test]
fn operations_that_do_not_generate_are_free() {
    let mut sim = Sim::new(plain().rpm(1).tpm(10).concurrency(1));
    let _generating = sim.admit(0, &sim.call(10)).unwrap();
    for _ in 0..10 {
        let count = Call::new(sim.model, Operation::CountTokens, 1_000_000);
        let admitted = sim.admit(0, &count).unwrap();
        assert_eq!(admitted.output_tokens, 0);
        sim.complete(0, admitted);
        let guardrail = sim
            .engine
            .admit_without_model(ms(0), REGION, Operation::ApplyGuardrail);
        assert!(matches!(guardrail, crate::Admission::Admitted(_)));
    }
    assert_eq!(sim.counts().in_flight, 1);
    let totals = sim.engine.ledger(ms(0)).totals;
    assert_eq!((totals.requests, totals.admitted), (21, 21));
    assert_eq!(totals.tokens_held, 10);
}

/// A time that no clock can tell is as good as never, but no panic.
#[test]
fn the_longest_latency_can_stray() {
    let spec = ModelSpec::new(MODEL)
        .latency(Duration::MAX)
        .latency_jitter(1.0);
    let mut sim = Sim::new(spec);
    let call = Call::new(sim.model, Operation::Converse, 1);
    let admitted = sim.admit(0, &call).unwrap();
    assert!(admitted.first_token_after > Duration::ZERO);
}

/// A call that asks for more than the model can give is refused by the scenario's number, or by the
/// published one where it is known well enough; elsewhere it is not.
#[test]
fn more_than_the_model_can_give_is_refused() {
    for (spec, allowed) in [
        (ModelSpec::new(MODEL).max_output(150), 150),
        (
            ModelSpec::new("anthropic.claude-haiku-4-5-20251001-v1:0"),
            64_000,
        ),
        (ModelSpec::new("us.anthropic.claude-opus-4-8"), 128_000),
    ] {
        let mut sim = Sim::new(spec);
        let call = Call::new(sim.model, Operation::Converse, 1);
        assert!(sim.admit(0, &call.max_tokens(allowed)).is_ok(), "{allowed}");
        let refusal = sim.admit(0, &call.max_tokens(allowed + 1)).unwrap_err();
        assert_eq!(refusal.exception, Exception::Validation);
        assert!(
            refusal.message.contains(&format!("limit of {allowed}.")),
            "{}",
            refusal.message
        );
    }
    let mut sim = Sim::new(ModelSpec::new("vendor.model"));
    let call = Call::new(sim.model, Operation::Converse, 1);
    assert!(sim.admit(0, &call.max_tokens(1_000_000)).is_ok());
}
