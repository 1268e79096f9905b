use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, future::ProvideCredentials as Provided},
};
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Builder, Region};
use aws_smithy_async::time::TimeSource;
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{ErrorText, FaultKind, FaultSpec, SimService};
use tokio::task::JoinSet;
use tower_bedrock::{Cause, Ladder, Quota, Route};
use tower_bedrock_tests::{
    MODEL, REGION, model, scenario,
    sigv4::Verifier,
    verifying::{VerifyingClient, VirtualTime, credentials, signing},
};

use super::retrying;
use crate::suite::{Call, Face, MakeFace, Op};

const FACES: [MakeFace; 2] = [Face::tower, Face::fluent];

/// Gives out one key, and another when that has expired.
#[derive(Debug)]
struct Rotating {
    clock: VirtualTime,
    until: SystemTime,
}

impl Rotating {
    fn key(&self) -> Credentials {
        let (name, until) = if self.clock.now() < self.until {
            ("AKIDFIRST", self.until)
        } else {
            ("AKIDSECOND", self.until + Duration::from_secs(1 << 20))
        };
        Credentials::new(name, name, None, Some(until), "rotating")
    }
}

impl ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::ready(Ok(self.key()))
    }
}

/// Credentials that expire while calls stand in line are asked for again: what is sent afterwards is
/// signed with those that are good then.
#[tokio::test(start_paused = true)]
async fn a_key_may_expire_while_calls_wait() {
    for face in FACES {
        let sim = SimService::new(scenario().build().expect("a valid scenario"));
        let clock = VirtualTime::new();
        let until = clock.now() + Duration::from_secs(600);
        let door = VerifyingClient::with_keys(
            &sim,
            clock.clone(),
            vec![
                (Verifier::new("AKIDFIRST", "AKIDFIRST", "bedrock"), until),
                (
                    Verifier::new("AKIDSECOND", "AKIDSECOND", "bedrock"),
                    until + Duration::from_secs(1 << 20),
                ),
            ],
        );
        let provider = Rotating {
            clock: clock.clone(),
            until,
        };
        let config = signing(&door, clock).credentials_provider(provider);
        let rig = retrying().budgeted(
            &Route::to(MODEL.parse().expect("an id")),
            Quota::new().with_requests_per_minute(1),
            |layer| layer.with_max_wait(Duration::from_secs(7_200)),
        );
        let face = face(config, &rig);
        let mut calls = JoinSet::new();
        for _ in 0..15 {
            let face = face.clone();
            calls.spawn(async move { face.make(&Call::converse()).await });
        }
        let told = calls.join_all().await;
        assert!(told.iter().all(|told| told.answer().is_some()), "{told:?}");
        let arrivals = door.admitted();
        assert_eq!(arrivals.len(), 15);
        let key_of = |at: usize| {
            let header = arrivals[at]
                .headers
                .iter()
                .find(|(name, _)| name == "authorization");
            header.map(|(_, value)| value.contains("AKIDSECOND"))
        };
        assert_eq!((key_of(0), key_of(14)), (Some(false), Some(true)));
    }
}

/// A service that refuses every signature as wrongly dated, whatever its date, is asked twice by the
/// attempt that learns of it, and once by those after: a correction is never made in a circle.
#[tokio::test(start_paused = true)]
async fn a_clock_is_not_corrected_in_a_circle() {
    let clock = VirtualTime::new();
    let ahead = clock.clone().ahead(Duration::from_secs(600));
    let requests = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&requests);
    let http = infallible_client_fn(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        http::Response::builder()
            .status(403)
            .header("date", httpdate::fmt_http_date(ahead.now()))
            .header("x-amzn-errortype", "InvalidSignatureException")
            .body(SdkBody::from(r#"{"message":"Signature expired"}"#))
            .expect("a response")
    });
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(credentials())
        .time_source(clock)
        .http_client(http);
    let face = Face::fluent(config, &retrying());
    for expected in [2, 1, 1] {
        let told = face.make(&Call::converse()).await;
        let failure = told.failure().expect("it is refused");
        assert_eq!(failure.cause, Cause::Credentials);
        assert_eq!(requests.swap(0, Ordering::Relaxed), expected);
    }
}

/// Every request of a stream is signed too: refused in its head or by its first frame, retried, and
/// answered in another region.
#[tokio::test(start_paused = true)]
async fn streams_are_signed() {
    let regions = ["us-east-1", "us-west-2"];
    for op in [Op::ConverseStream, Op::InvokeModelWithResponseStream] {
        for face in FACES {
            let refusal = FaultSpec::new(FaultKind::StreamException {
                after_events: 0,
                error: ErrorText::InternalServer.into(),
            });
            let scenario = bedrock_sim::Scenario::builder()
                .seed(7)
                .model(model().regions(regions))
                .fault(FaultSpec::error(ErrorText::InternalServer).count(1))
                .fault(refusal.region("us-east-1"));
            let sim = SimService::new(scenario.build().expect("a valid scenario"));
            let clock = VirtualTime::new();
            let door = VerifyingClient::new(&sim, clock.clone());
            let rig = retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
            let face = face(signing(&door, clock), &rig);
            let told = face.make(&Call::of(op)).await;
            assert_eq!(told.streamed().broken, None, "{op:?}");
            let arrivals = door.admitted();
            let regions: Vec<_> = arrivals
                .iter()
                .filter_map(|arrival| Some(arrival.signature.as_ref()?.region.as_str()))
                .collect();
            assert_eq!(
                regions,
                ["us-east-1", "us-east-1", "us-east-1", "us-west-2"],
                "{op:?}"
            );
        }
    }
}
