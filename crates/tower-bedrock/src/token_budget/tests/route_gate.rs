//! What quotas tell whoever picks routes.

use super::*;
use crate::{Passage, RouteGate, size::InputSize};

fn ask(quotas: &Quotas, call: &CallContext) -> Passage {
    quotas.ask(call, &call.route, Instant::now())
}

/// A service under `quotas` that answers after a second.
fn layered(
    quotas: &Quotas,
) -> impl tower_service::Service<Request<()>, Response = Response<()>, Error = Error, Future: Send>
+ Clone
+ Send
+ use<> {
    let steady = Steady::new(secs(1));
    let steady = service_fn(move |request| steady.clone().answer(request));
    TokenBudgetLayer::new(quotas.clone()).layer(steady)
}

/// What is open goes at once, what is to wait waits as long as it was told, and what is closed is
/// refused: the layer below does what its quotas say.
#[tokio::test(start_paused = true)]
async fn the_layer_does_what_the_quotas_say() {
    let quotas = quotas(10_000);
    let service = layered(&quotas);
    assert_eq!(ask(&quotas, holding(10_000).context()), Passage::Open);
    service.clone().oneshot(holding(8000)).await.unwrap();

    assert_eq!(ask(&quotas, holding(2000).context()), Passage::Open);
    let Passage::After(wait) = ask(&quotas, holding(4000).context()) else {
        panic!("it does not fit now");
    };
    let start = Instant::now();
    let waiting = tokio::spawn(service.clone().oneshot(holding(4000)));
    tokio::task::yield_now().await;
    // Somebody is in line now, so even what fits has to wait.
    assert!(matches!(
        ask(&quotas, holding(100).context()),
        Passage::After(_)
    ));
    // Even when there is room for all, those in line are first.
    let call = holding(100);
    let later = Instant::now() + wait;
    let shortest = Duration::from_millis(1);
    let answer = quotas.ask(call.context(), &route(), later);
    assert_eq!(answer, Passage::After(shortest));
    waiting.await.unwrap().unwrap();
    let waited = start.elapsed() - secs(1);
    assert!(
        waited.abs_diff(wait) < Duration::from_millis(1),
        "{waited:?}"
    );
}

/// Closed is what can never go, and what cannot go before its deadline: with the wait it would take.
#[tokio::test(start_paused = true)]
async fn what_cannot_go_in_time_is_told() {
    let quotas = quotas(10_000);
    let closed = |retry_in| Passage::Closed {
        cause: Cause::BudgetExhausted,
        retry_in,
    };
    assert_eq!(ask(&quotas, holding(10_001).context()), closed(None));

    layered(&quotas).oneshot(holding(10_000)).await.unwrap();
    let mut call = call(5000, 0);
    let Passage::After(wait) = ask(&quotas, &call) else {
        panic!("it does not fit now");
    };
    // There is to be time for its answer as well.
    call.deadline = Some(Instant::now() + wait + secs(10));
    assert_eq!(ask(&quotas, &call), Passage::After(wait));
    call.deadline = Some(Instant::now() + wait - secs(1));
    assert_eq!(ask(&quotas, &call), closed(Some(wait)));
}

/// A day whose tokens are used up is hours away.
#[tokio::test(start_paused = true)]
async fn a_used_up_day_is_closed() {
    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_day(10_000);
    quotas.set(&route(), quota).unwrap();
    layered(&quotas).oneshot(holding(10_000)).await.unwrap();
    let Passage::Closed { cause, retry_in } = ask(&quotas, holding(1).context()) else {
        panic!("the day is used up");
    };
    assert_eq!(cause, Cause::BudgetExhausted);
    assert!(retry_in.unwrap() > secs(23 * 3600));
}

/// Sizes count as the layer would count them, and so does `maxTokens`.
#[test]
fn a_size_is_estimated_as_the_layer_does() {
    let quotas = quotas(10_000);
    let mut call = call(0, 5000);
    call.tokens.input = None;
    call.tokens.size = InputSize {
        text_bytes: 16_000,
        ..InputSize::default()
    };
    // About 4400 tokens by 4 bytes each and 10 % on top, and 5000 of output.
    assert_eq!(ask(&quotas, &call), Passage::Open);
    call.tokens.max_output = Some(6000);
    assert!(matches!(ask(&quotas, &call), Passage::Closed { .. }));
    // Left to the model, it would be its maximum.
    call.tokens.max_output = None;
    assert!(matches!(ask(&quotas, &call), Passage::Closed { .. }));
}

/// Asking makes no ledger; one that comes into being later is found, by whatever name of the route.
#[test]
fn a_question_makes_no_ledger() {
    let quotas = Quotas::new().with_home_region("us-east-1");
    let at_home = Route::to(MODEL.parse().unwrap());
    let mut call = call(20_000, 0);
    for route in [&route(), &at_home] {
        for _ in 0..2 {
            let answer = quotas.ask(&call, route, Instant::now());
            assert_eq!(answer, Passage::Open);
        }
    }
    assert!(quotas.snapshot().is_empty());

    let clone = quotas.clone().with_home_region("us-east-1");
    let quota = Quota::new().with_tokens_per_minute(10_000);
    clone.set(&at_home, quota).unwrap();
    for route in [&route(), &at_home] {
        let answer = quotas.ask(&call, route, Instant::now());
        assert!(matches!(answer, Passage::Closed { .. }), "{route}");
    }

    // Operations without a quota pass.
    for operation in [Operation::CountTokens, Operation::ApplyGuardrail] {
        call.operation = operation;
        assert_eq!(ask(&quotas, &call), Passage::Open);
    }
    call.operation = Operation::Converse;
    let nowhere = Route::default();
    assert_eq!(quotas.ask(&call, &nowhere, Instant::now()), Passage::Open);
}
