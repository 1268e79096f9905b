//! Where data may go: a hard filter.

use super::*;
use crate::Residency::{Country, Geo, Global, InRegion};

/// The routes that a call to `primary` was sent to when all of them failed.
async fn taken(layer: &FallbackLayer, request: Request<()>) -> Vec<String> {
    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
    layer.layer(bed.clone()).oneshot(request).await.unwrap_err();
    bed.routes()
}

async fn is_taken(layer: FallbackLayer, request: Request<()>, rung: &str) -> bool {
    let routes = taken(&layer, request).await;
    assert!(routes.len() <= 2);
    routes.iter().any(|route| route == rung)
}

/// Without a word on residency, a call moves within the narrowest area around its region that has a
/// profile, and within its own profile's.
#[tokio::test]
async fn the_default_area_is_the_regions_own() {
    #[rustfmt::skip]
    let cases = [
        // The United States are one geography.
        ("m.x@us-east-1", "m.x@us-west-2", true),
        ("m.x@us-east-1", "us.m.x@us-east-1", true),
        ("us.m.x@us-east-1", "us.m.x@us-west-2", true),
        ("us.m.x@us-east-1", "m.x@us-west-2", true),
        ("m.x@us-east-1", "global.m.x@us-east-1", false),
        ("us.m.x@us-east-1", "global.m.x@us-east-1", false),
        ("us.m.x@us-east-1", "m.x@ca-central-1", false),
        ("us.m.x@us-east-1", "eu.m.x@eu-west-1", false),
        ("m.x@us-east-1", "m.x@us-gov-west-1", false),
        // A profile of another geography, though both are as wide.
        ("eu.m.x@eu-west-1", "us.m.x@eu-west-1", false),
        ("eu.m.x@eu-west-1", "us.m.x@us-east-1", false),
        // Europe.
        ("m.x@eu-west-1", "m.x@eu-central-1", true),
        ("m.x@eu-west-1", "eu.m.x@eu-west-1", true),
        ("eu.m.x@eu-west-1", "eu.m.x@eu-north-1", true),
        ("eu.m.x@eu-west-1", "m.x@eu-central-1", true),
        ("eu.m.x@eu-west-1", "global.m.x@eu-west-1", false),
        ("m.x@eu-west-1", "m.x@us-east-1", false),
        ("m.x@eu-west-1", "m.x@il-central-1", false),
        ("m.x@eu-west-1", "m.x@eusc-de-east-1", false),
        // Japan.
        ("m.x@ap-northeast-1", "m.x@ap-northeast-3", true),
        ("m.x@ap-northeast-1", "jp.m.x@ap-northeast-1", true),
        ("jp.m.x@ap-northeast-1", "jp.m.x@ap-northeast-3", true),
        ("m.x@ap-northeast-1", "m.x@ap-southeast-2", false),
        ("m.x@ap-northeast-1", "apac.m.x@ap-northeast-1", false),
        ("jp.m.x@ap-northeast-1", "apac.m.x@ap-northeast-1", false),
        ("jp.m.x@ap-northeast-1", "m.x@ap-northeast-2", false),
        // A call that goes to all of Asia-Pacific by itself may go on there.
        ("apac.m.x@ap-northeast-1", "m.x@ap-southeast-2", true),
        ("apac.m.x@ap-northeast-1", "jp.m.x@ap-northeast-1", true),
        ("apac.m.x@ap-northeast-1", "m.x@us-east-1", false),
        ("apac.m.x@ap-northeast-1", "global.m.x@ap-northeast-1", false),
        // Australia, India, Canada.
        ("m.x@ap-southeast-2", "au.m.x@ap-southeast-2", true),
        ("m.x@ap-southeast-2", "m.x@ap-southeast-4", true),
        ("au.m.x@ap-southeast-2", "m.x@ap-southeast-1", false),
        ("m.x@ap-south-1", "in.m.x@ap-south-1", true),
        ("m.x@ap-south-1", "m.x@ap-south-2", true),
        ("m.x@ap-south-1", "m.x@ap-southeast-1", false),
        ("m.x@ca-central-1", "ca.m.x@ca-central-1", true),
        ("m.x@ca-central-1", "m.x@ca-west-1", true),
        ("m.x@ca-central-1", "us.m.x@ca-central-1", false),
        ("us.m.x@ca-central-1", "m.x@us-east-1", true),
        ("us.m.x@ca-central-1", "ca.m.x@ca-central-1", true),
        // Regions of Asia-Pacific without a country's profile.
        ("m.x@ap-southeast-1", "m.x@ap-northeast-2", true),
        ("m.x@ap-southeast-1", "apac.m.x@ap-southeast-1", true),
        // Regions that lie in nothing wider.
        ("m.x@sa-east-1", "m.x@us-east-1", false),
        ("m.x@sa-east-1", "global.m.x@sa-east-1", false),
        ("m.x@me-central-1", "m.x@ap-southeast-1", false),
        ("n.y@sa-east-1", "m.x@sa-east-1", true),
        // GovCloud is a world of its own.
        ("m.x@us-gov-west-1", "m.x@us-gov-east-1", true),
        ("m.x@us-gov-west-1", "us-gov.m.x@us-gov-west-1", true),
        ("us-gov.m.x@us-gov-west-1", "m.x@us-gov-east-1", true),
        ("us-gov.m.x@us-gov-west-1", "us.m.x@us-gov-west-1", false),
        ("us-gov.m.x@us-gov-west-1", "m.x@us-west-2", false),
        ("us-gov.m.x@us-gov-west-1", "global.m.x@us-gov-west-1", false),
        // A call that goes everywhere by itself may go everywhere but to another world.
        ("global.m.x@eu-west-1", "m.x@eu-west-1", true),
        ("global.m.x@eu-west-1", "us.m.x@us-east-1", true),
        ("global.m.x@eu-west-1", "m.x@eu-south-9", true),
        ("global.m.x@eu-west-1", "m.x@us-gov-west-1", false),
        ("global.m.x@eu-west-1", "m.x@cn-north-1", false),
        // What the name does not tell.
        ("m.x@eu-west-1", "some-router@eu-west-1", false),
        ("m.x@eu-west-1", "m.x@eu-south-9", false),
        ("n.y@eu-south-9", "m.x@eu-south-9", true),
        ("n.y@cn-north-1", "m.x@cn-northwest-1", false),
    ];
    for (primary, rung, expected) in cases {
        let is_taken = is_taken(layer(&[rung]), request(primary), rung).await;
        assert_eq!(is_taken, expected, "{primary} -> {rung}");
    }
}

