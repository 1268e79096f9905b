//! Numbers without end: nothing panics, overflows or waits for ever because of them.

use std::{num::NonZeroU32, time::Duration};

use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};
use tower_bedrock::{
    AdaptiveLimit, Backoff, BedrockRequest, Cause, CircuitBreakers, CircuitPolicy, FallbackLayer,
    Jitter, Ladder, Pools, Quota, QuotaPace, QuotaShare, QuotaWindow, Quotas, Reactions, Request,
    RetryBudget, RetryLayer, Rung, Stack, TokenBudgetLayer,
};
use tower_bedrock_tests::{
    REGION,
    gauges::Gauges,
    probe::{Play, Probe, Readiness},
};

use crate::rigs::{SECOND, request, route};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Numbers at the ends of what there is, and some between.
#[derive(Clone, Copy, Debug)]
struct Numbers([u8; 32]);

impl Numbers {
    fn number(&self, at: usize) -> u64 {
        let all = [
            0,
            1,
            2,
            1000,
            u64::from(u32::MAX),
            1 << 53,
            u64::MAX - 1,
            u64::MAX,
        ];
        all[usize::from(self.0[at % 32]) % all.len()]
    }

    fn small(&self, at: usize) -> u32 {
        u32::try_from(self.number(at)).unwrap_or(u32::MAX)
    }

    fn size(&self, at: usize) -> usize {
        usize::try_from(self.number(at)).unwrap_or(usize::MAX)
    }

    fn time(&self, at: usize) -> Duration {
        let nanos = Duration::from_nanos(1);
        let all = [
            Duration::ZERO,
            nanos,
            Duration::from_millis(1),
            Duration::from_secs(60),
            YEAR,
            Duration::from_secs(u64::MAX / 4),
            Duration::MAX - nanos,
            Duration::MAX,
        ];
        all[usize::from(self.0[at % 32]) % all.len()]
    }

