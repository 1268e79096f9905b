//! The same for calls of a real client, through the whole stack around it and inside of it: dropped
//! wherever they wait, of a stream until its last event.

use std::time::Duration;

use bedrock_sim::{
    DownAnswer, ErrorText, FaultKind, FaultSpec, Scenario, ScenarioBuilder, SimService,
};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};
use tower_bedrock::{
    CircuitBreakers, CircuitPolicy, CircuitState, FallbackLayer, Jitter, Ladder, PoolKey, Quota,
    RetryLayer, StackLayer,
};
use tower_bedrock_tests::{
    REGION,
    face::{Ask, Face, FaceKind},
    gauges::Gauges,
    in_process, model,
    pending::{Cut, cut_at},
};

use crate::rigs::{SECOND, route};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a call has to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing but its answer.
    Clear,
    /// A line for the quota, with others before and behind it.
    Quota,
    /// A line for a place, with others before and behind it.
    Pool,
    /// An error, a refusal in the first frame, a connection that is reset, and the waits after them.
    Failures,
    /// A circuit that is half-open: it is the probe.
    HalfOpen,
    /// A primary that is out.
    Outage,
}

struct Rig {
    sim: SimService,
    face: Face,
    gauges: Gauges,
    stack: StackLayer,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Clear,
        Self::Quota,
        Self::Pool,
        Self::Failures,
        Self::HalfOpen,
        Self::Outage,
    ];

    fn scenario(self) -> ScenarioBuilder {
        let slow = model()
            .regions([REGION, SECOND])
            .latency(Duration::from_millis(500))
            .tokens_per_second(10)
            .output_tokens(4);
        let scenario = Scenario::builder().seed(7).model(slow);
        match self {
            Self::Clear | Self::Quota | Self::Pool => scenario,
            Self::Failures => scenario
                .fault(FaultSpec::error(ErrorText::InternalServer).count(1))
                .fault(FaultSpec::new(FaultKind::Reset).skip(1).count(1)),
            Self::HalfOpen => {
                let answer = DownAnswer::ServiceUnavailable;
                let down = FaultSpec::new(FaultKind::Down { answer });
                scenario.fault(down.until(secs(5)))
            }
            Self::Outage => {
                let refused = FaultKind::StreamException {
                    after_events: 0,
                    error: ErrorText::ServiceUnavailable.into(),
                };
                scenario
                    .fault(FaultSpec::new(refused).region(REGION))
                    .fault(FaultSpec::error(ErrorText::TooManyConnections).region(REGION))
            }
        }
    }

    async fn rig(self, kind: FaceKind) -> Rig {
        let scenario = self.scenario().build().expect("a sound scenario");
        let sim = SimService::new(scenario);
        let breakers = CircuitBreakers::new()
            .with_home_region(REGION)
            .with_policy(CircuitPolicy::new().with_consecutive_failures(3))
            .expect("a sound policy")
            .with_jitter(Jitter::seeded(5));
        let mut builder = StackLayer::builder(REGION)
            .retry(RetryLayer::new().with_jitter(Jitter::seeded(7)))
            .circuit_breaker(breakers);
        if self == Self::Outage {
            let ladder = Ladder::regions([SECOND]);
            builder = builder.fallback(FallbackLayer::new(ladder).expect("a sound ladder"));
        }
        if self == Self::Quota {
            builder = builder.quota(route(), Quota::new().with_requests_per_minute(2));
        }
        let stack = builder.build_layer().expect("a sound stack");
        if self == Self::Pool {
            let pools = stack.pools().expect("it has pools");
            pools.set_limit(&PoolKey::region(REGION), 1);
        }
        let face = Face::of(kind, &stack, in_process(&sim));
        if self == Self::HalfOpen {
            let breakers = stack.breakers().expect("it has circuits");
            while breakers.state(&route()) == CircuitState::Closed {
                let failed = face.call(&Ask::default()).await;
                failed.expect_err("the service is down");
            }
            sleep(secs(30)).await;
        }
        Rig {
            gauges: Gauges::of_layer(&stack).and_sim(&sim),
            sim,
            face,
            stack,
        }
    }
}

async fn settled() {
    for _ in 0..30 {
        yield_now().await;
    }
}

