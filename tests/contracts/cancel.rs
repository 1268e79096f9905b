//! A call that is dropped wherever it waits leaves nothing behind, and the next call is answered
//! (RELIABILITY.md §2.7, 10).

use std::time::Duration;

use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, sleep, timeout},
};
use tower::{Service, ServiceExt};
use tower_bedrock::{BedrockRequest, BedrockResponse, Cause, CircuitState, Error, Request};
use tower_bedrock_tests::{
    pending::{Cut, cut_at},
    probe::{Play, Probe, Readiness},
};

use crate::rigs::{Layers, Rig, SECOND, request, route};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How long a whole stream goes on.
const STREAM: Duration = Duration::from_secs(2);

/// What a call has to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing but its answer.
    Clear,
    /// A service that is not ready at once.
    Unready,
    /// A line for the quota, with others before and behind it.
    Quota,
    /// A line for a place, with others before and behind it.
    Pool,
    /// Two failures, and the waits after them.
    Failures,
    /// A circuit that is half-open: it is the probe.
    HalfOpen,
    /// A primary that is out.
    Outage,
    /// All of that, one after the other.
    Everything,
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Clear,
        Self::Unready,
        Self::Quota,
        Self::Pool,
        Self::Failures,
        Self::HalfOpen,
        Self::Outage,
        Self::Everything,
    ];

    /// Whether that has a way to be met with these layers.
    fn is_met_by(self, layers: Layers) -> bool {
        let is_whole = matches!(layers, Layers::Stack | Layers::Reversed);
        match self {
            Self::Clear | Self::Unready => true,
            Self::Quota => is_whole || matches!(layers, Layers::TokenBudget | Layers::Twice),
            Self::Pool => is_whole || matches!(layers, Layers::Pool | Layers::Twice),
            Self::Failures => layers.make_calls_again() && layers != Layers::Fallback,
            Self::HalfOpen => is_whole || layers == Layers::CircuitBreaker,
            Self::Outage => is_whole || layers == Layers::Fallback,
            Self::Everything => layers == Layers::Stack,
        }
    }

    /// The service on that way. Calls of the tenant "tripping" fail at once, and those of "next" are
    /// answered.
    fn probe(self, is_stream: bool) -> Probe {
        let readiness = match self {
            Self::Unready => Readiness::After(secs(1)),
            Self::Everything => Readiness::SecondTime,
            _ => Readiness::AtOnce,
        };
        Probe::new(readiness, move |call, _| {
            match call.tenant.as_deref() {
                Some("tripping") => {
                    return Play::failure(Duration::ZERO, Cause::ServiceUnavailable);
                }
                Some("next") => return Play::whole(secs(1)),
                _ => {}
            }
            let is_second =
                call.route.region.as_ref().map(|region| region.as_str()) == Some(SECOND);
            let fails = match self {
                Self::Failures => call.attempt <= 2,
                Self::Outage => !is_second,
                // On its own route, and twice on the other.
                Self::Everything => !is_second || call.attempt <= 3,
                _ => false,
            };
            match (fails, is_stream) {
                (true, _) => Play::failure(secs(1), Cause::Internal),
                (false, true) => Play::stream(secs(1)),
                (false, false) => Play::whole(secs(1)),
            }
        })
    }

    /// What is in the way before the call comes. Returns the others who are under way.
    async fn prepare(self, rig: &Rig) -> Vec<JoinHandle<Result<(), Error>>> {
        let mut others = Vec::new();
        if matches!(self, Self::HalfOpen | Self::Everything) {
            while rig.breakers.state(&route()) != CircuitState::Open {
                let mut tripping = request().with_tenant("tripping").without_fallback();
                tripping.context_mut().retry.max_attempts = std::num::NonZeroU32::new(1);
                let failed = rig.service.clone().oneshot(tripping).await;
                failed.expect_err("it fails on purpose");
            }
            sleep(secs(20)).await;
        }
        if matches!(self, Self::Quota | Self::Everything) {
            rig.allow(2);
        }
        if matches!(self, Self::Pool | Self::Everything) {
            rig.narrow(1);
        }
        let before = match self {
            Self::Quota => 2,
            Self::Pool => 1,
            _ => 0,
        };
        for _ in 0..before {
            others.push(spawn(rig));
            settled().await;
        }
        others
    }
}

/// A call to its end: of a stream, until it is over.
async fn whole(rig: Rig, request: Request<()>) -> Result<(), Error> {
    let reply = rig.service.oneshot(request).await?;
    if reply.is_open() {
        sleep(STREAM).await;
    }
    assert!(reply.served().attempts <= 6);
    reply.finish();
    Ok(())
}

fn spawn(rig: &Rig) -> JoinHandle<Result<(), Error>> {
    tokio::spawn(whole(rig.clone(), request()))
}

