//! Routes are asked before they are called.

use super::*;
use crate::{BudgetExhausted, Quota, Quotas, TokenBudgetLayer};

const EAST: &str = "m.x@us-east-1";
const WEST: &str = "m.x@us-west-2";
const OHIO: &str = "m.x@us-east-2";

/// A gate that says this of the three routes.
fn says(east: Passage, west: Passage, ohio: Passage) -> Says {
    Says::new(move |route| match route.to_string().as_str() {
        EAST => east,
        WEST => west,
        _ => ohio,
    })
}

fn closed_for(seconds: u64) -> Passage {
    closed(Some(secs(seconds)))
}

fn after(seconds: u64) -> Passage {
    Passage::After(secs(seconds))
}

/// The one attempt of a call with these settings.
async fn attempt(layer: FallbackLayer, request: Request<()>) -> CallContext {
    let bed = Bed::new(|_| Ok(()));
    layer.layer(bed.clone()).oneshot(request).await.unwrap();
    let [call] = &bed.calls()[..] else {
        panic!("one attempt")
    };
    call.clone()
}

/// The first route that is free within the call's patience is taken; if none is, the one that is free
/// soonest. It is told whether another is left, and how long it may wait while one is.
#[tokio::test]
async fn the_first_free_route_is_taken() {
    use Passage::Open;
    let none = None;
    let patient = Some(Duration::ZERO);
    #[rustfmt::skip]
    let cases = [
        (says(Open, Open, Open), EAST, true, patient),
        (says(closed(None), Open, Open), WEST, true, patient),
        (says(closed(None), closed(None), Open), OHIO, false, none),
        (says(after(1), Open, Open), WEST, true, patient),
        (says(after(1), closed(None), Open), OHIO, true, patient),
        // The rest is closed: nothing is left for retries below to leave the call to.
        (says(Open, closed(None), closed(None)), EAST, false, none),
        // All wait: where it is shortest, the earlier one of two alike, and without an end.
        (says(after(3), after(2), after(4)), WEST, true, none),
        (says(after(2), after(2), after(2)), EAST, true, none),
        (says(after(3), closed(None), closed(None)), EAST, false, none),
        // All are closed: where that ends first, or is not known, the primary.
        (says(closed_for(9), closed_for(5), closed_for(7)), WEST, false, none),
        (says(closed_for(5), closed_for(5), closed_for(7)), EAST, false, none),
        (says(closed(None), closed(None), closed(None)), EAST, false, none),
        (says(closed(None), closed(None), closed_for(7)), OHIO, false, none),
    ];
    for (number, (gate, expected, has_next, max_wait)) in cases.into_iter().enumerate() {
        let layer = layer(&[WEST, OHIO]).with_gate(gate);
        let call = attempt(layer, request(EAST)).await;
        assert_eq!(call.route.to_string(), expected, "case {number}");
        assert_eq!(call.has_next_route, has_next, "case {number}");
        assert_eq!(call.max_wait, max_wait, "case {number}");
    }
}

/// With patience a call rather waits for an earlier route; not longer, though, and not longer than
/// it was told to by whoever stands above.
#[tokio::test]
async fn patience_keeps_a_call_on_an_earlier_route() {
    for (patience, wait, expected) in [(0, 1, WEST), (2, 3, WEST), (2, 2, EAST), (5, 2, EAST)] {
        let layer = layer(&[WEST])
            .with_gate(says(after(wait), Passage::Open, Passage::Open))
            .with_patience(secs(patience));
        let call = attempt(layer, request(EAST)).await;
        assert_eq!(call.route.to_string(), expected, "{patience} {wait}");
    }
    for (above, expected) in [(None, 5), (Some(secs(3)), 3), (Some(secs(7)), 5)] {
        let mut request = request(EAST);
        request.context_mut().max_wait = above;
        let layer = layer(&[WEST]).with_patience(secs(5));
        let call = attempt(layer, request).await;
        assert_eq!(call.max_wait, Some(secs(expected)));
    }
}

/// A route that admits only after the call's deadline is as good as closed. If none admits in time,
/// the call hears from the one that would first.
#[tokio::test(start_paused = true)]
async fn a_route_that_is_free_too_late_is_closed() {
    let gate = says(closed(None), after(15), after(16));
    let layer = layer(&[WEST, OHIO]).with_gate(gate);
    for (deadline, expected) in [(20, &[WEST, OHIO][..]), (16, &[WEST, OHIO]), (10, &[WEST])] {
        let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
        let service = layer.layer(bed.clone());
        let request = request(EAST).with_timeout(secs(deadline));
        let error = service.oneshot(request).await.unwrap_err();
        assert_eq!(bed.routes(), expected);
        let late = SkipReason::Closed {
            cause: Cause::BudgetExhausted,
            retry_in: Some(secs(16)),
        };
        let is_late = skipped(&error).contains(&(OHIO.into(), late));
        assert_eq!(is_late, deadline == 10);
    }
}

