//! What a ladder may be, and how it is meant.

use super::*;
use crate::{InvalidModelId, Region, Residency};

const PROVISIONED: &str = "arn:aws:bedrock:us-east-1:111111111111:provisioned-model/abcdefghijkl";

fn invalid(ladder: Ladder) -> InvalidLadder {
    FallbackLayer::new(ladder).unwrap_err()
}

/// What cannot be meant is refused when the layer is made, with the rung that is at fault.
#[test]
fn ladders_that_cannot_be_meant_are_refused() {
    let ladder = |rungs: &[&str]| -> Ladder { rungs.iter().map(|rung| route(rung)).collect() };

    let regions = (0..16).map(|n| format!("us-east-{n}"));
    let error = invalid(Ladder::regions(regions));
    assert_eq!(error, InvalidLadder::TooLong { rungs: 16 });
    assert!(FallbackLayer::new(Ladder::regions((0..15).map(|n| format!("r-{n}")))).is_ok());

    let error = invalid(ladder(&["m.x"]).then(Route::default()));
    assert_eq!(error, InvalidLadder::Open { rung: 2 });

    let error = invalid(ladder(&["m.x@us-east-1", "m.x", "m.x@us-east-1"]));
    assert_eq!(error, InvalidLadder::Repeated { rung: 3, first: 1 });
    let capped = Rung::in_region("a").with_max_per_second(1.0);
    let error = invalid(Ladder::regions(["a"]).then(capped));
    assert_eq!(error, InvalidLadder::Repeated { rung: 2, first: 1 });

    let arn = Rung::model(model(PROVISIONED));
    let error = invalid(Ladder::new().then(arn.clone().at("us-west-2")));
    let region = Region::from("us-east-1");
    assert_eq!(error, InvalidLadder::ArnRegion { rung: 1, region });
    assert!(FallbackLayer::new(Ladder::new().then(arn)).is_ok());

    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let rung = Rung::in_region("us-west-2").with_max_per_second(rate);
        let error = invalid(Ladder::new().then(rung));
        assert_eq!(error, InvalidLadder::MaxPerSecond { rung: 1 });
    }
    for share in [-0.1, 1.1, f64::NAN] {
        let error = invalid(ladder(&["m.x"]).with_warm_share(share));
        assert_eq!(error, InvalidLadder::WarmShare);
    }
    for error in [
        invalid(ladder(&["m.x"]).with_warm_share(2.0)),
        invalid(Ladder::new().then(Rung::default())),
    ] {
        assert!(!error.to_string().is_empty());
    }
}

/// All profiles of a model, from narrow to wide, as far as they may go and exist for the region.
#[test]
fn profiles_are_listed_from_narrow_to_wide() -> Result<(), InvalidModelId> {
    use Residency::{Country, Geo, Global, InRegion};
    for (region, widest, expected) in [
        ("eu-west-1", InRegion, "m.x@eu-west-1"),
        ("eu-west-1", Country, "m.x@eu-west-1"),
        ("eu-west-1", Geo, "m.x@eu-west-1, eu.m.x@eu-west-1"),
        (
            "eu-west-1",
            Global,
            "m.x@eu-west-1, eu.m.x@eu-west-1, global.m.x@eu-west-1",
        ),
        (
            "ap-northeast-1",
            Geo,
            "m.x@ap-northeast-1, jp.m.x@ap-northeast-1, apac.m.x@ap-northeast-1",
        ),
        ("ca-central-1", Geo, "m.x@ca-central-1, ca.m.x@ca-central-1"),
        ("sa-east-1", Global, "m.x@sa-east-1, global.m.x@sa-east-1"),
        (
            "us-gov-west-1",
            Global,
            "m.x@us-gov-west-1, us-gov.m.x@us-gov-west-1",
        ),
        ("cn-north-1", Global, "m.x@cn-north-1"),
    ] {
        // Whatever id of the model is given.
        for id in ["m.x", "us.m.x"] {
            let ladder = Ladder::profiles(&id.parse()?, [region], widest).unwrap();
            assert_eq!(ladder.to_string(), expected);
            assert!(FallbackLayer::new(ladder).is_ok());
        }
    }
    let two = Ladder::profiles(&"m.x".parse()?, ["eu-west-1", "eu-north-1"], Geo).unwrap();
    assert_eq!(
        two.to_string(),
        "m.x@eu-west-1, m.x@eu-north-1, eu.m.x@eu-west-1, eu.m.x@eu-north-1"
    );
    let provisioned = model(PROVISIONED);
    let error = Ladder::profiles(&provisioned, ["us-east-1"], Geo).unwrap_err();
    assert_eq!(error, InvalidLadder::NoBaseModel { model: provisioned });
    Ok(())
}

