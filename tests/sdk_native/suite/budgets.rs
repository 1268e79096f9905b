use std::time::Duration;

use bedrock_sim::Scenario;
use tower_bedrock::{Cause, Quota, RetryLayer, Route};
use tower_bedrock_tests::{MODEL, model, scenario};

use super::{
    face::{Call, Op},
    rig::Rig,
    row::Row,
};

fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id"))
}

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

/// A hundred calls at once, under sixty requests a minute: each waits its turn, and the service
/// refuses none.
#[tokio::test(start_paused = true)]
async fn calls_wait_their_turn() {
    let scenario = Scenario::builder().seed(7).model(model().rpm(60));
    let row = Row::new(scenario, || {
        retrying().budgeted(
            &route(),
            Quota::new().with_requests_per_minute(60),
            |layer| layer,
        )
    });
    let outcome = row
        .calls(vec![Call::converse(); 100])
        .apart(Duration::ZERO)
        .outcome()
        .await;
    assert_eq!((outcome.answered(), outcome.requests()), (100, 100));
    assert!(
        outcome.took >= Duration::from_secs(60),
        "{:?}",
        outcome.took
    );
}

/// A call that cannot make its deadline is refused at once, and not sent.
#[tokio::test(start_paused = true)]
async fn what_cannot_wait_is_refused() {
    let row = Row::new(scenario(), || {
        retrying().budgeted(
            &route(),
            Quota::new().with_requests_per_minute(1),
            |layer| layer,
        )
    });
    let outcome = row
        .calls([
            Call::converse(),
            Call::converse().with_timeout(Duration::from_secs(5)),
        ])
        .outcome()
        .await;
    assert_eq!(outcome.causes(), [Cause::BudgetExhausted]);
    assert_eq!(outcome.requests(), 1);
    let failure = outcome.told[1].failure().expect("it is refused");
    assert_eq!((failure.code.as_deref(), failure.status), (None, None));
    assert_eq!(outcome.took, Duration::ZERO);
}

/// A budget that does not wait refuses at once.
#[tokio::test(start_paused = true)]
async fn a_budget_may_refuse_at_once() {
    let row = Row::new(scenario(), || {
        let quota = Quota::new().with_requests_per_minute(2);
        retrying().budgeted(&route(), quota, |layer| layer.with_waiting(false))
    });
    let outcome = row.calls(vec![Call::converse(); 3]).outcome().await;
    assert_eq!((outcome.answered(), outcome.requests()), (2, 2));
    assert_eq!(outcome.causes(), [Cause::BudgetExhausted]);
}

/// What an answer really used replaces what was held for it, whether it is told in the body or in
/// headers: both faces settle to the token what the service itself has charged.
#[tokio::test(start_paused = true)]
async fn a_hold_is_settled_to_what_was_used() {
    for op in [Op::Converse, Op::InvokeModel] {
        let row = Row::new(scenario(), || {
            let quota = Quota::new().with_tokens_per_minute(100_000);
            retrying().budgeted(&route(), quota, |layer| layer)
        });
        let outcome = row.calls(vec![Call::of(op); 3]).outcome().await;
        assert_eq!(outcome.answered(), 3);
        let [quota] = &outcome.quotas[..] else {
            panic!("one model has one quota: {:?}", outcome.quotas)
        };
        assert_eq!(
            quota.tokens_used, outcome.ledger.totals.tokens_settled,
            "{op:?}"
        );
        assert!(quota.tokens_used > 0);
    }
}
