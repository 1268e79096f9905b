//! When a call moves on, and what it tells of that.

use super::*;
use crate::{
    CircuitBreakerLayer, CircuitBreakers, Jitter, NextRoute, Reaction, Reactions, Readmission,
    RetryLayer, RetryReaction, SendListener, SendSignal,
};

/// A call that its own route answers is left as it was made, and nothing is told.
#[tokio::test]
async fn an_answered_call_passes_untouched() {
    let layer = layer(&["us.m.x"]).on_event(|event| panic!("{event:?}"));
    let bed = Bed::new(|_| Ok(()));
    let response = layer.layer(bed.clone()).oneshot(home()).await.unwrap();
    let served = response.served();
    assert_eq!(served.route, home().context().route);
    assert_eq!((served.route_index, served.attempts), (0, 1));
    assert!(!served.degraded);

    let [call] = &bed.calls()[..] else {
        panic!("one attempt")
    };
    assert_eq!(call.route, home().context().route);
    assert_eq!(call.attempt, 1);
}

/// Every cause moves on as its row says, and a table of the user's own goes before the default.
#[tokio::test]
async fn causes_move_on_as_the_table_says() {
    for &cause in Cause::ALL {
        let bed = Bed::failing(cause, &["us-east-1"]);
        let service = layer(&[SONNET_WEST]).layer(bed.clone());
        let moves = service.oneshot(home()).await.is_ok();
        let expected = cause.reaction().next_route != NextRoute::Never;
        // Nothing tells a window that would be larger.
        assert_eq!(moves, expected && cause != Cause::ContextTooLong, "{cause}");
    }
    let reactions = Reactions::default()
        .with(Cause::ModelOverloaded, Reaction::GIVE_UP)
        .with(Cause::NotFound, Reaction::GIVE_UP.then(NextRoute::AtOnce));
    for (cause, moves) in [(Cause::ModelOverloaded, false), (Cause::NotFound, true)] {
        let bed = Bed::failing(cause, &["us-east-1"]);
        let layer = layer(&[SONNET_WEST]).with_reactions(reactions.clone());
        assert_eq!(layer.layer(bed).oneshot(home()).await.is_ok(), moves);
    }
}

/// What a service below says of an answer stands: that it is degraded, that it took more attempts.
#[tokio::test]
async fn what_was_said_below_stands() {
    let bed = tower::service_fn(|_: Request<()>| async {
        let served = Served {
            attempts: 5,
            degraded: true,
            ..Served::default()
        };
        Ok::<_, Error>(Response::new((), served, None))
    });
    let service = layer(&[SONNET_WEST]).layer(bed);
    let response = service.oneshot(home()).await.unwrap();
    let served = response.served();
    assert!(served.degraded);
    assert_eq!(served.attempts, 5);
    assert_eq!(served.route, home().context().route);
}

/// A rung that the service does not know is passed over, by warm calls too; what another route would
/// answer the same is given back from a rung as from the primary.
#[tokio::test]
async fn a_rung_that_is_not_there_is_passed_over() {
    for (cause, moves) in [(Cause::NotFound, true), (Cause::InvalidRequest, false)] {
        for (share, expected) in [(0.0, 2), (1.0, 0)] {
            let bed = Bed::new(
                move |call| match call.route.region.as_ref().unwrap().as_str() {
                    "us-west-2" => Err(Error::new(cause)),
                    "us-east-1" if share == 0.0 => Err(Error::new(Cause::ServiceUnavailable)),
                    _ => Ok(()),
                },
            );
            let ladder = Ladder::regions(["us-west-2", "us-east-2"]).with_warm_share(share);
            let service = FallbackLayer::new(ladder).unwrap().layer(bed);
            match service.oneshot(home()).await {
                Ok(response) if moves => assert_eq!(response.served().route_index, expected),
                Err(error) if !moves => assert_eq!(error.cause(), cause),
                other => panic!("{other:?} after {cause}"),
            }
        }
    }
}

const SONNET_WEST: &str = "anthropic.claude-sonnet-4-6@us-west-2";
const SONNET_OHIO: &str = "anthropic.claude-sonnet-4-6@us-east-2";

/// With retries below: what waiting does not cure leaves each route at once, but for the last, where
/// it is retried; what may pass is retried on every route first. Wire calls are counted.
#[tokio::test(start_paused = true)]
async fn retries_below_come_before_or_after() {
    for (cause, wire) in [
        (Cause::ModelOverloaded, [1, 1, 4]),
        (Cause::TokensPerDay, [1, 1, 1]),
        (Cause::Internal, [3, 3, 3]),
        (Cause::Connect, [4, 4, 4]),
        (Cause::InvalidRequest, [1, 0, 0]),
    ] {
        let bed = Bed::new(move |_| Err(Error::new(cause)));
        let retry = RetryLayer::new().with_jitter(Jitter::seeded(7));
        let service = layer(&[SONNET_WEST, SONNET_OHIO]).layer(retry.layer(bed.clone()));
        let error = service.oneshot(home()).await.unwrap_err();
        assert_eq!(error.cause(), cause);
        let counted = ["us-east-1", "us-west-2", "us-east-2"].map(|region| bed.count(region));
        assert_eq!(counted, wire, "{cause}");
        // Attempts are numbered over all routes, and so the error counts them.
        let numbers: Vec<_> = bed.calls().iter().map(|call| call.attempt).collect();
        let all = u32::try_from(wire.iter().sum::<usize>()).unwrap();
        assert_eq!(numbers, (1..=all).collect::<Vec<_>>());
        assert_eq!(error.attempts(), Some(all));
    }
}