/// The longest wait of several gates counts, and one that is closed closes the route.
#[tokio::test]
async fn gates_count_together() {
    let all = |passage| says(passage, Passage::Open, Passage::Open);
    for (one, other, expected) in [
        (after(1), after(3), WEST),
        (after(1), after(2), EAST),
        (after(1), closed(None), WEST),
        (Passage::Open, Passage::Open, EAST),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let layer = layer(&[WEST])
                .with_gate(all(one))
                .with_gate(all(other))
                .with_patience(secs(2));
            let call = attempt(layer, request(EAST)).await;
            assert_eq!(call.route.to_string(), expected);
        }
    }
}

/// What may be asked is not asked for nothing: a route that the call may not take, none.
#[tokio::test]
async fn forbidden_routes_are_not_asked() {
    let gate = Says::new(|route| {
        assert_ne!(route.to_string(), "global.m.x@us-east-1");
        closed(None)
    });
    let layer = layer(&["global.m.x@us-east-1"]).with_gate(gate);
    let call = attempt(layer, request(EAST)).await;
    assert!(!call.has_next_route);
}

/// Quotas of three calls a minute in the east and none elsewhere.
fn three_a_minute() -> Quotas {
    let quotas = Quotas::new();
    let quota = Quota::new().with_requests_per_minute(3);
    quotas.set(&route(EAST), quota).unwrap();
    quotas
}

/// A primary of three calls a minute and a fallback: of ten calls at once, three and seven. With the
/// quotas as a gate or without, since the budget below refuses at once what would wait.
#[tokio::test(start_paused = true)]
async fn a_full_primary_leaves_the_rest_to_the_fallback() {
    for has_gate in [true, false] {
        let quotas = three_a_minute();
        let mut layer = layer(&[WEST]);
        if has_gate {
            layer = layer.with_gate(quotas.clone());
        }
        let bed = Bed::new(|_| Ok(())).after(secs(1));
        let service = layer.layer(TokenBudgetLayer::new(quotas).layer(bed.clone()));
        let calls: Vec<_> = (0..10)
            .map(|_| tokio::spawn(service.clone().oneshot(request(EAST))))
            .collect();
        let start = Instant::now();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!((bed.count("us-east-1"), bed.count("us-west-2")), (3, 7));
        assert_eq!(start.elapsed(), secs(1));
    }
}

/// Where all routes are full the calls wait, each where its turn comes first, and all are answered.
#[tokio::test(start_paused = true)]
async fn calls_wait_where_their_turn_comes_first() {
    for has_gate in [true, false] {
        let quotas = three_a_minute();
        let quota = Quota::new().with_requests_per_minute(3);
        quotas.set(&route(WEST), quota).unwrap();
        let mut layer = layer(&[WEST]);
        if has_gate {
            layer = layer.with_gate(quotas.clone());
        }
        let bed = Bed::new(|_| Ok(()));
        let service = layer.layer(TokenBudgetLayer::new(quotas).layer(bed.clone()));
        let calls: Vec<_> = (0..12)
            .map(|_| tokio::spawn(service.clone().oneshot(request(EAST))))
            .collect();
        let start = Instant::now();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(bed.calls().len(), 12);
        let took = start.elapsed();
        if has_gate {
            assert_eq!((bed.count("us-east-1"), bed.count("us-west-2")), (6, 6));
            assert!(took < secs(62), "{took:?}");
        } else {
            // Without gates they wait for the first.
            assert!(took < secs(122), "{took:?}");
        }
    }
}

/// A call that lost a race below comes back to wait there, if every other route turns out worse, and
/// is sent to each route once.
#[tokio::test(start_paused = true)]
async fn a_lost_race_is_not_a_lost_route() {
    let quotas = three_a_minute();
    let budget = TokenBudgetLayer::new(quotas.clone());
    // The gate has not heard yet that the quota is used up.
    let layer = layer(&[WEST]).with_gate(Says::new(|_| Passage::Open));
    let bed = Bed::failing(Cause::ModelOverloaded, &["us-west-2"]);
    let service = layer.layer(budget.layer(bed.clone()));
    for _ in 0..3 {
        service.clone().oneshot(request(EAST)).await.unwrap();
    }
    let start = Instant::now();
    let response = service.oneshot(request(EAST)).await.unwrap();
    assert!(start.elapsed() > secs(59));
    assert_eq!(bed.routes()[3..], [WEST, EAST]);
    assert_eq!(response.served().route_index, 0);
    assert_eq!(response.served().attempts, 2);
}

/// What never fits a quota is not come back to.
#[tokio::test(start_paused = true)]
async fn what_never_fits_is_not_asked_twice() {
    let quotas = Quotas::new();
    let quota = Quota::new().with_tokens_per_minute(1000);
    quotas.set(&route(EAST), quota.clone()).unwrap();
    quotas.set(&route(WEST), quota).unwrap();
    let budget = TokenBudgetLayer::new(quotas.clone());
    let bed = Bed::new(|_| Ok(()));
    let mut request = request(EAST);
    request.context_mut().tokens.input = Some(5000);
    let service = layer(&[WEST]).layer(budget.layer(bed.clone()));
    let error = service.oneshot(request).await.unwrap_err();
    assert!(bed.calls().is_empty());
    assert_eq!(error.cause(), Cause::BudgetExhausted);
    assert!(
        BudgetExhausted::of(&error).is_some(),
        "as the layer below said it"
    );
    assert_eq!(earlier(&error), [Cause::BudgetExhausted]);
    assert_eq!(error.attempts(), Some(1), "nothing was sent");
}
