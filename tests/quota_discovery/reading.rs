//! What is read, over sockets.

use super::*;

/// Every profile of the system gets the quota that its own rows have, in each region that is asked for.
#[tokio::test]
async fn every_profile_gets_its_own_quota() {
    let mut plane = account();
    row(&mut plane, NOVA_TPM).value = Some(400_000.0);
    row(&mut plane, NOVA_RPM).value = Some(200.0);
    let server = listening(plane).await;
    let found = QuotaDiscovery::new(&over_socket(&server), [REGION, "us-west-2", REGION])
        .discover()
        .await;
    assert!(found.is_complete(), "{found}");
    assert_eq!(found.to_string(), "");
    let mut known = routes(found.found());
    known.sort();
    assert_eq!(
        known,
        [
            "global.anthropic.claude-sonnet-4-6@us-east-1",
            "global.anthropic.claude-sonnet-4-6@us-west-2",
            "us.amazon.nova-lite-v1:0@us-east-1",
            "us.amazon.nova-lite-v1:0@us-west-2",
        ]
    );
    let quotas = Quotas::new();
    found.apply(&quotas);
    let snapshot = quotas.snapshot_of(&to(NOVA));
    assert_eq!(
        snapshot.tokens_per_day,
        Some(2_000),
        "doubled through profiles"
    );
    assert_eq!(
        snapshot.tokens_per_minute,
        Some(2_000),
        "no minute has more than the day"
    );
    assert_eq!(snapshot.requests_per_minute, Some(200));
    assert_eq!(
        tokens_of(&quotas, MICRO),
        Some(1_000),
        "in the region itself"
    );
}

/// All pages of all lists are read, each once.
#[tokio::test]
async fn every_page_is_read_once() {
    for page_size in [4, 99, 100, 296, 1_000] {
        let mut plane = account().page_size(page_size);
        for quota in &mut plane.quotas {
            quota.default = Some(1.0);
        }
        for number in 0..5 {
            let id = format!("profile{number:05}");
            plane = plane.profile(InferenceProfileSpec::application(id).of(NOVA));
        }
        let rows = plane.quotas.len();
        let server = listening(plane).await;
        let found = discovery(&over_socket(&server)).discover().await;
        assert!(found.is_complete(), "{found}");
        let listed = found.listing().region(&region()).unwrap();
        assert_eq!(listed.rows().len() + listed.ignored(), rows);
        // An application profile is known by its ARN and by its id.
        assert_eq!(found.listing().profiles().count(), 2 * 6);

        let requests = server.service().control_plane_requests();
        assert!(
            requests.iter().all(|request| request.answered == 1),
            "{requests:?}"
        );
        let pages = |action: &str| {
            let requests = requests.iter();
            requests.filter(|request| request.action == action).count()
        };
        let of_rows = rows.div_ceil(page_size.min(100));
        assert_eq!(pages("servicequotas:ListServiceQuotas"), of_rows);
        assert_eq!(pages("servicequotas:ListAWSDefaultServiceQuotas"), of_rows);
        let of_profiles = 2_usize.div_ceil(page_size) + 6_usize.div_ceil(page_size);
        assert_eq!(pages("bedrock:ListInferenceProfiles"), of_profiles);
        assert_eq!(pages("bedrock:GetInferenceProfile"), 0);
    }
}

/// Where the account has no value of its own, the default counts; where there is neither, the model is
/// told, and its ledger learns.
#[tokio::test]
async fn missing_rows_fall_back_to_defaults_and_then_to_learning() {
    let mut plane = account();
    plane
        .quotas
        .retain(|quota| !quota.name.contains("tokens per day"));
    for quota in &mut plane.quotas {
        quota.default = Some(77.0);
    }
    row(&mut plane, NOVA_TPM).value = None;
    plane
        .quotas
        .retain(|quota| !quota.name.ends_with("Claude Sonnet 4.6"));
    let server = listening(plane).await;
    let found = discovery(&over_socket(&server))
        .route(to("us.amazon.nova-pro-v1:0"))
        .route(to("us.example.unheard-of-v1:0"))
        .discover()
        .await;
    assert!(found.is_complete());
    assert_eq!(tokens(&found, NOVA), Some(77));
    assert!(!found.is_applied(&region(), NOVA_TPM));
    assert!(found.is_applied(&region(), NOVA_RPM));
    assert_eq!(
        tokens(&found, "us.amazon.nova-pro-v1:0"),
        Some(1_000),
        "applied before default"
    );
    assert_eq!(
        routes(found.unknown()),
        [
            "global.anthropic.claude-sonnet-4-6@us-east-1",
            "us.example.unheard-of-v1:0@us-east-1"
        ]
    );
    assert_eq!(tokens(&found, GLOBAL), None);
    assert!(
        found
            .to_string()
            .contains("no quota is listed for us.example"),
        "{found}"
    );
}

/// Names that leave a doubt are refused with both of them, and a quota of 0 is told.
#[tokio::test]
async fn doubts_are_told_and_not_guessed() {
    let other = "Cross-region model inference tokens per minute for Nova Lite V1";
    let mut plane = account().quota(ServiceQuotaSpec::new("L-OTHER", other).value(5.0));
    let sonnet = plane
        .quotas
        .iter_mut()
        .filter(|quota| quota.name.ends_with("Claude Sonnet 4.6"));
    sonnet.for_each(|quota| quota.value = Some(0.0));
    let server = listening(plane).await;
    let found = discovery(&over_socket(&server)).discover().await;
    assert_eq!(
        routes(found.ambiguous()),
        ["us.amazon.nova-lite-v1:0@us-east-1"]
    );
    assert_eq!(
        routes(found.closed()),
        ["global.anthropic.claude-sonnet-4-6@us-east-1"]
    );
    let said = found.to_string();
    assert!(
        said.contains("Nova Lite V1") && said.contains("is 0"),
        "{said}"
    );
    assert_eq!((tokens(&found, NOVA), tokens(&found, GLOBAL)), (None, None));
}

/// An account of which nothing is listed is no failure: everything is learned.
#[tokio::test]
async fn an_empty_account_is_read() {
    let server = listening(ControlPlane::new()).await;
    let found = discovery(&over_socket(&server)).discover().await;
    assert!(found.is_complete());
    assert_eq!(found.unknown().count(), 2);
    let nowhere = QuotaDiscovery::new(&over_socket(&server), [""; 0])
        .discover()
        .await;
    assert!(nowhere.is_complete());
    assert_eq!(nowhere.listing().regions().count(), 0);
}

/// A quota that cannot be meant with the template is told, and not kept.
#[tokio::test]
async fn a_senseless_template_is_told() {
    let server = listening(account()).await;
    let template =
        tower_bedrock::Quota::new().with_share(tower_bedrock::QuotaShare::TokensPerMinute(5_000));
    let found = discovery(&over_socket(&server))
        .template(template)
        .discover()
        .await;
    assert_eq!(found.invalid().count(), 2, "{found}");
    assert_eq!(tokens(&found, NOVA), None);
}
