//! Every request of a call is signed for where it goes and when: proven by a verifier that shares no
//! code with what signs, at a door that refuses what AWS would.

use std::time::Duration;

use aws_sdk_bedrockruntime::{
    Client,
    config::{Builder, Token},
    types::{ServiceTier as Tier, ServiceTierType},
};
use bedrock_sim::{ErrorSpec, ErrorText, FaultSpec, ModelSpec, RetryAfterHint, SimService};
use tokio::{task::JoinSet, time::Instant};
use tower_bedrock::{Cause, Error, Ladder, Quota, RetryLayer, Route, Rung, ServiceTier};
use tower_bedrock_tests::{
    MODEL, PROMPT, message, model,
    verifying::{API_KEY, Arrival, Objection, VerifyingClient, VirtualTime, signing},
};

use crate::suite::{Call, Configure, Face, MakeFace, MakeRig, Rig, Told};

const OTHER: &str = "us.amazon.nova-pro-v1:0";
const ARN: &str =
    "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-pro-v1:0";

/// A door, with the usual model and another behind it in two regions.
struct Place {
    sim: SimService,
    clock: VirtualTime,
    door: VerifyingClient,
}

impl Place {
    fn new(faults: impl IntoIterator<Item = FaultSpec>) -> Self {
        Self::at(VirtualTime::new(), faults)
    }

    fn at(clock: VirtualTime, faults: impl IntoIterator<Item = FaultSpec>) -> Self {
        let regions = ["us-east-1", "us-west-2"];
        let scenario = bedrock_sim::Scenario::builder()
            .seed(7)
            .model(model().regions(regions))
            .model(ModelSpec::new(OTHER).regions(regions).output_tokens(20));
        let scenario = faults
            .into_iter()
            .fold(scenario, |scenario, fault| scenario.fault(fault));
        let sim = SimService::new(scenario.build().expect("a valid scenario"));
        let door = VerifyingClient::new(&sim, clock.clone());
        Self { sim, clock, door }
    }

    fn config(&self) -> Builder {
        signing(&self.door, self.clock.clone())
    }

    /// Both faces, each at a door of its own.
    fn faces(faults: &[FaultSpec], rig: MakeRig, config: Configure) -> [(Self, Face); 2] {
        [Face::tower as MakeFace, Face::fluent].map(|face| {
            let place = Self::new(faults.to_vec());
            let face = face(config(place.config()), &rig());
            (place, face)
        })
    }
}

fn always(text: ErrorText) -> FaultSpec {
    FaultSpec::error(text)
}

fn answered(told: &Told) {
    assert!(told.failure().is_none(), "{told:?}");
}

fn hosts(arrivals: &[Arrival]) -> Vec<&str> {
    arrivals
        .iter()
        .map(|arrival| arrival.host.as_str())
        .collect()
}

fn regions(arrivals: &[Arrival]) -> Vec<&str> {
    let signatures = arrivals
        .iter()
        .filter_map(|arrival| arrival.signature.as_ref());
    signatures
        .map(|signature| signature.region.as_str())
        .collect()
}

fn host(region: &str) -> String {
    format!("bedrock-runtime.{region}.amazonaws.com")
}

fn retrying() -> Rig {
    Rig::retrying(RetryLayer::new())
}

fn usual(config: Builder) -> Builder {
    config
}

/// Each retry is signed for itself, freshly dated, and numbered; all are known to be one call.
#[tokio::test(start_paused = true)]
async fn retries_are_signed_afresh() {
    let slow = ErrorSpec::from(ErrorText::TokensPerMinute).retry_after(RetryAfterHint::Seconds(50));
    let faults = [FaultSpec::error(slow).count(4)];
    for (place, face) in Place::faces(&faults, retrying, usual) {
        answered(&face.make(&Call::converse()).await);
        let arrivals = place.door.admitted();
        assert_eq!(arrivals.len(), 5);
        for arrival in &arrivals {
            assert!(arrival.age_secs.abs() <= 1, "{}", arrival.age_secs);
        }
        if let Face::Fluent(_) = face {
            let numbers: Vec<_> = arrivals
                .iter()
                .filter_map(|arrival| arrival.attempt.as_deref()?.split(';').next())
                .collect();
            let expected = [
                "attempt=1",
                "attempt=2",
                "attempt=3",
                "attempt=4",
                "attempt=5",
            ];
            assert_eq!(numbers, expected);
            let first = &arrivals[0].invocation;
            assert!(first.is_some());
            assert!(arrivals.iter().all(|arrival| arrival.invocation == *first));
        }
    }
}