/// Lets other tasks do what they can do now.
async fn settled() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// Makes a call and cuts it; finds nothing left, others answered, and the next call answered. Returns
/// how often the call waited.
async fn cut_once(layers: Layers, way: Way, is_stream: bool, cut: Cut) -> usize {
    let when = format!("{layers:?}, {way:?}, stream {is_stream}, {cut:?}");
    let probe = way.probe(is_stream);
    let rig = layers.over(&probe);
    let mut others = way.prepare(&rig).await;
    let behind = matches!(way, Way::Quota | Way::Pool).then(|| {
        let rig = rig.clone();
        tokio::spawn(async move {
            // It comes while the other call stands in line.
            settled().await;
            whole(rig, request()).await
        })
    });
    others.extend(behind);

    let outcome = cut_at(whole(rig.clone(), request()), cut).await;
    if let Some(result) = outcome.output {
        result.unwrap_or_else(|error| panic!("{when}: {error:?}"));
    } else if others.is_empty() {
        rig.gauges.assert_at_rest(&when);
    }
    let start = Instant::now();
    for other in others {
        let result = timeout(secs(600), other).await;
        let result = result.unwrap_or_else(|_| panic!("{when}: another is stuck"));
        let result = result.expect("no call panics");
        result.unwrap_or_else(|error| panic!("{when}: another: {error:?}"));
    }
    // At most the rest of the minute, and the answers of those before it.
    assert!(start.elapsed() <= secs(70), "{when}: {:?}", start.elapsed());
    rig.gauges.assert_at_rest(&when);

    // A circuit that the call itself has opened again is open for ten seconds; a quota is there again
    // after a minute.
    sleep(secs(60)).await;
    let next = whole(rig.clone(), request().with_tenant("next")).await;
    next.unwrap_or_else(|error| panic!("{when}: the next call: {error:?}"));
    rig.gauges.assert_at_rest(&when);
    assert_eq!(probe.violations(), Vec::<String>::new(), "{when}");
    outcome.pauses
}

/// Every layer alone and all together, in this order and the reverse, with whatever may stand in a
/// call's way: dropped before it is polled, at each of its waits, a moment later, and when it was woken and
/// has not looked yet, a call leaves nothing held and nothing under way, those before and behind it
/// are answered in time, and so is the next.
#[tokio::test(start_paused = true)]
async fn a_call_can_be_dropped_wherever_it_waits() {
    let mut cuts = 0;
    for layers in Layers::ALL {
        for way in Way::ALL.into_iter().filter(|way| way.is_met_by(layers)) {
            for is_stream in [false, true] {
                let pauses = cut_once(layers, way, is_stream, Cut::Never).await;
                assert!(pauses > 0, "{layers:?} {way:?}: nothing to wait for");
                for cut in Cut::everywhere(pauses) {
                    cut_once(layers, way, is_stream, cut).await;
                    cuts += 1;
                }
            }
        }
    }
    assert!(cuts > 600, "{cuts}");
}

/// The same of a call that was made and never looked at, of a reply that is dropped, and of one that
/// goes away without a word to those who watch it.
#[tokio::test(start_paused = true)]
async fn what_is_never_looked_at_leaves_nothing() {
    for layers in Layers::ALL {
        for way in [Way::Clear, Way::HalfOpen] {
            if !way.is_met_by(layers) {
                continue;
            }
            for end in ["made", "dropped", "vanished", "broken"] {
                let when = format!("{layers:?}, {way:?}, {end}");
                let probe = way.probe(true);
                let rig = layers.over(&probe);
                way.prepare(&rig).await;
                let mut service = rig.service.clone();
                let call = service.ready().await.expect("ready").call(request());
                if end == "made" {
                    drop(call);
                } else {
                    let reply = call.await.expect("an answer");
                    assert!(!rig.gauges.held().is_empty(), "{when}: nothing was held");
                    match end {
                        "dropped" => drop(reply),
                        "vanished" => reply.vanish(),
                        _ => reply.fail(Cause::StreamFailed),
                    }
                }
                rig.gauges.assert_at_rest(&when);
                if end != "broken" {
                    // Whoever leaves says nothing of the route.
                    let circuit = rig.breakers.snapshot_of(&route());
                    assert_eq!(circuit.failures, 0, "{when}");
                    let is_open = circuit.state == CircuitState::Open;
                    assert!(!is_open || way == Way::HalfOpen && end == "made", "{when}");
                }
                sleep(secs(20)).await;
                let next = whole(rig.clone(), request().with_tenant("next")).await;
                next.unwrap_or_else(|error| panic!("{when}: the next call: {error:?}"));
                rig.gauges.assert_at_rest(&when);
            }
        }
    }
}
