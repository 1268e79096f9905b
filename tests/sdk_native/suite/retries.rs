use std::time::Duration;

use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use bedrock_sim::{ErrorSpec, ErrorText, FaultKind, FaultSpec, RetryAfterHint, Scenario};
use tower_bedrock::{Cause, RetryBudget, RetryLayer};
use tower_bedrock_tests::{model, scenario};

use super::{call::Call, rig::Rig, row::Row};

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

/// One attempt of ours is one request on the wire, although the user asked the SDK for five: its own
/// retries neither add nor multiply, whatever their mode.
#[tokio::test(start_paused = true)]
async fn wire_requests_equal_attempts() {
    for (text, requests) in [
        (ErrorText::InternalServer, 3),
        (ErrorText::ServiceUnavailable, 4),
        (ErrorText::TokensPerMinute, 9),
        (ErrorText::ModelNotReady, 11),
        (ErrorText::TokensPerDay, 1),
        (ErrorText::ModelTimeout, 2),
        (ErrorText::InputTooLong, 1),
    ] {
        let modes: [fn(_) -> _; 3] = [
            |config| config,
            |config: aws_sdk_bedrockruntime::config::Builder| {
                config.retry_config(RetryConfig::adaptive().with_max_attempts(7))
            },
            |config| config.retry_config(RetryConfig::disabled()),
        ];
        for mode in modes {
            let row = Row::faulty(FaultSpec::error(text), retrying).config(mode);
            let outcome = row.outcome().await;
            assert_eq!(outcome.requests(), requests, "{text:?}");
            let failure = outcome.told[0].failure().expect("it never gets better");
            assert_eq!(failure.attempts.map(u64::from), Some(requests), "{text:?}");
        }
    }
}

/// Trouble of several kinds is waited out, for as long on one face as on the other.
#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_waited_out() {
    let trouble = scenario()
        .fault(FaultSpec::error(ErrorText::Overloaded).count(1))
        .fault(FaultSpec::error(ErrorText::TokensPerMinute).count(1))
        .fault(FaultSpec::new(FaultKind::Reset).count(1));
    let outcome = Row::new(trouble, retrying).outcome().await;
    let answer = outcome.told[0]
        .answer()
        .expect("the fourth attempt is answered");
    assert_eq!(answer.served.attempts, 4);
    assert_eq!(outcome.requests(), 4);
    assert!(outcome.took > Duration::ZERO);
}

/// A server's hint is waited for.
#[tokio::test(start_paused = true)]
async fn a_servers_hint_is_waited_for() {
    let spec = ErrorSpec::from(ErrorText::Overloaded).retry_after(RetryAfterHint::AmzMillis(5_000));
    let row = Row::faulty(FaultSpec::error(spec).count(1), retrying);
    let outcome = row.outcome().await;
    assert_eq!(outcome.answered(), 1);
    assert!(outcome.took >= Duration::from_secs(5), "{:?}", outcome.took);
}

/// A call may ask for fewer attempts.
#[tokio::test(start_paused = true)]
async fn a_call_may_ask_for_fewer_attempts() {
    let row = Row::faulty(FaultSpec::error(ErrorText::TokensPerMinute), retrying).calls([
        Call::converse().with_max_attempts(2),
        Call::converse().with_max_attempts(1),
    ]);
    let outcome = row.outcome().await;
    let attempts: Vec<_> = outcome
        .told
        .iter()
        .filter_map(|told| told.failure()?.attempts)
        .collect();
    assert_eq!(attempts, [2, 1]);
    assert_eq!(outcome.requests(), 3);
}

/// A retry budget that is spent ends the retries of all calls.
#[tokio::test(start_paused = true)]
async fn a_spent_budget_ends_retries() {
    let outcome = Row::faulty(FaultSpec::error(ErrorText::InternalServer), || {
        Rig::retrying(RetryLayer::new().with_budget(RetryBudget::with_capacity(30)))
    })
    .calls(vec![Call::converse(); 4])
    .outcome()
    .await;
    // A retry costs 14: the first call takes its two, the others none.
    assert_eq!(outcome.requests(), 6);
    assert!(
        outcome.decisions.contains("budget_spent"),
        "{}",
        outcome.decisions
    );
    assert_eq!(outcome.causes(), [Cause::Internal; 4]);
}

/// A storm: a hundred calls at once against sixty requests a minute. All are answered, after the same
/// requests and the same time on both faces.
#[tokio::test(start_paused = true)]
async fn a_storm_is_the_same_storm() {
    let scenario = Scenario::builder().seed(7).model(model().rpm(60));
    let row = Row::new(scenario, || {
        let budget = RetryBudget::with_capacity(10_000);
        Rig::retrying(RetryLayer::new().with_budget(budget))
    });
    let outcome = row
        .calls(vec![Call::converse(); 100])
        .apart(Duration::ZERO)
        .outcome()
        .await;
    assert_eq!(outcome.answered(), 100);
    assert_eq!(outcome.ledger.totals.admitted, 100);
    assert!(outcome.ledger.totals.refused.requests_per_minute > 0);
    assert!(
        outcome.took >= Duration::from_secs(40),
        "{:?}",
        outcome.took
    );
}