async fn cut_once(kind: FaceKind, way: Way, ask: &Ask, cut: Cut) -> usize {
    let when = format!("{kind:?}, {way:?}, stream {}, {cut:?}", ask.is_stream);
    let rig = way.rig(kind).await;
    let spawn = |wait: bool| {
        let (face, ask) = (rig.face.clone(), ask.clone());
        tokio::spawn(async move {
            if wait {
                settled().await;
            }
            face.call(&ask).await
        })
    };
    let (before, behind) = match way {
        Way::Quota => (2, 1),
        Way::Pool => (1, 1),
        _ => (0, 0),
    };
    let mut others = Vec::new();
    for _ in 0..before {
        others.push(spawn(false));
        settled().await;
    }
    others.extend((0..behind).map(|_| spawn(true)));

    let outcome = cut_at(rig.face.call(ask), cut).await;
    match outcome.output {
        Some(result) => drop(result.unwrap_or_else(|failed| panic!("{when}: {failed:?}"))),
        None if others.is_empty() => rig.gauges.assert_at_rest(&when),
        None => {}
    }
    for other in others {
        let result = timeout(secs(600), other).await;
        let result = result.unwrap_or_else(|_| panic!("{when}: another is stuck"));
        let result = result.expect("no call panics");
        result.unwrap_or_else(|failed| panic!("{when}: another: {failed:?}"));
    }
    rig.gauges.assert_at_rest(&when);

    // Whatever the service still had in store for the call.
    while rig.sim.ledger().faults.values().sum::<u64>() < 2 && way == Way::Failures {
        drop(rig.face.call(&Ask::default()).await);
    }
    sleep(secs(60)).await;
    let next = rig.face.call(ask).await;
    next.unwrap_or_else(|failed| panic!("{when}: the next call: {failed:?}"));
    rig.gauges.assert_at_rest(&when);
    if way == Way::HalfOpen {
        let breakers = rig.stack.breakers().expect("it has circuits");
        assert_eq!(breakers.state(&route()), CircuitState::Closed, "{when}");
    }
    outcome.pauses
}

/// Around the client and inside of it, answered at once and as a stream, in line, between attempts,
/// as a probe and on the second route: dropped before it is polled, at each of its waits, a
/// moment later, and when it was woken and has not looked yet, a call leaves nothing held by the layers or by the
/// service, and the next call is answered.
#[tokio::test(start_paused = true)]
async fn a_call_of_either_face_can_be_dropped_wherever_it_waits() {
    let mut cuts = 0;
    for kind in FaceKind::ALL {
        for way in Way::ALL {
            for is_stream in [false, true] {
                let ask = Ask {
                    is_stream,
                    ..Ask::default()
                };
                let pauses = cut_once(kind, way, &ask, Cut::Never).await;
                assert!(pauses > 0, "{kind:?} {way:?}: nothing to wait for");
                for cut in Cut::everywhere(pauses) {
                    cut_once(kind, way, &ask, cut).await;
                    cuts += 1;
                }
            }
        }
    }
    assert!(cuts > 200, "{cuts}");
}

/// What has failed is let go at once: while a call waits for its next attempt, and while that is under
/// way, the one before is not, neither at the service nor on a connection.
#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_let_go() {
    let after_events = 0;
    let error = ErrorText::InternalServer;
    for what in [
        FaultKind::Error(error.into()),
        FaultKind::Reset,
        FaultKind::StreamCut { after_events },
        FaultKind::CloseInsideFrame { after_events },
        FaultKind::BadCrc { after_events },
        FaultKind::StreamException {
            after_events,
            error: error.into(),
        },
    ] {
        for kind in FaceKind::ALL {
            let fault = FaultSpec::new(what.clone()).count(1);
            let slow = model().latency(secs(1)).tokens_per_second(1);
            let scenario = Scenario::builder().seed(7).model(slow).fault(fault);
            let sim = SimService::new(scenario.build().expect("a sound scenario"));
            let retry = RetryLayer::new().with_jitter(Jitter::seeded(7));
            let stack = StackLayer::builder(REGION).retry(retry).build_layer();
            let stack = stack.expect("a sound stack");
            let face = Face::of(kind, &stack, in_process(&sim));
            let ask = Ask {
                is_stream: true,
                ..Ask::default()
            };
            let call = tokio::spawn(async move { face.call(&ask).await });
            let mut most = 0;
            while !call.is_finished() {
                most = most.max(sim.ledger().totals.in_flight);
                sleep(Duration::from_millis(10)).await;
            }
            let result = call.await.expect("no call panics");
            assert!(result.is_ok(), "{kind:?}, {what:?}: {result:?}");
            assert_eq!(sim.ledger().totals.requests, 2, "{kind:?}, {what:?}");
            assert_eq!(most, 1, "{kind:?}, {what:?}: attempts under way");
        }
    }
}