/// The layer widens or narrows what is allowed; a call narrows it for itself, and never widens it.
#[tokio::test]
async fn the_layer_widens_and_a_call_narrows() {
    #[rustfmt::skip]
    let cases = [
        ("m.x@ap-northeast-1", Some(Geo), None, "m.x@ap-southeast-2", true),
        ("m.x@ap-northeast-1", Some(Geo), None, "apac.m.x@ap-northeast-1", true),
        ("m.x@ap-northeast-1", Some(Geo), None, "global.m.x@ap-northeast-1", false),
        ("m.x@ap-northeast-1", Some(Global), None, "global.m.x@ap-northeast-1", true),
        ("m.x@ap-northeast-1", Some(Global), None, "m.x@us-east-1", true),
        ("m.x@ap-northeast-1", Some(InRegion), None, "m.x@ap-northeast-3", false),
        ("n.y@ap-northeast-1", Some(InRegion), None, "m.x@ap-northeast-1", true),
        ("eu.m.x@eu-west-1", Some(Global), None, "global.m.x@eu-west-1", true),
        ("eu.m.x@eu-west-1", Some(Global), Some(Geo), "global.m.x@eu-west-1", false),
        ("eu.m.x@eu-west-1", Some(Global), Some(Geo), "m.x@eu-central-1", true),
        ("m.x@eu-west-1", Some(Global), Some(InRegion), "eu.m.x@eu-west-1", false),
        ("m.x@ap-northeast-1", Some(Global), Some(Country), "jp.m.x@ap-northeast-1", true),
        ("m.x@ap-northeast-1", Some(Global), Some(Country), "apac.m.x@ap-northeast-1", false),
        // The United States are a geography, not a country with a profile.
        ("m.x@us-east-1", None, Some(Country), "m.x@us-west-2", false),
        // A call does not widen the default, nor the layer's word.
        ("m.x@ap-northeast-1", None, Some(Global), "m.x@ap-southeast-2", false),
        ("m.x@ap-northeast-1", None, Some(Geo), "apac.m.x@ap-northeast-1", false),
        ("m.x@eu-west-1", Some(Geo), Some(Global), "global.m.x@eu-west-1", false),
        ("m.x@eu-west-1", None, Some(InRegion), "m.x@eu-central-1", false),
        // Nothing leaves its world, however wide it may go.
        ("m.x@us-gov-west-1", Some(Global), None, "m.x@us-east-1", false),
        ("m.x@us-gov-west-1", Some(Global), None, "global.m.x@us-gov-west-1", false),
        ("m.x@us-gov-west-1", Some(Global), None, "m.x@us-gov-east-1", true),
        ("m.x@us-east-1", Some(Global), None, "m.x@us-gov-east-1", false),
        ("n.y@cn-north-1", Some(Global), None, "m.x@cn-northwest-1", true),
    ];
    for (primary, layer_width, call_width, rung, expected) in cases {
        let mut layer = layer(&[rung]);
        if let Some(width) = layer_width {
            layer = layer.with_residency(width);
        }
        let mut request = request(primary);
        request.context_mut().fallback.residency = call_width;
        let is_taken = is_taken(layer, request, rung).await;
        assert_eq!(
            is_taken, expected,
            "{primary} -> {rung} within {layer_width:?}, {call_width:?}"
        );
    }
}