/// A rung takes what it leaves open from the call; a route's default tier is open too.
#[tokio::test]
async fn open_parts_are_the_calls_own() {
    let ladder = Ladder::new()
        .then(Rung::in_region("us-west-2"))
        .then(Rung::model(model("us.n.y")))
        .then(Rung::tier(ServiceTier::Flex))
        .then(route("us.n.y@us-east-2"))
        .then(Rung::in_region("us-west-2").on_tier(ServiceTier::Default));
    let layer = FallbackLayer::new(ladder).unwrap();
    let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
    let mut request = request("us.m.x@us-east-1");
    request.context_mut().route.tier = ServiceTier::Priority;
    layer.layer(bed.clone()).oneshot(request).await.unwrap_err();
    assert_eq!(
        bed.routes(),
        [
            "us.m.x@us-east-1/priority",
            "us.m.x@us-west-2/priority",
            "us.n.y@us-east-1/priority",
            "us.m.x@us-east-1/flex",
            "us.n.y@us-east-2/priority",
            "us.m.x@us-west-2",
        ]
    );
}

/// Each route is taken once, by whatever name it is called: with the home region or without, by id
/// or by ARN.
#[tokio::test]
async fn a_route_is_taken_once_by_whatever_name() {
    let arn = "arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.m.x";
    let rungs = ["us.m.x@us-east-1", "us.m.x@us-west-2", arn, "us.n.y"];
    for primary in ["us.m.x", "us.m.x@us-east-1", arn] {
        let layer = layer(&rungs).with_home_region("us-east-1");
        let bed = Bed::new(|_| Err(Error::new(Cause::ModelOverloaded)));
        let error = layer
            .layer(bed.clone())
            .oneshot(request(primary))
            .await
            .unwrap_err();
        assert_eq!(bed.routes()[0], primary);
        let others = &bed.routes()[1..];
        assert_eq!(others[0], "us.m.x@us-west-2", "{primary}");
        assert!(others[1].starts_with("us.n.y"), "{primary}: {others:?}");
        assert_eq!(others.len(), 2, "{primary}: {others:?}");
        assert!(skipped(&error).is_empty());
    }
}

/// The first ladder that matches counts; a call that none matches takes the default one.
#[tokio::test]
async fn primaries_may_have_ladders_of_their_own() {
    let layer = layer(&["us.d.d"])
        .with_home_region("us-east-1")
        .with_ladder_for(
            route("us.m.x@us-west-2"),
            Ladder::new().then(route("us.a.a")),
        )
        .unwrap()
        .with_ladder_for(model("us.m.x"), Ladder::new().then(route("us.b.b")))
        .unwrap()
        .with_ladder_for(Rung::tier(ServiceTier::Flex), Ladder::new())
        .unwrap();
    for (primary, expected) in [
        ("us.m.x@us-west-2", "us.a.a@us-west-2"),
        ("us.m.x@us-east-2", "us.b.b@us-east-2"),
        ("us.m.x", "us.b.b"),
        ("us.n.y@us-west-2", "us.d.d@us-west-2"),
    ] {
        let bed = Bed::failing(Cause::ModelOverloaded, &["m.x", "n.y"]);
        let service = layer.layer(bed.clone());
        service.oneshot(request(primary)).await.unwrap();
        assert_eq!(bed.routes(), [primary, expected]);
    }
    let bed = Bed::failing(Cause::ModelOverloaded, &["n.y"]);
    let mut flex = request("us.n.y");
    flex.context_mut().route.tier = ServiceTier::Flex;
    layer.layer(bed.clone()).oneshot(flex).await.unwrap_err();
    assert_eq!(bed.routes(), ["us.n.y/flex"]);

    let error =
        FallbackLayer::default().with_ladder_for(model("m.x"), Ladder::new().then(Rung::default()));
    assert_eq!(error.unwrap_err(), InvalidLadder::Open { rung: 1 });
}
