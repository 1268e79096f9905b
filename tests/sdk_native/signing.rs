//! Every attempt is signed for where it goes and when.

use std::{num::NonZeroU32, time::Duration};

use aws_sdk_bedrockruntime::config::Token;
use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, SimService};
use tower::{ServiceBuilder, service_fn, util::MapRequestLayer};
use tower_bedrock::{
    BedrockRequest, ClassifyLayer, Error, Jitter, RetryLayer, Route, ServiceTier,
    sdk::install::SdkRequest,
};
use tower_bedrock_tests::{
    MODEL, scenario,
    verifying::{API_KEY, VerifyingClient, VirtualTime, signing},
};

use crate::support::{client, converse};

fn sim(faults: impl IntoIterator<Item = FaultSpec>) -> SimService {
    let everywhere = ModelSpec::new(MODEL).output_tokens(20);
    let other = ModelSpec::new("eu.amazon.nova-pro-v1:0")
        .regions(["eu-west-1"])
        .output_tokens(20);
    let scenario = bedrock_sim::Scenario::builder()
        .model(everywhere)
        .model(other);
    let scenario = faults
        .into_iter()
        .fold(scenario, |scenario, fault| scenario.fault(fault));
    SimService::new(scenario.build().expect("a valid scenario"))
}

/// Sends every call to `route`.
fn to(route: Route) -> MapRequestLayer<impl Fn(SdkRequest) -> SdkRequest + Clone> {
    MapRequestLayer::new(move |mut request: SdkRequest| {
        request.context_mut().route = route.clone();
        request
    })
}

fn retry() -> RetryLayer {
    RetryLayer::new().with_jitter(Jitter::seeded(3))
}

/// A retry is signed afresh, and says which attempt it is; the SDK's id of the call stays.
#[tokio::test(start_paused = true)]
async fn every_attempt_is_signed() {
    let clock = VirtualTime::new();
    let sim = sim([FaultSpec::error(ErrorText::TokensPerMinute).count(4)]);
    let door = VerifyingClient::new(&sim, clock.clone());
    let layers = ServiceBuilder::new()
        .layer(retry())
        .layer(ClassifyLayer::new());
    let client = client(signing(&door, clock), layers);
    converse(&client, MODEL)
        .await
        .expect("the fifth is answered");
    let arrivals = door.admitted();
    assert_eq!(arrivals.len(), 5);
    for (arrival, number) in arrivals.iter().zip(1..) {
        let attempt = arrival.attempt.as_deref().expect("the SDK's header");
        assert!(
            attempt.starts_with(&format!("attempt={number};")),
            "{attempt}"
        );
        assert_eq!(arrival.invocation, arrivals[0].invocation);
        assert!(arrival.age_secs.abs() <= 1, "{}", arrival.age_secs);
        assert_eq!(arrival.body, arrivals[0].body);
    }
}

/// Another model, another region, another tier, less to generate: written where it belongs, and
/// signed for where it goes.
#[tokio::test(start_paused = true)]
async fn a_hop_is_written_and_signed_for_its_route() {
    let clock = VirtualTime::new();
    let arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0";
    for model in ["eu.amazon.nova-pro-v1:0", arn] {
        let sim = sim([]);
        let door = VerifyingClient::new(&sim, clock.clone());
        let route = Route::to(model.parse().expect("a model id"))
            .in_region("eu-west-1")
            .on_tier(ServiceTier::Flex);
        let layers = ServiceBuilder::new()
            .layer(to(route))
            .layer(MapRequestLayer::new(|mut request: SdkRequest| {
                assert!(request.set_max_output_tokens(7));
                request
            }))
            .layer(ClassifyLayer::new());
        let client = client(signing(&door, clock.clone()), layers);
        let output = converse(&client, MODEL).await.expect("it is answered");
        assert_eq!(output.usage().map(|usage| usage.output_tokens()), Some(7));
        let arrival = door.admitted().remove(0);
        assert_eq!(arrival.host, "bedrock-runtime.eu-west-1.amazonaws.com");
        let label = model.replace(':', "%3A").replace('/', "%2F");
        assert_eq!(arrival.path, format!("/model/{label}/converse"));
        let body: serde_json::Value = serde_json::from_slice(&arrival.body).expect("JSON");
        assert_eq!(body["serviceTier"]["type"], "flex");
        assert_eq!(body["inferenceConfig"]["maxTokens"], 7);
        assert_eq!(
            sim.ledger()
                .quota("eu-west-1", "geo", "amazon.nova-pro-v1:0")
                .map(|quota| quota.counts.admitted),
            Some(1)
        );
    }
}

