//! The numbers that AWS and others have published.

use super::support::*;
use crate::{Call, Finish, ModelSpec, Operation, QuotaOptions, Window};

/// The documentation's example (BEDROCK.md §3.2): a hold of 40 000, a final charge of 9 000.
#[test]
fn hold_and_settle_follow_the_published_example() {
    let spec = ModelSpec::new("us.anthropic.claude-sonnet-4-5-20250929-v1:0").tpm(1_000_000);
    let mut sim = Sim::new(spec);
    let call = Call {
        cache_read_tokens: 4_000,
        cache_write_tokens: 1_000,
        ..Call::new(sim.model, Operation::Converse, 3_000).max_tokens(32_000)
    };
    let admitted = sim.admit(0, &call).unwrap();
    assert_eq!(sim.counts().tokens_held, 40_000);
    let finish = Finish::Complete {
        output_tokens: 1_000,
    };
    sim.finish(1_000, admitted, finish);
    assert_eq!(sim.counts().tokens_held, 0);
    assert_eq!(sim.counts().tokens_settled, 9_000);
}

/// What the final charge leaves of the hold can be drawn again at once.
#[test]
fn the_rest_of_a_hold_comes_back() {
    let spec = ModelSpec::new(MODEL).burndown(5).tpm(40_000);
    let mut sim = Sim::new(spec);
    let call = Call {
        cache_read_tokens: 4_000,
        cache_write_tokens: 1_000,
        ..Call::new(sim.model, Operation::Converse, 3_000).max_tokens(32_000)
    };
    let admitted = sim.admit(0, &call).unwrap();
    assert!(sim.admit(0, &sim.call(1)).is_err());
    let finish = Finish::Complete {
        output_tokens: 1_000,
    };
    sim.finish(0, admitted, finish);
    assert!(sim.admit(0, &sim.call(31_001)).is_err());
    assert!(sim.admit(0, &sim.call(31_000)).is_ok());
}

/// 2 M tokens per minute bear 31 calls at a time of a model whose maximum is 64 000, and 1 333 of
/// the same 500 input tokens once `maxTokens` is 1 000 (BEDROCK.md §3.2, QH).
#[test]
fn unset_max_tokens_holds_the_maximum() {
    let spec = ModelSpec::new("us.anthropic.claude-haiku-4-5-20251001-v1:0").tpm(2_000_000);
    let concurrent = |max_tokens: Option<u64>| {
        let mut sim = Sim::new(spec.clone());
        let call = Call {
            max_tokens,
            ..Call::new(sim.model, Operation::ConverseStream, 500)
        };
        while sim.admit(0, &call).is_ok() {}
        sim.counts().in_flight
    };
    assert_eq!(concurrent(None), 31);
    assert_eq!(concurrent(Some(1_000)), 1_333);
}

/// With burndown, output can cost more than was held: the quota goes into debt and has to earn it
/// back.
#[test]
fn output_beyond_the_hold_is_a_debt() {
    let spec = ModelSpec::new(MODEL).burndown(15).tpm(6_000);
    let mut sim = Sim::new(spec);
    let call = Call::new(sim.model, Operation::Converse, 1_000).max_tokens(1_000);
    let admitted = sim.admit(0, &call).unwrap();
    // 1 000 + 15 × 1 000 of a bucket of 6 000: 10 000 in debt, at 100 a second.
    let finish = Finish::Complete {
        output_tokens: 1_000,
    };
    sim.finish(0, admitted, finish);
    assert!(sim.admit(100_009, &sim.call(1)).is_err());
    assert!(sim.admit(100_010, &sim.call(1)).is_ok());
}

/// A call that broke half way is charged its input and what was generated up to then.
#[test]
fn a_failed_call_costs_what_it_used() {
    let mut sim = Sim::new(ModelSpec::new(MODEL).burndown(5).tpm(10_000));
    let call = Call {
        cache_read_tokens: 50,
        cache_write_tokens: 20,
        ..Call::new(sim.model, Operation::ConverseStream, 100).max_tokens(1_000)
    };
    let admitted = sim.admit(0, &call).unwrap();
    sim.finish(10, admitted, Finish::Failed { output_tokens: 7 });
    let counts = sim.counts();
    assert_eq!(counts.tokens_settled, 100 + 20 + 7 * 5);
    assert_eq!((counts.failed, counts.completed), (1, 0));
}

/// How many of evenly spaced calls are admitted, and when the first is refused.
fn evenly(
    spec: ModelSpec,
    options: QuotaOptions,
    tokens: u64,
    calls: u64,
    seconds: u64,
) -> (u64, u64) {
    let mut sim = Sim::with(spec, options, []);
    let call = sim.call(tokens);
    let mut first_refused = u64::MAX;
    let mut admitted = 0;
    for number in 0..calls {
        let at = number * seconds * 1_000 / calls;
        if sim.serve(at, &call) {
            admitted += 1;
        } else {
            first_refused = first_refused.min(at);
        }
    }
    (admitted, first_refused)
}

/// The measured points of BEDROCK.md §3.4, as they follow from a bucket of one minute's quota.
#[test]
fn the_bucket_gives_the_measured_points() {
    let bucket = QuotaOptions::new();

    // Sonnet 4: 300 requests per minute against a quota of 200, for 15 minutes. The bucket and 15
    // minutes of refill make 3 200; the last call comes 200 ms before the end of them.
    let (admitted, _) = evenly(plain().rpm(200), bucket.clone(), 0, 4_500, 15 * 60);
    assert_eq!(admitted, 3_199);

    // Sonnet 5: 21.1 calls a second of 5 026 tokens against 3 M tokens per minute, for a minute.
    let (admitted, first_refused) =
        evenly(plain().tpm(3_000_000), bucket.clone(), 5_026, 1_266, 60);
    assert_eq!(1_266 - admitted, 73);
    assert_eq!(first_refused / 1_000, 53);

    // The same at 20 calls a second for half a minute: none.
    let (admitted, _) = evenly(plain().tpm(3_000_000), bucket.clone(), 5_026, 600, 30);
    assert_eq!(admitted, 600);

    // The same at 30.5 a second: 34.8 % refused.
    let (admitted, _) = evenly(plain().tpm(3_000_000), bucket.clone(), 5_026, 1_830, 60);
    assert_eq!((1_830 - admitted) * 1_000 / 1_830, 348);

    // Jamba: 150 at once against 100 requests per minute.
    let mut sim = Sim::with(plain().rpm(100), bucket, []);
    let call = sim.call(1);
    assert_eq!((0..150).filter(|_| sim.serve(0, &call)).count(), 100);
}

/// The same load under the other windows, which the measurements contradict.
#[test]
fn the_other_windows_give_other_points() {
    let sliding = QuotaOptions::new().window(Window::SlidingWindow);
    let (admitted, _) = evenly(plain().rpm(200), sliding.clone(), 0, 4_500, 15 * 60);
    assert_eq!(admitted, 3_000);
    let (_, first_refused) = evenly(plain().tpm(3_000_000), sliding, 5_026, 1_266, 60);
    assert_eq!(first_refused / 1_000, 28);

    let minutes = QuotaOptions::new().window(Window::FixedMinute);
    let (admitted, _) = evenly(plain().rpm(200), minutes, 0, 4_500, 15 * 60);
    assert_eq!(admitted, 3_000);
}