/// A call whose own route breaks its limits is refused before anything is sent, whether it might
/// fall back or not, and told of which route it was.
#[tokio::test]
async fn a_call_that_breaks_its_own_limits_is_not_sent() {
    #[rustfmt::skip]
    let cases = [
        ("global.m.x@eu-west-1", None, Some(Geo), false),
        ("eu.m.x@eu-west-1", None, Some(Country), false),
        ("eu.m.x@eu-west-1", Some(InRegion), None, false),
        ("jp.m.x@ap-northeast-1", None, Some(InRegion), false),
        ("some-router@eu-west-1", None, Some(Geo), false),
        ("some-router@eu-west-1", None, Some(Global), true),
        ("some-router@eu-west-1", None, None, true),
        ("eu.m.x@eu-west-1", None, Some(Geo), true),
        ("jp.m.x@ap-northeast-1", None, Some(Country), true),
        ("us.m.x@ca-central-1", None, Some(Geo), true),
        ("m.x@eu-west-1", None, Some(InRegion), true),
        ("m.x", None, Some(InRegion), true),
        ("global.m.x", None, None, true),
    ];
    for (primary, layer_width, call_width, is_sent) in cases {
        for is_disabled in [false, true] {
            let mut layer = layer(&["m.x@eu-west-1"]);
            if let Some(width) = layer_width {
                layer = layer.with_residency(width);
            }
            let mut request = request(primary);
            request.context_mut().fallback.residency = call_width;
            request.context_mut().fallback.is_disabled = is_disabled;
            let bed = Bed::new(|_| Ok(()));
            let result = layer.layer(bed.clone()).oneshot(request).await;
            assert_eq!(result.is_ok(), is_sent, "{primary} {call_width:?}");
            assert_eq!(bed.calls().len(), usize::from(is_sent));
            let Err(error) = result else { continue };
            assert_eq!(error.cause(), Cause::NoRouteAllowed);
            let refusal = NoRouteAllowed::of(&error).unwrap();
            let [own] = refusal.skipped() else {
                panic!("its own route")
            };
            assert_eq!(
                (&own.route, own.reason),
                (&route(primary), SkipReason::Residency)
            );
            assert_eq!(Some(refusal.residency()), layer_width.or(call_width));
            assert!(error.to_string().contains(primary), "{error}");
        }
    }
}