/// A call that waited for more than a minute is signed when it goes, one that waited less as it was.
#[tokio::test(start_paused = true)]
async fn a_call_that_waited_is_signed_when_it_goes() {
    for (wait, age) in [(59, 59), (62, 0), (600, 0)] {
        let clock = VirtualTime::new();
        let door = VerifyingClient::new(&sim([]), clock.clone());
        let layers = ServiceBuilder::new().layer_fn(
            move |inner: tower_bedrock::sdk::install::SdkTransport| {
                service_fn(move |request: SdkRequest| {
                    let mut inner = inner.clone();
                    async move {
                        tokio::time::sleep(Duration::from_secs(wait)).await;
                        tower::Service::call(&mut inner, request).await
                    }
                })
            },
        );
        let client = client(signing(&door, clock), layers);
        for _ in 0..2 {
            converse(&client, MODEL).await.expect("it is answered");
        }
        let arrivals = door.admitted();
        for arrival in arrivals {
            assert!(
                (arrival.age_secs - age).abs() <= 1,
                "{wait}: {}",
                arrival.age_secs
            );
        }
    }
}

/// A clock that is ten minutes off is found out by the first refusal, in the same call; from there on
/// signatures are dated by the service's clock, however long calls take.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected() {
    for ahead in [true, false] {
        let clock = VirtualTime::new();
        let slow = ModelSpec::new(MODEL).latency(Duration::from_secs(30));
        let scenario = bedrock_sim::Scenario::builder().model(slow).build();
        let sim = SimService::new(scenario.expect("a valid scenario"));
        let door = VerifyingClient::new(&sim, clock.clone());
        let off = Duration::from_secs(600);
        let wrong = if ahead {
            clock.ahead(off)
        } else {
            clock.behind(off)
        };
        let client = client(signing(&door, wrong), ClassifyLayer::new());
        for _ in 0..3 {
            converse(&client, MODEL).await.expect("it is answered");
        }
        let ages: Vec<_> = door
            .arrivals()
            .iter()
            .map(|arrival| arrival.age_secs.abs() <= 2)
            .collect();
        assert_eq!(ages, [false, true, true, true], "{:?}", door.arrivals());
    }
}

/// Who does not want clocks corrected gets the refusal.
#[tokio::test(start_paused = true)]
async fn a_clock_that_shall_not_be_corrected_is_not() {
    let clock = VirtualTime::new();
    let door = VerifyingClient::new(&sim([]), clock.clone());
    let config =
        signing(&door, clock.behind(Duration::from_secs(600))).disable_clock_skew_correction(true);
    let client = client(config, ClassifyLayer::new());
    for _ in 0..2 {
        let error = converse(&client, MODEL).await.expect_err("it is refused");
        let error = Error::from_sdk(&error).expect("a layer took part");
        assert_eq!(error.cause(), tower_bedrock::Cause::Credentials, "{error}");
    }
    assert_eq!(door.arrivals().len(), 2);
}

/// An API key goes along wherever the call goes.
#[tokio::test(start_paused = true)]
async fn an_api_key_goes_along() {
    let clock = VirtualTime::new();
    let sim = sim([FaultSpec::error(ErrorText::TokensPerMinute).count(1)]);
    let door = VerifyingClient::new(&sim, clock.clone());
    let config = signing(&door, clock)
        .bearer_token(Token::new(API_KEY, None))
        .auth_scheme_preference(["httpBearerAuth".into()]);
    let route =
        Route::to("eu.amazon.nova-pro-v1:0".parse().expect("a model id")).in_region("eu-west-1");
    let layers = ServiceBuilder::new()
        .layer(retry().with_max_attempts(NonZeroU32::new(3).expect("not 0")))
        .layer(to(route))
        .layer(ClassifyLayer::new());
    let client = client(config, layers);
    converse(&client, MODEL)
        .await
        .expect("the second is answered");
    let arrivals = door.admitted();
    assert_eq!(arrivals.len(), 2);
    assert!(
        arrivals
            .iter()
            .all(|arrival| arrival.host.contains("eu-west-1") && arrival.signature.is_none())
    );
}

/// Without trouble the SDK's own request goes out as it is.
#[tokio::test(start_paused = true)]
async fn an_untroubled_call_is_the_sdks_own_request() {
    let clock = VirtualTime::new();
    let sim = SimService::new(scenario().build().expect("a valid scenario"));
    let door = VerifyingClient::new(&sim, clock.clone());
    let client = client(signing(&door, clock), ClassifyLayer::new());
    converse(&client, MODEL).await.expect("it is answered");
    let arrival = door.admitted().remove(0);
    assert_eq!(arrival.attempt.as_deref(), Some("attempt=1; max=1"));
    assert_eq!(arrival.host, "bedrock-runtime.us-east-1.amazonaws.com");
}
