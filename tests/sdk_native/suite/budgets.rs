use std::time::Duration;

use bedrock_sim::Scenario;
use tower_bedrock::{Cause, Priority, Quota, RetryLayer, Route};
use tower_bedrock_tests::{MODEL, model, scenario};

use super::{
    call::{Call, Op},
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

fn ten_a_minute() -> Rig {
    let quota = Quota::new().with_requests_per_minute(10);
    retrying().budgeted(&route(), quota, |layer| {
        layer.with_max_wait(Duration::from_secs(3_600))
    })
}

/// What is urgent goes first, although it came last; on both faces each call at the same time.
#[tokio::test(start_paused = true)]
async fn what_is_urgent_goes_first() {
    let calls = [Priority::Low, Priority::Normal, Priority::High].map(|priority| {
        // The first ten take the minute's requests.
        vec![Call::converse().with_priority(priority); 20]
    });
    let row = Row::new(scenario(), ten_a_minute).calls(calls.concat());
    let outcome = row.apart(Duration::from_millis(1)).outcome().await;
    assert_eq!(outcome.answered(), 60);
    let last_of = |calls: std::ops::Range<usize>| outcome.when[calls].iter().max().copied();
    let first_of = |calls: std::ops::Range<usize>| outcome.when[calls].iter().min().copied();
    assert!(last_of(40..60) <= first_of(20..40), "high before normal");
    assert!(last_of(20..40) <= first_of(10..20), "normal before low");
}

/// A tenant with few calls is not kept waiting by one with many.
#[tokio::test(start_paused = true)]
async fn tenants_share_fairly() {
    let mut calls = vec![Call::converse().with_tenant("many"); 60];
    calls.extend(vec![Call::converse().with_tenant("few"); 5]);
    let row = Row::new(scenario(), ten_a_minute).calls(calls);
    let outcome = row.apart(Duration::from_millis(1)).outcome().await;
    assert_eq!(outcome.answered(), 65);
    let last_of_few = outcome.when[60..].iter().max().expect("there are five");
    assert!(*last_of_few < Duration::from_secs(130), "{last_of_few:?}");
    assert!(
        outcome.took > Duration::from_secs(300),
        "{:?}",
        outcome.took
    );
}
