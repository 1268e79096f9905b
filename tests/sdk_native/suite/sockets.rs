//! Both faces over real sockets, through the SDK's own HTTP client. Nothing is timed here.

use std::{collections::HashMap, time::Duration};

use aws_sdk_bedrockruntime::{
    Client,
    config::{
        BehaviorVersion, Builder, Region,
        endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint},
        retry::RetryConfig,
    },
};
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, ModelSpec, Scenario, Server, SimService};
use tower_bedrock::{
    Backoff, Cause, Ladder, Quota, Reaction, Reactions, RetryLayer, Route, Rung, ServiceTier,
    sdk::install::Resilience,
};
use tower_bedrock_tests::{
    MODEL, PROMPT, config, message, model, scenario,
    verifying::{VerifyingServer, credentials},
};

use super::{
    call::{Call, Op},
    face::{Face, MakeFace},
    outcome::Told,
    rig::Rig,
};

type TestResult = Result<(), Box<dyn std::error::Error>>;

const FACES: [MakeFace; 2] = [Face::tower, Face::fluent];
const OTHER: &str = "us.amazon.nova-pro-v1:0";

/// Retries without waiting: over a real socket, no time is waited away.
fn at_once() -> Rig {
    let now = Backoff::new(Duration::ZERO, Duration::ZERO);
    let reactions = [
        Cause::ModelOverloaded,
        Cause::Connect,
        Cause::Internal,
        Cause::ServiceUnavailable,
    ]
    .into_iter()
    .fold(Reactions::default(), |reactions, cause| {
        reactions.with(cause, Reaction::to(cause).retried(now, 3))
    });
    Rig::retrying(RetryLayer::new().with_reactions(reactions))
}

fn is_answered(told: &Told) -> bool {
    match told {
        Told::Answered(_) => true,
        Told::Streamed(streamed) => streamed.broken.is_none() && streamed.events.len() > 3,
        Told::Failed(_) => false,
    }
}

/// Refused, reset, and then answered: each attempt is one request on the wire, for whole answers and
/// for streams.
#[tokio::test]
async fn trouble_on_a_real_socket_is_waited_out() -> TestResult {
    for op in [
        Op::Converse,
        Op::InvokeModel,
        Op::ConverseStream,
        Op::InvokeModelWithResponseStream,
    ] {
        for face in FACES {
            let trouble = scenario()
                .fault(FaultSpec::error(ErrorText::Overloaded).count(1))
                .fault(FaultSpec::new(FaultKind::Reset).count(1));
            let server = Server::bind("127.0.0.1:0", trouble.build()?).await?;
            let face = face(config(server.url()), &at_once());
            let told = face.make(&Call::of(op)).await;
            assert!(is_answered(&told), "{op:?}: {told:?}");
            assert_eq!(server.service().ledger().totals.requests, 3, "{op:?}");
            server.shutdown().await;
        }
    }
    Ok(())
}

/// A connection that breaks, and a port where nobody listens, are the same on both faces.
#[tokio::test]
async fn broken_and_refused_connections_are_told() -> TestResult {
    let mut seen = Vec::new();
    for face in FACES {
        let reset = scenario().fault(FaultSpec::new(FaultKind::Reset));
        let server = Server::bind("127.0.0.1:0", reset.build()?).await?;
        let face = face(config(server.url()), &Rig::bare());
        let broken = face.make(&Call::converse()).await;
        server.shutdown().await;
        let refused = face.make(&Call::converse()).await;
        let causes = [broken, refused].map(|told| told.failure().map(|failure| failure.cause));
        assert_eq!(causes, [Some(Cause::Connect); 2]);
        seen.push(causes);
    }
    assert_eq!(seen[0], seen[1]);
    Ok(())
}