/// A call's own number of attempts is over all routes; with one it is not made again anywhere.
#[tokio::test(start_paused = true)]
async fn max_attempts_are_over_all_routes() {
    for (cause, most, wire) in [
        (Cause::ModelOverloaded, 1, [1, 0, 0]),
        (Cause::ModelOverloaded, 2, [1, 1, 0]),
        (Cause::ModelOverloaded, 4, [1, 1, 2]),
        (Cause::Internal, 2, [2, 0, 0]),
        (Cause::Internal, 4, [3, 1, 0]),
    ] {
        let bed = Bed::new(move |_| Err(Error::new(cause)));
        let retry = RetryLayer::new().with_jitter(Jitter::seeded(7));
        let service = layer(&[SONNET_WEST, SONNET_OHIO]).layer(retry.layer(bed.clone()));
        let request = home().with_max_attempts(most.try_into().unwrap());
        service.oneshot(request).await.unwrap_err();
        let counted = ["us-east-1", "us-west-2", "us-east-2"].map(|region| bed.count(region));
        assert_eq!(counted, wire, "{cause} {most}");
        // Retries below do not leave a call to a route that it has no attempt left for.
        let has_next = bed.calls()[0].has_next_route;
        assert_eq!(has_next, most > 1, "{cause} {most}");
    }
}

/// A signal to a layer above is good for one attempt: the next one does not carry it.
#[tokio::test]
async fn a_signal_goes_with_the_first_attempt_alone() {
    struct Deaf;
    impl SendListener for Deaf {
        fn waits(&self, _: u64) {}

        fn sends(self: Arc<Self>, _: u64, _: &CallContext) -> Option<Readmission> {
            None
        }
    }
    let listener = Arc::new(Deaf);
    let mut request = home();
    request.context_mut().send_signal = Some(SendSignal::new(&listener, 7));
    let bed = Bed::failing(Cause::ModelOverloaded, &["us-east-1"]);
    let service = layer(&[SONNET_WEST]).layer(bed.clone());
    service.oneshot(request).await.unwrap();
    let calls = bed.calls();
    let has_signal: Vec<_> = calls
        .iter()
        .map(|call| call.send_signal.is_some())
        .collect();
    assert_eq!(has_signal, [true, false]);
}

/// What one of our own layers refuses was not sent, so it is no attempt.
#[tokio::test]
async fn a_refusal_of_our_own_is_no_attempt() {
    let bed = Bed::new(|_| Ok(()));
    let breakers = CircuitBreakers::new();
    let sick = breakers.clone();
    let breaker = CircuitBreakerLayer::new(breakers);
    for _ in 0..10 {
        let failing = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
        breaker.layer(failing).oneshot(home()).await.unwrap_err();
    }
    assert!(matches!(
        sick.ask(home().context(), &home().context().route, Instant::now()),
        Passage::Closed { .. }
    ));

    let service = layer(&[SONNET_WEST]).layer(breaker.layer(bed.clone()));
    let request = home().with_max_attempts(1.try_into().unwrap());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.served().route_index, 1);
    assert_eq!(response.served().attempts, 1);
    assert_eq!(bed.routes(), [SONNET_WEST]);
}

/// A call that opts out stays on its own route, and is not told of another.
#[tokio::test]
async fn a_call_may_opt_out() {
    let bed = Bed::failing(Cause::ModelOverloaded, &["us-east-1"]);
    let layer = layer(&[SONNET_WEST])
        .with_gate(Says::new(|_| closed(None)))
        .on_event(|event| panic!("{event:?}"));
    let service = layer.layer(bed.clone());
    let request = home().without_fallback();
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(error.cause(), Cause::ModelOverloaded);
    assert!(FallbackExhausted::of(&error).is_none());
    let [call] = &bed.calls()[..] else {
        panic!("one attempt")
    };
    assert!(!call.has_next_route && call.max_wait.is_none());
}

