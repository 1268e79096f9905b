//! What the caller gets when no route answers, and what listeners hear.

use std::error::Error as _;

use super::*;

const EAST: &str = "m.x@us-east-1";
const WEST: &str = "m.x@us-west-2";
const OHIO: &str = "m.x@us-east-2";

/// Fails in each region with another cause.
fn three_failures() -> Bed {
    Bed::new(|call| {
        let (cause, code) = match call.route.region.as_ref().unwrap().as_str() {
            "us-east-1" => (Cause::ServiceUnavailable, "First"),
            "us-west-2" => (Cause::ModelOverloaded, "Second"),
            _ => (Cause::CapacityExceeded, "Third"),
        };
        Err(Error::new(cause).with_code(code))
    })
}

/// No error is lost: the last is the caller's, as it is, and the others are reachable, in order.
#[tokio::test]
async fn the_errors_of_all_routes_are_kept() {
    let rungs = [WEST, "global.m.x@us-east-1", OHIO];
    let service = layer(&rungs).layer(three_failures());
    let error = service.oneshot(request(EAST)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::CapacityExceeded);
    assert_eq!(error.code(), Some("Third"));
    assert_eq!(error.route(), Some(&route(OHIO)));
    assert_eq!(error.attempts(), Some(3));

    let routes = FallbackExhausted::of(&error).unwrap();
    let [first, second] = routes.errors() else {
        panic!("two before it")
    };
    assert_eq!(
        (first.code(), first.route()),
        (Some("First"), Some(&route(EAST)))
    );
    assert_eq!(
        (second.code(), second.route()),
        (Some("Second"), Some(&route(WEST)))
    );
    assert_eq!((first.attempts(), second.attempts()), (Some(1), Some(2)));
    assert_eq!(
        skipped(&error),
        [("global.m.x@us-east-1".into(), SkipReason::Residency)]
    );
    // Those who walk the sources find the one before.
    let source = error.source().unwrap().downcast_ref::<Error>().unwrap();
    assert_eq!(source.code(), Some("Second"));

    assert_eq!(
        error.to_string(),
        "Converse to m.x@us-east-2 failed: capacity_exceeded (Third) [attempt 3]; \
         before: m.x@us-east-1 (service_unavailable), m.x@us-west-2 (model_overloaded); \
         not tried: global.m.x@us-east-1 (outside of the allowed area)"
    );
    assert!(format!("{error:?}").contains("First"));
}

/// What lies under the last error stays there: typed refusals are found as without a fallback.
#[tokio::test]
async fn what_lies_under_the_last_error_stays() {
    #[derive(Debug)]
    struct Under;
    impl std::fmt::Display for Under {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("under")
        }
    }
    impl std::error::Error for Under {}

    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded).with_source(Under)));
    let service = layer(&[WEST]).layer(bed);
    let error = service.oneshot(request(EAST)).await.unwrap_err();
    assert!(error.source().unwrap().is::<Under>());
    assert_eq!(earlier(&error), [Cause::ModelOverloaded]);
}

/// An error that no other route would cure ends the call, and the ones before it are kept.
#[tokio::test]
async fn an_incurable_error_keeps_the_ones_before() {
    let bed = Bed::new(|call| {
        Err(Error::new(match call.attempt {
            1 => Cause::ModelOverloaded,
            _ => Cause::InvalidRequest,
        }))
    });
    let service = layer(&[WEST, OHIO]).layer(bed.clone());
    let error = service.oneshot(request(EAST)).await.unwrap_err();
    assert_eq!(error.cause(), Cause::InvalidRequest);
    assert_eq!(earlier(&error), [Cause::ModelOverloaded]);
    assert!(skipped(&error).is_empty());
    assert_eq!(bed.calls().len(), 2);
}

/// A call without a ladder gets its error as it came.
#[tokio::test]
async fn without_a_ladder_errors_pass() {
    let service = FallbackLayer::default().layer(three_failures());
    let error = service.oneshot(request(EAST)).await.unwrap_err();
    assert!(FallbackExhausted::of(&error).is_none());
    assert!(error.source().is_none());
    assert_eq!(error.route(), Some(&route(EAST)));
}

/// Listeners hear of each move with its cause, of each route that is passed over once, and of the
/// end.
#[tokio::test]
async fn listeners_hear_of_every_decision() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let tell = |name: &'static str| {
        let heard = Arc::clone(&heard);
        move |event: &FallbackEvent<'_>| {
            let line = match event {
                FallbackEvent::Moved {
                    from, to, cause, ..
                } => format!("{name}: {from} -> {to}: {}", cause.unwrap()),
                FallbackEvent::Skipped { route, why, .. } => {
                    format!("{name}: not {route}: {}", why.as_str())
                }
                FallbackEvent::Exhausted { error, .. } => {
                    format!("{name}: {}", Error::cause(error))
                }
            };
            heard.lock().unwrap().push(line);
        }
    };
    let rungs = ["global.m.x@us-east-1", WEST, "n.y@us-east-1", OHIO];
    let gate = Says::new(|route| match route.to_string().as_str() {
        EAST => closed(None),
        "n.y@us-east-1" => Passage::Closed {
            cause: Cause::BudgetExhausted,
            retry_in: None,
        },
        _ => Passage::Open,
    });
    let layer = layer(&rungs)
        .with_gate(gate)
        .on_event(tell("a"))
        .on_event(tell("b"));
    let service = layer.layer(three_failures());
    service.oneshot(request(EAST)).await.unwrap_err();
    let heard = heard.lock().unwrap();
    let (first, second): (Vec<_>, Vec<_>) = heard.iter().partition(|line| line.starts_with('a'));
    assert_eq!(
        first,
        [
            "a: not m.x@us-east-1: closed",
            "a: not global.m.x@us-east-1: residency",
            "a: m.x@us-east-1 -> m.x@us-west-2: circuit_open",
            "a: not n.y@us-east-1: closed",
            "a: m.x@us-west-2 -> m.x@us-east-2: model_overloaded",
            "a: capacity_exceeded",
        ]
    );
    assert_eq!(first.len(), second.len());
}

/// An error tells nothing of what was asked.
#[tokio::test]
async fn errors_tell_no_prompt() {
    let bed = tower::service_fn(|_: Request<&'static str>| async {
        Err::<Response<()>, _>(Error::new(Cause::ModelOverloaded))
    });
    let mut service = layer(&[WEST, "global.m.x"]).layer(bed);
    let request = Request::new("the prompt", call(EAST));
    let future = service.ready().await.unwrap().call(request);
    assert!(!format!("{future:?}").contains("prompt"));
    let error = future.await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("prompt"));
}