/// Streams that break half way: what came is delivered, what broke it is told, and the call after is
/// answered.
#[tokio::test]
async fn streams_break_over_a_socket_as_they_do_without() -> TestResult {
    for what in [
        FaultKind::StreamCut { after_events: 4 },
        FaultKind::CloseInsideFrame { after_events: 4 },
        FaultKind::BadCrc { after_events: 4 },
        FaultKind::NoMessageStop,
        FaultKind::StreamException {
            after_events: 4,
            error: ErrorText::InternalServer.into(),
        },
    ] {
        let mut seen = Vec::new();
        for face in FACES {
            let fault = FaultSpec::new(what.clone()).count(1);
            let server = Server::bind("127.0.0.1:0", scenario().fault(fault).build()?).await?;
            let face = face(config(server.url()), &at_once());
            let told = face.make(&Call::of(Op::ConverseStream)).await;
            let streamed = told.streamed().clone();
            assert!(streamed.broken.is_some(), "{what:?}: {streamed:?}");
            seen.push(streamed);
            assert!(is_answered(&face.make(&Call::of(Op::ConverseStream)).await));
            assert_eq!(server.service().ledger().totals.requests, 2);
            server.shutdown().await;
        }
        assert_eq!(seen[0], seen[1], "{what:?}");
    }
    Ok(())
}

