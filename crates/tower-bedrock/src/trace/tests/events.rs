use super::*;
use crate::{
    CircuitEvent, CircuitOpen, FallbackEvent, GaveUp, Limit, QuotaKey, RetryEvent, SkipReason,
    TokenBudgetEvent,
    circuit_breaker::{CircuitState, CircuitTransition, TransitionReason},
    pool::{PoolEvent, PoolKey},
    token_budget::{BudgetExhausted, ExhaustedReason},
    trace::event,
};

const SECOND_LONG: Duration = Duration::from_secs(1);

/// What an event becomes: level and target, then the fields without the sentence.
fn told(tell: impl FnOnce()) -> String {
    let recorder = Recorder::default();
    let guard = recorder.install();
    tell();
    drop(guard);
    let [event] = recorder.entries().try_into().expect("one event");
    let message = event.get("message").expect("a sentence");
    assert!(!message.is_empty());
    let fields = event.fields.iter().filter(|(name, _)| *name != "message");
    let fields: Vec<_> = fields
        .map(|(name, value)| format!(" {name}={value}"))
        .collect();
    event.name + &fields.concat()
}

/// Retries are told with what failed and how long the call waits; a call that is given up is worth a
/// warning only where a retry might have cured it.
#[test]
fn retries_are_told() {
    let (_, call) = request().into_parts();
    let error = Error::new(Cause::Throttled);
    let retrying = RetryEvent::Retrying {
        call: &call,
        error: &error,
        after: SECOND_LONG,
    };
    assert_eq!(
        told(|| event::retry(&retrying)),
        format!(
            "INFO tower_bedrock::retry cause=throttled attempt=1 route={MODEL} wait_seconds=1.0"
        )
    );
    for (reason, level) in [
        (GaveUp::NotRetryable, "DEBUG"),
        (GaveUp::NextRoute, "DEBUG"),
        (GaveUp::AttemptsSpent, "WARN"),
        (GaveUp::Deadline, "WARN"),
        (GaveUp::BudgetSpent, "WARN"),
        (GaveUp::NotReady, "WARN"),
    ] {
        let gave_up = RetryEvent::GaveUp {
            call: &call,
            error: &error,
            reason,
        };
        assert_eq!(
            told(|| event::retry(&gave_up)),
            format!(
                "{level} tower_bedrock::retry cause=throttled reason={reason} attempt=1 route={MODEL}"
            )
        );
    }
    let recovered = RetryEvent::Recovered {
        call: &call,
        retries: 2,
    };
    assert_eq!(
        told(|| event::retry(&recovered)),
        format!("DEBUG tower_bedrock::retry attempt=1 retries=2 route={MODEL}")
    );
}

/// Moves are told with where from, where to and why.
#[test]
fn fallbacks_are_told() {
    let (_, call) = request().into_parts();
    let to = call.route.clone().in_region(SECOND);
    let moved = |cause| FallbackEvent::Moved {
        call: &call,
        from: &call.route,
        to: &to,
        cause,
    };
    assert_eq!(
        told(|| event::fallback(&moved(Some(Cause::CircuitOpen)))),
        format!("WARN tower_bedrock::fallback cause=circuit_open from={MODEL} to={MODEL}@{SECOND}")
    );
    assert_eq!(
        told(|| event::fallback(&moved(None))),
        format!("DEBUG tower_bedrock::fallback from={MODEL} to={MODEL}@{SECOND}")
    );
    let skipped = FallbackEvent::Skipped {
        call: &call,
        route: &to,
        why: SkipReason::Residency,
    };
    assert_eq!(
        told(|| event::fallback(&skipped)),
        format!("DEBUG tower_bedrock::fallback route={MODEL}@{SECOND} why=residency")
    );
    let exhausted = FallbackEvent::Exhausted {
        call: &call,
        error: &Error::new(Cause::Internal),
    };
    assert_eq!(
        told(|| event::fallback(&exhausted)),
        format!("WARN tower_bedrock::fallback cause=internal route={MODEL}")
    );
}

/// A circuit that opens is worth a warning.
#[test]
fn circuits_are_told() {
    let (_, call) = request().into_parts();
    let mut transition = CircuitTransition {
        route: call.route.clone(),
        from: CircuitState::Closed,
        to: CircuitState::Open,
        reason: TransitionReason::FailureRate,
        generation: 1,
        cooldown: Some(SECOND_LONG),
        calls: 20,
        failures: 10,
        slow_calls: 0,
    };
    let changed = CircuitEvent::Changed {
        transition: &transition,
    };
    assert_eq!(
        told(|| event::circuit(&changed)),
        format!(
            "WARN tower_bedrock::circuit_breaker route={MODEL} from=closed to=open \
             reason=failure_rate calls=20 failures=10 cooldown_seconds=1.0"
        )
    );
    transition.to = CircuitState::HalfOpen;
    let changed = CircuitEvent::Changed {
        transition: &transition,
    };
    assert!(told(|| event::circuit(&changed)).starts_with("INFO tower_bedrock::circuit_breaker"));
    let refused = CircuitEvent::Refused {
        call: &call,
        refusal: &CircuitOpen::new(call.route.clone(), Some(SECOND_LONG)),
    };
    assert_eq!(
        told(|| event::circuit(&refused)),
        format!("DEBUG tower_bedrock::circuit_breaker route={MODEL} retry_in_seconds=1.0")
    );
}

/// What a token budget does to calls, and what it learns.
#[test]
fn token_budgets_are_told() {
    let (_, call) = request().into_parts();
    let key = &QuotaKey::of("account", &call.route);
    let reason = ExhaustedReason::Deadline;
    let refusal = BudgetExhausted::new(Limit::TokensPerMinute, reason, Some(SECOND_LONG));
    let call = &call;
    let cases = [
        (
            TokenBudgetEvent::MaxTokensUnset { call, held: 9 },
            format!("WARN tower_bedrock::token_budget route={MODEL} held=9"),
        ),
        (
            TokenBudgetEvent::Waited {
                call,
                waited: SECOND_LONG,
            },
            format!("DEBUG tower_bedrock::token_budget route={MODEL} wait_seconds=1.0"),
        ),
        (
            TokenBudgetEvent::Refused {
                call,
                refusal: &refusal,
            },
            format!(
                "INFO tower_bedrock::token_budget route={MODEL} limit=tokens_per_minute \
                 wait_seconds=1.0"
            ),
        ),
        (
            TokenBudgetEvent::Learned {
                key,
                limit: Limit::TokensPerMinute,
                learned: 7,
            },
            format!("WARN tower_bedrock::token_budget key={key} limit=tokens_per_minute learned=7"),
        ),
        (
            TokenBudgetEvent::DayUsedUp {
                key,
                closed_for: SECOND_LONG,
            },
            format!("WARN tower_bedrock::token_budget key={key} closed_seconds=1.0"),
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(told(|| event::token_budget(&event)), expected);
    }
}

/// What a pool does to calls.
#[test]
fn pools_are_told() {
    let (_, call) = request().into_parts();
    let waited = PoolEvent::Waited {
        call: &call,
        waited: SECOND_LONG,
    };
    assert_eq!(
        told(|| event::pool(&waited)),
        format!("DEBUG tower_bedrock::pool route={MODEL} wait_seconds=1.0")
    );
    let key = PoolKey::region(HOME);
    let changed = PoolEvent::LimitChanged {
        key: &key,
        from: 2,
        to: 1,
    };
    assert_eq!(
        told(|| event::pool(&changed)),
        format!("DEBUG tower_bedrock::pool pool={key} from=2 to=1")
    );
}