/// Where no other route is allowed, the caller gets the primary's own error, and the reason of each.
#[tokio::test]
async fn the_primarys_error_survives_a_ladder_of_forbidden_routes() {
    let layer = layer(&["global.m.x@eu-west-1", "us.m.x@us-east-1"]);
    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded).with_code("Overloaded")));
    let error = layer
        .layer(bed.clone())
        .oneshot(request("eu.m.x@eu-west-1"))
        .await
        .unwrap_err();
    assert_eq!(error.cause(), Cause::ModelOverloaded);
    assert_eq!(error.code(), Some("Overloaded"));
    assert_eq!(
        skipped(&error),
        [
            ("global.m.x@eu-west-1".into(), SkipReason::Residency),
            ("us.m.x@us-east-1".into(), SkipReason::Residency),
        ]
    );
    // It was told that there is nowhere to go, so that retries below go on.
    assert!(!bed.calls()[0].has_next_route);
}

/// A region that is left open is the home region; unnamed, it is not known to be near any other.
#[tokio::test]
async fn an_unnamed_home_is_nowhere_near() {
    let rung = "m.x@us-west-2";
    assert!(!is_taken(layer(&[rung]), request("m.x"), rung).await);
    let at_home = layer(&[rung]).with_home_region("us-east-1");
    assert!(is_taken(at_home, request("m.x"), rung).await);
    let elsewhere = layer(&[rung]).with_home_region("eu-west-1");
    assert!(!is_taken(elsewhere, request("m.x"), rung).await);

    // A profile names its area by itself, and the same home is the same home.
    let eu = "eu.m.x@eu-west-1";
    assert!(is_taken(layer(&[eu]), request("eu.m.x"), eu).await);
    assert!(is_taken(layer(&["n.y"]), request("m.x"), "n.y").await);
}

/// Routes of unknown areas are taken where that is allowed, if the region that is called is inside;
/// never in another world.
#[tokio::test]
async fn unknown_areas_can_be_allowed() {
    let profile = |region: &str| {
        format!("arn:aws:bedrock:{region}:111111111111:application-inference-profile/abc")
    };
    for (primary, id, region, expected) in [
        ("m.x@eu-west-1", "some-router", "eu-west-1", true),
        ("m.x@eu-west-1", "some-router", "eu-central-1", true),
        ("m.x@eu-west-1", "some-router", "us-east-1", false),
        ("m.x@eu-west-1", "m.x", "eu-south-9", true),
        ("m.x@eu-west-1", "m.x", "us-gov-west-9", false),
        ("m.x@eu-west-1", "global.m.x", "eu-west-1", false),
        ("m.x@eu-west-1", &profile("eu-west-1"), "eu-west-1", true),
        ("m.x@eu-west-1", &profile("us-east-1"), "us-east-1", false),
        ("m.x@eu-west-1", "global.m.x", "eu-south-9", false),
        ("m.x@eu-west-1", "eu.m.x", "eu-south-9", true),
        ("m.x", "m.x", "eu-west-1", false),
    ] {
        let rung = format!("{id}@{region}");
        let by_default = is_taken(layer(&[&rung]), request(primary), &rung).await;
        assert!(!by_default, "{primary} -> {rung}");
        let layer = layer(&[&rung]).with_unknown_areas(true);
        let is_taken = is_taken(layer, request(primary), &rung).await;
        assert_eq!(is_taken, expected, "{primary} -> {rung}");
    }

    // The same unknown thing on another tier stays where it is.
    let primary = profile("eu-west-1");
    let flex = FallbackLayer::new(Ladder::new().then(Rung::tier(ServiceTier::Flex))).unwrap();
    let routes = taken(&flex, request(&format!("{primary}@eu-west-1"))).await;
    assert_eq!(routes[1], format!("{primary}@eu-west-1/flex"));

    // In another region it is not known where it goes, though it has the same name.
    let rung = "some-router@us-east-1";
    assert!(!is_taken(layer(&[rung]), request("some-router@eu-west-1"), rung).await);
}