/// A hop to another model stands in the path, percent-encoded, and in the signature: ids and ARNs.
#[tokio::test(start_paused = true)]
async fn a_hop_to_another_model_is_signed() {
    let rigs: [(MakeRig, &str); 2] = [
        (
            || {
                let rung = Rung::model(OTHER.parse().expect("an id"));
                retrying().falling_back(Ladder::new().then(rung), |layer| layer)
            },
            "/model/us.amazon.nova-pro-v1%3A0/converse",
        ),
        (
            || {
                let rung = Rung::model(ARN.parse().expect("an ARN"));
                retrying().falling_back(Ladder::new().then(rung), |layer| layer)
            },
            "/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Ainference-profile\
             %2Fus.amazon.nova-pro-v1%3A0/converse",
        ),
    ];
    for (rig, path) in rigs {
        let faults = [always(ErrorText::Overloaded).model(MODEL)];
        for (place, face) in Place::faces(&faults, rig, usual) {
            answered(&face.make(&Call::converse()).await);
            let arrivals = place.door.admitted();
            assert_eq!(
                arrivals[0].path,
                "/model/us.amazon.nova-lite-v1%3A0/converse"
            );
            assert_eq!(arrivals.last().expect("a hop").path, path);
        }
    }
}

/// A hop to another region goes to that region's host, in the scope of that region.
#[tokio::test(start_paused = true)]
async fn a_hop_to_another_region_is_signed() {
    let faults = [always(ErrorText::Overloaded).region("us-east-1")];
    let rig: MakeRig = || retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
    for (place, face) in Place::faces(&faults, rig, usual) {
        let told = face.make(&Call::converse()).await;
        answered(&told);
        let arrivals = place.door.admitted();
        let expected = [host("us-east-1"), host("us-west-2")];
        assert_eq!(hosts(&arrivals), expected);
        assert_eq!(regions(&arrivals), ["us-east-1", "us-west-2"]);
        let served = &told.answer().expect("it is answered").served;
        assert_eq!(served.route.to_string(), format!("{MODEL}@us-west-2"));
        // The next call begins at home again.
        face.make(&Call::converse()).await;
        assert_eq!(hosts(&place.door.admitted())[2], host("us-east-1"));
    }
}

/// A hop of region goes to the same variant of the endpoint that the user asked for.
#[tokio::test(start_paused = true)]
async fn a_hop_keeps_the_variant_of_the_endpoint() {
    let variants: [(Configure, &str); 3] = [
        (
            |config| config.use_fips(true),
            "bedrock-runtime-fips.us-west-2.amazonaws.com",
        ),
        (
            |config| config.use_dual_stack(true),
            "bedrock-runtime.us-west-2.api.aws",
        ),
        (
            |config| config.endpoint_url("https://proxy.example/base/"),
            "proxy.example",
        ),
    ];
    let rig: MakeRig = || retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
    for (variant, host) in variants {
        let faults = [always(ErrorText::Overloaded).region("us-east-1")];
        for (place, face) in Place::faces(&faults, rig, variant) {
            // Whatever a proxy does with its base path, the simulator does not know it.
            face.make(&Call::converse()).await;
            let arrivals = place.door.admitted();
            if host == "proxy.example" {
                assert_eq!(
                    arrivals[0].path,
                    "/base/model/us.amazon.nova-lite-v1%3A0/converse"
                );
                continue;
            }
            assert_eq!(arrivals[1].host, host);
            assert_eq!(regions(&arrivals), ["us-east-1", "us-west-2"]);
        }
    }
}

/// What is sent after a hop is, byte for byte but for the SDK's notes on the attempt, what the SDK
/// itself sends when it is asked to go there.
#[tokio::test(start_paused = true)]
async fn a_hop_is_what_the_sdk_would_have_sent() {
    let faults = [always(ErrorText::Overloaded).model(MODEL)];
    let rig: MakeRig = || {
        let rung = Rung::model(OTHER.parse().expect("an id")).at("us-west-2");
        let ladder = Ladder::new().then(rung.on_tier(ServiceTier::Flex));
        retrying().falling_back(ladder, |layer| layer)
    };
    let [_, (place, face)] = Place::faces(&faults, rig, usual);
    answered(&face.make(&Call::converse()).await);
    let hop = place.door.admitted().pop().expect("a hop");

    let plain = Place::at(place.clock.clone(), []);
    let there = aws_sdk_bedrockruntime::config::Region::new("us-west-2");
    let client = Client::from_conf(plain.config().region(there).build());
    let flex = Tier::builder().r#type(ServiceTierType::Flex).build();
    let input = tower_bedrock_tests::converse(OTHER);
    let sent = client
        .converse()
        .model_id(OTHER)
        .set_messages(input.messages)
        .set_inference_config(input.inference_config)
        .service_tier(flex.expect("a tier"))
        .send()
        .await;
    assert!(sent.is_ok(), "{sent:?}");
    let direct = plain.door.admitted().pop().expect("a request");

    let told = |arrival: &Arrival| {
        let mut headers = arrival.headers.clone();
        headers.retain(|(name, _)| !name.starts_with("amz-sdk-"));
        headers.sort();
        let body = String::from_utf8_lossy(&arrival.body).into_owned();
        (arrival.host.clone(), arrival.path.clone(), body, headers)
    };
    // Members of a JSON object have no order; the signature is over the bytes all the same.
    let members =
        |body: &str| -> serde_json::Value { serde_json::from_str(body).expect("the body is JSON") };
    let (hop, direct) = (told(&hop), told(&direct));
    assert_eq!((&hop.0, &hop.1), (&direct.0, &direct.1));
    assert_eq!(members(&hop.2), members(&direct.2));
    let names = |headers: &[(String, String)]| -> Vec<String> {
        headers.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&hop.3), names(&direct.3));
}

