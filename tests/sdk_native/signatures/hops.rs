use aws_sdk_bedrockruntime::{
    Client,
    config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint},
    types::{ServiceTier as Tier, ServiceTierType},
};
use bedrock_sim::{ErrorSpec, ErrorText, FaultSpec, RetryAfterHint};
use tower_bedrock::{Ladder, Rung, ServiceTier};
use tower_bedrock_tests::{
    MODEL,
    verifying::{Arrival, signing},
};

use super::{OTHER, Place, always, answered, host, hosts, regions, retrying, usual};
use crate::suite::{Call, Configure, Face, MakeFace, MakeRig};

const ARN: &str =
    "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-pro-v1:0";

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

/// Two regions behind proxies, each of which has Bedrock below a path of its own.
#[derive(Debug)]
struct Proxies;

impl ResolveEndpoint for Proxies {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let url = match params.region() {
            Some("us-east-1") => "https://proxy.example/eastern/bedrock",
            _ => "https://other.example/west/",
        };
        EndpointFuture::ready(Ok(Endpoint::builder().url(url).build()))
    }
}

/// Where the user's own endpoint resolver puts a region below a path, a hop goes below that path, and
/// not below the one that it comes from.
#[tokio::test(start_paused = true)]
async fn a_hop_goes_below_the_path_of_its_region() {
    let rig: MakeRig = || retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
    for make in [Face::tower as MakeFace, Face::fluent] {
        let place = Place::new([always(ErrorText::Overloaded).region("us-east-1")]);
        let door = place.door.clone().behind(&["/eastern/bedrock", "/west"]);
        let config = signing(&door, place.clock.clone()).endpoint_resolver(Proxies);
        let face = make(config, &rig());
        answered(&face.make(&Call::converse()).await);
        let arrivals = door.admitted();
        let model = "model/us.amazon.nova-lite-v1%3A0/converse";
        let urls: Vec<_> = arrivals
            .iter()
            .map(|arrival| format!("{}{}", arrival.host, arrival.path))
            .collect();
        let expected = [
            format!("proxy.example/eastern/bedrock/{model}"),
            format!("other.example/west/{model}"),
        ];
        assert_eq!(urls, expected);
        assert_eq!(regions(&arrivals), ["us-east-1", "us-west-2"]);
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