/// A timeout moves on by the table, unless the call forbids that work be billed twice.
#[tokio::test]
async fn a_call_may_forbid_to_be_billed_twice() {
    assert!(matches!(
        Cause::Timeout.reaction().retry,
        RetryReaction::BackoffIfAllowed { .. }
    ));
    for (retries, is_moved) in [(None, true), (Some(true), true), (Some(false), false)] {
        let bed = Bed::failing(Cause::Timeout, &["us-east-1"]);
        let mut request = home();
        request.context_mut().retry.retry_timeouts = retries;
        let result = layer(&[SONNET_WEST]).layer(bed).oneshot(request).await;
        assert_eq!(result.is_ok(), is_moved, "{retries:?}");
    }
}

/// A call that does not fit a model's window goes only to a larger one, if both are known.
#[tokio::test]
async fn a_call_too_long_goes_to_a_larger_window() {
    let too_long = || Bed::failing(Cause::ContextTooLong, &["m.x", "n.y"]);
    let rungs = ["us.n.y", "us.o.z", "us.p.w"];
    let known = |layer: FallbackLayer| {
        layer
            .with_context_window(&model("m.x"), 1)
            .with_context_window(&model("global.m.x"), 200_000)
            .with_context_window(&model("us.n.y"), 200_000)
            .with_context_window(&model("o.z"), 1_000_000)
    };

    let bed = too_long();
    let service = known(layer(&rungs)).layer(bed.clone());
    service.oneshot(request("us.m.x@us-east-1")).await.unwrap();
    assert_eq!(bed.routes(), ["us.m.x@us-east-1", "us.o.z@us-east-1"]);

    // An overloaded model is left for any other; from there on, windows count.
    let bed = Bed::new(|call| {
        Err(Error::new(match call.attempt {
            1 => Cause::ModelOverloaded,
            _ => Cause::ContextTooLong,
        }))
    });
    let service = known(layer(&rungs)).layer(bed.clone());
    let error = service
        .oneshot(request("us.m.x@us-east-1"))
        .await
        .unwrap_err();
    assert_eq!(bed.routes()[1..], ["us.n.y@us-east-1", "us.o.z@us-east-1"]);
    assert_eq!(
        skipped(&error),
        [("us.p.w@us-east-1".into(), SkipReason::ContextWindow)]
    );

    // Where nothing is known of the first, nothing is known to be larger.
    let bed = too_long();
    let layer = layer(&rungs).with_context_window(&model("o.z"), 1_000_000);
    let service = layer.layer(bed.clone());
    let error = service
        .oneshot(request("us.m.x@us-east-1"))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::ContextTooLong);
    assert_eq!(bed.calls().len(), 1);
}

/// An answer of another model or of a lower tier is degraded; one of another region or of a wider
/// profile is not.
#[tokio::test]
async fn what_served_is_told_truthfully() {
    let flex = Rung::tier(ServiceTier::Flex);
    let priority = Rung::tier(ServiceTier::Priority);
    for (rung, degraded) in [
        (Rung::in_region("us-west-2"), false),
        (Rung::model(model("us.m.x")), false),
        (Rung::model(model("us.m.x")).at("us-west-2"), false),
        (Rung::model(model("n.y")), true),
        (flex, true),
        (priority, false),
    ] {
        let ladder = Ladder::new()
            .then(Rung::model(model("m.sick")))
            .then(rung.clone());
        let bed = Bed::new(|call| match call.attempt {
            3 => Ok(()),
            _ => Err(Error::new(Cause::ModelOverloaded)),
        });
        let layer = FallbackLayer::new(ladder).unwrap();
        let response = layer
            .layer(bed.clone())
            .oneshot(request("m.x@us-east-1"))
            .await
            .unwrap();
        let served = response.served();
        assert_eq!(served.route, bed.calls()[2].route);
        assert_eq!((served.route_index, served.attempts), (2, 3));
        assert_eq!(served.degraded, degraded, "{rung}");
    }
}

/// A service that tells nothing of who served is told for.
#[tokio::test]
async fn a_reply_that_tells_nothing_is_filled() {
    let mute = tower::service_fn(|request: Request<()>| async move {
        match request.context().attempt {
            1 => Err(Error::new(Cause::ModelOverloaded)),
            _ => Ok(Response::new((), Served::default(), None)),
        }
    });
    let response = layer(&["us.n.y"])
        .layer(mute)
        .oneshot(home())
        .await
        .unwrap();
    let served = response.served();
    assert_eq!(served.route, route("us.n.y@us-east-1"));
    assert_eq!((served.route_index, served.attempts), (1, 2));
    assert!(served.degraded);
}

/// A tier that the service itself lowered is degraded on the primary too.
#[tokio::test]
async fn a_lowered_tier_is_degraded() {
    let lowering = tower::service_fn(|request: Request<()>| async move {
        let route = request.context().route.clone();
        let served = Served {
            route: route.on_tier(ServiceTier::Default),
            ..Served::default()
        };
        Ok::<_, Error>(Response::new((), served, None))
    });
    let mut request = home();
    request.context_mut().route.tier = ServiceTier::Reserved;
    let response = layer(&["us.n.y"]).layer(lowering).oneshot(request).await;
    assert!(response.unwrap().served().degraded);
}