/// Requests wait in a layer for up to ten minutes, twice as long as a signature is good for, and none
/// is more than a minute old when it arrives. One that waited for less goes as the SDK signed it. The
/// SDK's own check of stalled uploads, which is on, sees none.
#[tokio::test(start_paused = true)]
async fn what_waited_long_is_signed_anew() {
    let place = Place::new([]);
    let rig = retrying().budgeted(
        &Route::to(MODEL.parse().expect("an id")),
        Quota::new().with_requests_per_minute(1),
        |layer| layer.with_max_wait(Duration::from_secs(3_600)),
    );
    let face = Face::fluent(place.config(), &rig);
    answered(&face.make(&Call::converse()).await);
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let face = face.clone();
        calls.spawn(async move { face.make(&Call::converse()).await });
    }
    let start = Instant::now();
    for told in calls.join_all().await {
        answered(&told);
    }
    assert!(
        start.elapsed() > Duration::from_secs(600),
        "{:?}",
        start.elapsed()
    );
    for arrival in place.door.admitted() {
        assert!(arrival.age_secs.abs() <= 1, "{}", arrival.age_secs);
    }

    tokio::time::sleep(Duration::from_secs(20)).await;
    answered(&face.make(&Call::converse()).await);
    let last = place.door.admitted().pop().expect("it was sent");
    assert!((39..=41).contains(&last.age_secs), "{}", last.age_secs);
}

/// Long waits do not mislead the SDK about the service's clock: the next call is dated rightly.
#[tokio::test(start_paused = true)]
async fn waits_do_not_move_the_clock() {
    let hint = ErrorSpec::from(ErrorText::TokensPerMinute).retry_after(RetryAfterHint::Seconds(50));
    // Twenty-five seconds ahead is what the SDK would take the service to be.
    let place = Place::new([FaultSpec::error(hint).count(1)]);
    let face = Face::fluent(place.config(), &retrying());
    answered(&face.make(&Call::converse()).await);
    answered(&face.make(&Call::converse()).await);
    let arrivals = place.door.admitted();
    let last = arrivals.last().expect("it was sent");
    assert!(last.age_secs.abs() <= 1, "{}", last.age_secs);
}

/// A local clock that is ten minutes off, either way, is corrected by the service's within the first
/// attempt, and the calls after it are dated rightly at once; hops and retries too.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected() {
    let ten_minutes = Duration::from_secs(600);
    let wrong: [fn(VirtualTime, Duration) -> VirtualTime; 2] =
        [VirtualTime::behind, VirtualTime::ahead];
    for wrong in wrong {
        let place = Place::new([always(ErrorText::Overloaded)
            .region("us-east-1")
            .skip(1)
            .count(1)]);
        let config = place
            .config()
            .time_source(wrong(place.clock.clone(), ten_minutes));
        let rig = retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
        let face = Face::fluent(config, &rig);
        let first = face.make(&Call::converse()).await;
        let attempts = first.answer().map(|answer| answer.served.attempts);
        assert_eq!(
            attempts,
            Some(1),
            "the correction is part of the attempt: {first:?}"
        );
        answered(&face.make(&Call::converse()).await);
        let arrivals = place.door.arrivals();
        let objections: Vec<_> = arrivals
            .iter()
            .map(|arrival| arrival.objection.clone())
            .collect();
        assert_eq!(objections, [Some(Objection::Clock), None, None, None]);
        for arrival in &arrivals[1..] {
            assert!(arrival.age_secs.abs() <= 2, "{}", arrival.age_secs);
        }
        assert_eq!(arrivals[3].host, host("us-west-2"));
    }
}

/// A signature that is refused for another reason than the clock is not made again.
#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_not_corrected() {
    let place = Place::new([]);
    let wrong = aws_credential_types::Credentials::from_keys("AKIDEXAMPLE", "other", None);
    let face = Face::fluent(place.config().credentials_provider(wrong), &retrying());
    let told = face.make(&Call::converse()).await;
    let failure = told.failure().expect("it is refused");
    assert!(
        matches!(failure.cause, Cause::Credentials | Cause::AccessDenied),
        "{failure:?}"
    );
    assert_eq!(place.door.arrivals().len(), 1);
    assert_eq!(place.sim.ledger().totals.requests, 0);
}