    fn share(&self, at: usize) -> f64 {
        let all = [
            0.0,
            -0.0,
            f64::MIN_POSITIVE,
            0.5,
            1.0,
            -1.0,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        all[usize::from(self.0[at % 32]) % all.len()]
    }

    /// Whether to turn the knob at all: with all of them turned, nothing would ever be allowed.
    fn turns(&self, at: usize) -> bool {
        self.0[(at + 7) % 32].is_multiple_of(4)
    }
}

macro_rules! turned {
    ($numbers:expr, $value:ident, $($at:literal => $change:expr;)*) => {
        $(if $numbers.turns($at) { $value = $change; })*
    };
}

fn quota(numbers: &Numbers) -> Quota {
    let mut quota = Quota::new();
    turned! { numbers, quota,
        0 => quota.with_requests_per_minute(numbers.number(0));
        1 => quota.with_tokens_per_minute(numbers.number(1));
        2 => quota.with_tokens_per_day(numbers.number(2));
        3 => quota.with_margin(numbers.time(3));
        4 => quota.with_pace(QuotaPace::at(numbers.share(4)).with_burst(numbers.time(5)));
        5 => quota.with_burndown_rate(numbers.small(5));
        6 => quota.with_max_output_tokens(numbers.small(6));
        7 => quota.with_burndown_held(true);
        8 => quota.with_share(QuotaShare::Fraction(numbers.share(8)));
        9 => quota.with_share(QuotaShare::TokensPerMinute(numbers.number(9)));
        10 => quota.with_window(QuotaWindow::TokenBucket { burst: numbers.time(10) });
    }
    quota
}

fn policy(numbers: &Numbers) -> CircuitPolicy {
    let mut policy = CircuitPolicy::new();
    turned! { numbers, policy,
        11 => policy.with_failure_rate(numbers.share(11));
        12 => policy.with_consecutive_failures(numbers.small(12));
        13 => policy.with_slow_calls(numbers.time(13), numbers.share(14));
        14 => policy.with_window(numbers.time(14));
        15 => policy.with_min_calls(numbers.small(15));
        16 => policy.with_cooldown(numbers.time(16), numbers.time(17));
        17 => policy.with_cooldown_decay(numbers.time(17));
        18 => policy.with_max_server_hint(numbers.time(18));
        19 => policy.with_probes(numbers.small(19));
        20 => policy.with_successes_to_close(numbers.small(20));
        21 => policy.with_probe_limit(numbers.time(21));
    }
    policy
}

fn pools(numbers: &Numbers) -> Pools {
    let mut pools = Pools::new().with_home_region(REGION);
    turned! { numbers, pools,
        22 => pools.with_max_in_flight(numbers.size(22));
        23 => pools.with_max_waiting(numbers.size(23));
        24 => pools.with_max_wait(numbers.time(24));
    }
    let limit = AdaptiveLimit::between(numbers.size(25), numbers.size(26));
    let limit = limit.and_then(|limit| limit.with_decrease(numbers.share(27)));
    match limit {
        Ok(limit) if numbers.turns(25) => {
            pools.with_adaptive_limit(limit.with_initial(numbers.size(28)))
        }
        _ => pools,
    }
}

fn retries(numbers: &Numbers) -> RetryLayer {
    let backoff = Backoff::new(numbers.time(29), numbers.time(30));
    let reaction = Cause::Internal
        .reaction()
        .retried(backoff, numbers.small(31));
    let budget = RetryBudget::with_costs(50, numbers.small(1) % 60, numbers.small(2));
    let mut layer = RetryLayer::new()
        .with_jitter(Jitter::seeded(7))
        .with_budget(budget);
    if !numbers.small(1).is_multiple_of(60) {
        layer = layer.with_reactions(Reactions::default().with(Cause::Internal, reaction));
    }
    turned! { numbers, layer,
        3 => layer.with_max_server_hint(numbers.time(4));
        5 => layer.with_max_attempts(NonZeroU32::new(numbers.small(6)).unwrap_or(NonZeroU32::MIN));
        8 => layer.aim_at_next_minute(true);
    }
    layer
}

fn asked(numbers: &Numbers, call: usize) -> Request<()> {
    let mut request = request();
    let context = request.context_mut();
    context.tokens.input = Some(numbers.small(call));
    context.tokens.max_output = Some(numbers.small(call + 1));
    context.max_wait = numbers.turns(call + 2).then(|| numbers.time(call + 2));
    context.attempt = numbers.small(call + 3).max(1);
    match numbers.turns(call) {
        true if numbers.turns(call + 4) => request.with_deadline(end_of_the_clock()),
        true => request.with_timeout(numbers.time(call)),
        false => request,
    }
}

/// The last instant that there is.
fn end_of_the_clock() -> Instant {
    let mut end = Instant::now();
    let mut step = Duration::MAX;
    while !step.is_zero() {
        match end.checked_add(step) {
            Some(later) => end = later,
            None => step /= 2,
        }
    }
    end
}

/// Makes a stack of these numbers and calls through it, a year apart. What cannot be meant is refused
/// when it is made.
async fn play(numbers: Numbers) {
    let policy = CircuitBreakers::new()
        .with_home_region(REGION)
        .with_policy(policy(&numbers));
    let breakers = policy.unwrap_or_else(|_| CircuitBreakers::new().with_home_region(REGION));
    let quotas = Quotas::new().with_home_region(REGION);
    let _may_be_refused = quotas.set(&route(), quota(&numbers));
    let rung = Rung::in_region(SECOND).with_max_per_second(numbers.share(9));
    let ladder = Ladder::new().then(rung).with_warm_share(numbers.share(10));
    let fallback = FallbackLayer::new(ladder).unwrap_or_default();
    let probe = Probe::new(Readiness::SecondTime, move |_, call| match call % 4 {
        1 => Play::failure(Duration::from_secs(1), Cause::Internal),
        2 => Play::failure(Duration::ZERO, Cause::TokenRate),
        _ => Play::whole(Duration::from_secs(1)),
    });
    let stack = Stack::over(probe.clone(), REGION)
        .fallback(
            fallback
                .with_patience(numbers.time(12))
                .with_jitter(Jitter::seeded(7)),
        )
        .retry(retries(&numbers))
        .circuit_breaker(breakers.with_jitter(Jitter::seeded(5)))
        .token_budget(TokenBudgetLayer::new(quotas).with_max_wait(numbers.time(13)))
        .pool(pools(&numbers))
        .timeout(numbers.time(14))
        .build()
        .expect("a sound stack");
    for call in 0..6 {
        let sent = stack.send(asked(&numbers, call));
        // Who may wait for ever does; nobody is asked to.
        drop(timeout(Duration::from_secs(3600), sent).await);
        drop(format!("{:?} {:?}", stack, stack.quotas()));
        if call % 2 == 1 {
            sleep(YEAR / 4).await;
        }
    }
    Gauges::of_stack(&stack)
        .and_probe(&probe)
        .assert_at_rest(format!("{numbers:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever numbers are given, zero, the largest there are, shares that are none: a stack of them
    /// is made or refused, calls go through it with years between them, and nothing panics, spins or
    /// stays held.
    #[test]
    fn no_number_is_too_large(numbers in any::<[u8; 32]>()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(play(Numbers(numbers)));
    }
}

/// A layer alone bears a service that tells the largest of hints and of usages.
#[tokio::test(start_paused = true)]
async fn no_answer_is_too_large() {
    for hint in [Duration::ZERO, YEAR, Duration::MAX] {
        let service =
            RetryLayer::new().layer(tower::service_fn(move |_: Request<()>| async move {
                let error = tower_bedrock::Error::new(Cause::RequestRate);
                Err::<(), _>(error.with_retry_after(hint))
            }));
        let limited = request().with_timeout(Duration::from_secs(600));
        let error = service.oneshot(limited).await.expect_err("it fails");
        assert_eq!(error.cause(), Cause::RequestRate);
    }
}