/// A stream that is dropped closes its connection: the service hears of it, and the place is free.
#[tokio::test]
async fn a_dropped_stream_is_heard_of() -> TestResult {
    for face in FACES {
        let one = model().tokens_per_second(20).concurrency(1);
        let server = Server::bind("127.0.0.1:0", Scenario::builder().model(one).build()?).await?;
        let face = face(config(server.url()), &Rig::bare());
        let told = face
            .make(&Call::of(Op::ConverseStream).dropped_after(2))
            .await;
        assert_eq!(told.streamed().events.len(), 2);
        // However long it takes until the service hears of it.
        tokio::time::timeout(Duration::from_secs(20), async {
            while server.service().ledger().totals.in_flight > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await?;
        server.shutdown().await;
    }
    Ok(())
}

/// A connection is given up after trouble of the service's, and kept after a throttle and an answer:
/// as many are made as the SDK alone makes.
#[tokio::test]
async fn connections_are_given_up_as_by_the_sdk() -> TestResult {
    for (text, expected) in [
        (ErrorText::ServiceUnavailable, 3),
        (ErrorText::Overloaded, 1),
    ] {
        for is_installed in [false, true] {
            let trouble = scenario().fault(FaultSpec::error(text).count(2));
            let sim = SimService::new(trouble.build()?);
            let server = VerifyingServer::bind(&sim, "us-east-1").await?;
            let retries = RetryConfig::standard()
                .with_max_attempts(3)
                .with_initial_backoff(Duration::from_millis(1));
            let config = config(server.url())
                .credentials_provider(credentials())
                .retry_config(retries);
            let config = if is_installed {
                Resilience::new(at_once()).install(config)
            } else {
                config
            };
            let client = Client::from_conf(config.build());
            for _ in 0..3 {
                let call = client.converse().model_id(MODEL).messages(message(PROMPT));
                call.send().await?;
            }
            assert_eq!(server.admitted().len(), 5);
            assert_eq!(
                server.connections(),
                expected,
                "{text:?}, installed: {is_installed}"
            );
        }
    }
    Ok(())
}

/// Where each region is, as a user's own endpoint resolver says it.
#[derive(Clone, Debug)]
struct Ports(HashMap<&'static str, String>);

impl ResolveEndpoint for Ports {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let url = params.region().and_then(|region| self.0.get(region));
        EndpointFuture::ready(match url {
            Some(url) => Ok(Endpoint::builder().url(url.clone()).build()),
            None => Err("no such region".into()),
        })
    }
}

/// Two regions, each behind a port of its own that lets in only what is signed for it.
struct Regions {
    east: VerifyingServer,
    west: VerifyingServer,
}

impl Regions {
    async fn bind(fault: FaultSpec) -> Result<Self, Box<dyn std::error::Error>> {
        let regions = ["us-east-1", "us-west-2"];
        let scenario = Scenario::builder()
            .model(model().regions(regions))
            .model(ModelSpec::new(OTHER).regions(regions).output_tokens(20))
            .fault(fault);
        let sim = SimService::new(scenario.build()?);
        Ok(Self {
            east: VerifyingServer::bind(&sim, "us-east-1").await?,
            west: VerifyingServer::bind(&sim, "us-west-2").await?,
        })
    }

    fn config(&self) -> Builder {
        let ports = [
            ("us-east-1", self.east.url()),
            ("us-west-2", self.west.url()),
        ];
        Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .endpoint_resolver(Ports(ports.into()))
    }
}

/// As it stands on the wire, every request is signed for where it comes to: the first, its retries,
/// and what is sent to another region, model and tier, with less to generate.
#[tokio::test]
async fn signatures_hold_on_the_wire() -> TestResult {
    for op in [Op::Converse, Op::InvokeModel, Op::ConverseStream] {
        for face in FACES {
            let sick = FaultSpec::error(ErrorText::InternalServer).region("us-east-1");
            let regions = Regions::bind(sick).await?;
            let rung = Rung::model(OTHER.parse()?)
                .at("us-west-2")
                .on_tier(ServiceTier::Flex);
            let rig = at_once()
                .budgeted(
                    &Route::to(MODEL.parse()?),
                    Quota::new().with_tokens_per_minute(1_000_000),
                    |layer| layer.with_output_clamp(50.try_into().expect("not zero")),
                )
                .falling_back(Ladder::new().then(rung), |layer| layer);
            let face = face(regions.config(), &rig);
            let told = face.make(&Call::of(op)).await;
            assert!(is_answered(&told), "{op:?}: {told:?}");
            assert_eq!(regions.east.admitted().len(), 4, "{op:?}");
            let west = regions.west.admitted();
            assert_eq!(west.len(), 1, "{op:?}");
            assert!(
                west[0]
                    .path
                    .starts_with("/model/us.amazon.nova-pro-v1%3A0/")
            );
            assert!(regions.west.url().ends_with(&west[0].host));
        }
    }
    Ok(())
}

/// Two hundred calls of all kinds at once on several threads, in trouble, a third of which go away:
/// the rest come to an end, and nothing is left of any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_on_several_threads_leave_nothing_behind() -> TestResult {
    let ops = [
        Op::Converse,
        Op::ConverseStream,
        Op::InvokeModel,
        Op::InvokeModelWithResponseStream,
    ];
    for face in FACES {
        let trouble = scenario()
            .fault(FaultSpec::error(ErrorText::InternalServer).every(5))
            .fault(FaultSpec::new(FaultKind::Reset).every(11))
            .fault(FaultSpec::new(FaultKind::StreamCut { after_events: 5 }).every(7));
        let server = Server::bind("127.0.0.1:0", trouble.build()?).await?;
        let route = Route::to(MODEL.parse()?);
        let quota = Quota::new().with_tokens_per_minute(10_000_000);
        let rig = at_once()
            .pooled(|pools| pools.with_max_in_flight(20))
            .budgeted(&route, quota, |layer| layer);
        let face = face(config(server.url()), &rig);
        let mut calls = tokio::task::JoinSet::new();
        let mut going = Vec::new();
        for (number, op) in ops.into_iter().cycle().take(200).enumerate() {
            let face = face.clone();
            let call = Call::of(op).dropped_after(number % 12);
            let task = calls.spawn(async move { face.make(&call).await });
            if number % 3 == 0 {
                going.push(task);
            }
        }
        for task in going {
            tokio::task::yield_now().await;
            task.abort();
        }
        let mut ended = 0;
        while let Some(done) = calls.join_next().await {
            ended += usize::from(done.is_ok());
        }
        assert!(ended >= 133, "{ended}");
        assert_eq!(rig.in_pools(), 0);
        let quota = rig.quotas().snapshot_of(&route);
        assert_eq!(
            (quota.waiting, quota.tokens_held, quota.tokens_waiting),
            (0, 0, 0)
        );
        server.shutdown().await;
    }
    Ok(())
}