/// With the correction of clocks switched off, a wrong clock stays wrong.
#[tokio::test(start_paused = true)]
async fn a_clock_that_may_not_be_corrected_is_not() {
    let place = Place::new([]);
    let behind = place.clock.clone().behind(Duration::from_secs(600));
    let config = place
        .config()
        .time_source(behind)
        .disable_clock_skew_correction(true);
    let face = Face::fluent(config, &retrying());
    for _ in 0..2 {
        assert!(face.make(&Call::converse()).await.failure().is_some());
    }
    let arrivals = place.door.arrivals();
    assert_eq!(arrivals.len(), 2);
    assert!(
        arrivals
            .iter()
            .all(|arrival| arrival.objection == Some(Objection::Clock))
    );
}

/// An API key goes with every attempt and every hop, and nothing is signed.
#[tokio::test(start_paused = true)]
async fn an_api_key_goes_along() {
    let faults = [always(ErrorText::Overloaded).region("us-east-1")];
    let rig: MakeRig = || retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
    let with_key: Configure = |config| {
        config
            .bearer_token(Token::new(API_KEY, None))
            .auth_scheme_preference(["httpBearerAuth".into()])
    };
    for (place, face) in Place::faces(&faults, rig, with_key) {
        // The simulator knows the region of an API key's request by its host alone.
        answered(&face.make(&Call::converse()).await);
        let arrivals = place.door.admitted();
        assert_eq!(hosts(&arrivals), [host("us-east-1"), host("us-west-2")]);
        assert!(arrivals.iter().all(|arrival| arrival.signature.is_none()));
    }
}

/// A bound that a layer puts on the output is in the body, whose length and hash are told rightly.
#[tokio::test(start_paused = true)]
async fn a_body_that_a_layer_changes_is_signed() {
    let place = Place::new([]);
    let rig = retrying().budgeted(
        &Route::to(MODEL.parse().expect("an id")),
        Quota::new().with_tokens_per_minute(1_000_000),
        |layer| layer.with_output_clamp(55.try_into().expect("not zero")),
    );
    let Face::Fluent(client) = Face::fluent(place.config(), &rig) else {
        panic!("it is the fluent face")
    };
    let call = client.converse().model_id(MODEL).messages(message(PROMPT));
    let sent = call.send().await;
    assert!(sent.is_ok(), "{sent:?}");
    let arrivals = place.door.admitted();
    let body = String::from_utf8_lossy(&arrivals[0].body);
    assert!(body.contains(r#""maxTokens":55"#), "{body}");
}

/// What the user's own interceptors add before signing is signed on every attempt; what they add
/// after it is kept, unsigned as it was.
#[tokio::test(start_paused = true)]
async fn what_the_user_adds_is_kept() {
    let place = Place::new([always(ErrorText::Overloaded).count(2)]);
    let Face::Fluent(client) = Face::fluent(place.config(), &retrying()) else {
        panic!("it is the fluent face")
    };
    let sent = client
        .converse()
        .model_id(MODEL)
        .messages(message(PROMPT))
        .customize()
        .interceptor(Late)
        .mutate_request(|request| {
            request.headers_mut().insert("x-team", "search");
        })
        .send()
        .await;
    assert!(sent.is_ok(), "{:?}", sent.as_ref().map_err(Error::from_sdk));
    let arrivals = place.door.admitted();
    assert_eq!(arrivals.len(), 3);
    for arrival in &arrivals {
        let has = |name: &str| arrival.headers.iter().any(|(known, _)| known == name);
        assert!(has("x-team") && has("x-late"), "{:?}", arrival.headers);
        let signature = arrival.signature.as_ref().expect("it is signed");
        let covers = |name: &str| signature.headers.iter().any(|covered| covered == name);
        assert!(covers("x-team"));
        assert!(!covers("x-late"), "{:?}", signature.headers);
    }
}

/// Adds a header after signing.
#[derive(Debug)]
struct Late;

impl aws_sdk_bedrockruntime::config::Intercept for Late {
    fn name(&self) -> &'static str {
        "Late"
    }

    fn modify_before_transmit(
        &self,
        context: &mut aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut<'_>,
        _: &aws_sdk_bedrockruntime::config::RuntimeComponents,
        _: &mut aws_sdk_bedrockruntime::config::ConfigBag,
    ) -> Result<(), aws_smithy_runtime_api::box_error::BoxError> {
        context.request_mut().headers_mut().insert("x-late", "1");
        Ok(())
    }
}
