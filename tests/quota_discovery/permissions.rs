//! What is said without a permission, over sockets.

use super::*;
use tower_bedrock::quotas::IamAction;

async fn without(action: IamAction) -> Discovery {
    let mut plane = account().deny(action.as_str());
    for quota in &mut plane.quotas {
        quota.default = Some(3.0);
    }
    let server = listening(plane).await;
    discovery(&over_socket(&server))
        .route(to(&arn("zzzzzzzzzzzz")))
        .route(to(NOVA))
        .discover()
        .await
}

fn missing(found: &Discovery) -> Vec<String> {
    let missing = found.missing_permissions();
    missing.iter().map(ToString::to_string).collect()
}

/// Each action that is missing is named with its region, and everything else is read.
#[tokio::test]
async fn each_missing_permission_is_named() {
    let found = without(IamAction::ListServiceQuotas).await;
    assert_eq!(
        missing(&found),
        ["allow servicequotas:ListServiceQuotas in us-east-1"]
    );
    assert_eq!(tokens(&found, NOVA), Some(3), "the defaults stand in");
    assert!(!found.is_applied(&region(), NOVA_TPM));
    assert_eq!(found.listing().profiles().count(), 2);

    let found = without(IamAction::ListAwsDefaultServiceQuotas).await;
    assert_eq!(
        missing(&found),
        ["allow servicequotas:ListAWSDefaultServiceQuotas in us-east-1"]
    );
    assert_eq!(tokens(&found, NOVA), Some(1_000));

    let found = without(IamAction::ListInferenceProfiles).await;
    assert_eq!(
        missing(&found),
        ["allow bedrock:ListInferenceProfiles in us-east-1"]
    );
    assert_eq!(tokens(&found, NOVA), Some(1_000), "ids tell what they are");
    assert_eq!(found.listing().profiles().count(), 0);

    let found = without(IamAction::GetInferenceProfile).await;
    assert_eq!(
        missing(&found),
        ["allow bedrock:GetInferenceProfile in us-east-1"]
    );
    assert_eq!(found.unresolved().len(), 1);
    assert_eq!(
        tokens(&found, &arn(PROFILE)),
        Some(1_000),
        "that one is listed"
    );
    for line in found.to_string().lines() {
        assert!(line.contains("zzzz") || line.contains("allow it"), "{line}");
    }
}

/// Without any permission all are named, for each region, and calls go on as without discovery.
#[tokio::test]
async fn all_missing_permissions_are_named() {
    let plane = [
        IamAction::ListServiceQuotas,
        IamAction::ListAwsDefaultServiceQuotas,
        IamAction::ListInferenceProfiles,
        IamAction::GetInferenceProfile,
    ];
    let plane = plane
        .into_iter()
        .fold(account(), |plane, action| plane.deny(action.as_str()));
    let server = listening(plane).await;
    let found = QuotaDiscovery::new(&over_socket(&server), [REGION, "us-west-2"])
        .route(Route::to(arn(PROFILE).parse().unwrap()))
        .discover()
        .await;
    assert_eq!(missing(&found).len(), 8, "{found}");
    assert_eq!(found.listing().regions().count(), 0);
    assert_eq!(tokens(&found, NOVA), None);
    let said = found.to_string();
    assert!(
        !said.contains("arn:aws:iam"),
        "who asked is not for logs: {said}"
    );
}

/// What failed otherwise is told with its code, and is no missing permission.
#[tokio::test]
async fn other_failures_are_no_missing_permissions() {
    let config = sdk_config("http://127.0.0.1:1").build();
    let found = discovery(&config).max_attempts(1).discover().await;
    assert_eq!(found.missing_permissions(), []);
    assert_eq!(found.failures().count(), 3);
    for failure in found.failures() {
        assert!(
            failure.to_string().contains("failed in us-east-1"),
            "{failure}"
        );
        assert!(std::error::Error::source(failure).is_some());
    }

    let server = listening(account()).await;
    let found = discovery(&over_socket(&server))
        .route(to(&arn("zzzzzzzzzzzz")))
        .discover()
        .await;
    let failures: Vec<_> = found.failures().map(ToString::to_string).collect();
    assert_eq!(
        failures,
        ["bedrock:GetInferenceProfile failed in us-east-1: ResourceNotFoundException"]
    );
}
