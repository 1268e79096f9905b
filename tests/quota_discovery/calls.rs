//! Calls that are counted by what was found.

use super::*;
use tower_bedrock::{Bedrock, Request, Stack};
use tower_bedrock_tests::converse;

/// Calls by the id, by the application profile's ARN and by its id are counted at one ledger, and the
/// service counts them at one quota, too.
#[tokio::test]
async fn a_profile_and_its_model_are_counted_together() {
    let server = listening(account()).await;
    let config = over_socket(&server);
    let found = discovery(&config).discover().await;
    let stack = Stack::builder(Bedrock::new(&config))
        .listing(found.listing().clone())
        .build()
        .unwrap();
    for id in [NOVA, &arn(PROFILE), NOVA, &arn(PROFILE)] {
        stack.send(Request::from(converse(id))).await.unwrap();
    }
    let quotas = stack.quotas().unwrap();
    for id in [NOVA, &arn(PROFILE), PROFILE] {
        let snapshot = quotas.snapshot_of(&to(id));
        assert_eq!(snapshot.requests_used, 4, "{id}");
        assert_eq!(snapshot.limit(Limit::TokensPerMinute), Some(1_000));
        assert_eq!(snapshot.key.path.as_str(), "geo");
    }
    assert_eq!(quotas.snapshot().len(), 1);
    let ledger = server.service().ledger();
    let used = ledger
        .quotas
        .iter()
        .filter(|quota| quota.counts.requests > 0);
    assert_eq!(used.count(), 1);
}

/// A profile that was made of a model is counted in the region, one of the global profile with that.
#[tokio::test]
async fn profiles_are_counted_by_what_they_were_made_of() {
    let everywhere = "arn:aws:bedrock:::foundation-model/amazon.nova-pro-v1:0";
    let nowhere = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-pro-v1:0";
    let other = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0";
    let plane = account()
        .profile(InferenceProfileSpec::application("ofmicro00000").of(MICRO))
        .profile(InferenceProfileSpec::application("ofglobal0000").of(GLOBAL))
        .profile(InferenceProfileSpec::application("everywhere00").model(everywhere))
        .profile(InferenceProfileSpec::application("unknown00000").model(nowhere))
        .profile(
            InferenceProfileSpec::application("twomodels000")
                .model(everywhere)
                .model(other),
        )
        .profile(InferenceProfileSpec::application("nomodel00000"));
    let server = listening(plane).await;
    let found = discovery(&over_socket(&server)).discover().await;
    let stands_for = |id: &str| {
        let profile = arn(id).parse().unwrap();
        found.listing().stands_for(&profile).to_string()
    };
    assert_eq!(stands_for(PROFILE), NOVA);
    assert_eq!(stands_for("ofmicro00000"), MICRO);
    assert_eq!(stands_for("ofglobal0000"), GLOBAL);
    assert_eq!(stands_for("everywhere00"), "global.amazon.nova-pro-v1:0");
    for id in ["unknown00000", "twomodels000", "nomodel00000"] {
        assert_eq!(stands_for(id), arn(id));
    }
    let said: Vec<_> = found.unresolved().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].contains("no profile of the system has its destinations"),
        "{said:?}"
    );
    assert!(
        said[1].contains("amazon.nova-micro-v1:0 or amazon.nova-pro-v1:0"),
        "{said:?}"
    );
    assert!(said[2].contains("no foundation model"), "{said:?}");
}

/// A profile with the destinations of two that are counted apart is refused, not guessed.
#[tokio::test]
async fn a_profile_that_may_be_two_is_refused() {
    let here = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0";
    let plane = account()
        .profile(InferenceProfileSpec::system("us.amazon.nova-micro-v1:0").model(here))
        .profile(InferenceProfileSpec::application("mayebetwo000").model(here));
    let server = listening(plane).await;
    let found = discovery(&over_socket(&server)).discover().await;
    let [doubt] = found.unresolved() else {
        panic!("{found}");
    };
    let said = doubt.to_string();
    assert!(
        said.contains("us.amazon.nova-micro-v1:0 or amazon.nova-micro-v1:0"),
        "{said}"
    );
}

/// A profile that no list has is read by itself, by its ARN.
#[tokio::test]
async fn a_profile_that_is_not_listed_is_read_by_itself() {
    let server = listening(account().deny("bedrock:ListInferenceProfiles")).await;
    let found = discovery(&over_socket(&server))
        .route(to(&arn(PROFILE)))
        .discover()
        .await;
    // Without the system's profiles nothing tells which of them it was made of.
    assert_eq!(found.unresolved().len(), 1);

    let plane = account()
        .profile(InferenceProfileSpec::application("ofmicro00000").of(MICRO))
        .deny("bedrock:ListInferenceProfiles");
    let server = listening(plane).await;
    let found = discovery(&over_socket(&server))
        .route(to(&arn("ofmicro00000")))
        .discover()
        .await;
    assert_eq!(tokens(&found, &arn("ofmicro00000")), Some(1_000));
    assert_eq!(
        routes(found.found()),
        [format!("{}@us-east-1", arn("ofmicro00000"))]
    );
}
