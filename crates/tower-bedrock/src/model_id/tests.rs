use super::*;

fn model(id: &str) -> ModelId {
    id.parse().unwrap()
}

/// Every form of id that the service's own pattern accepts parses to what it names.
#[test]
fn every_accepted_form_parses() {
    use ModelIdKind as K;
    use QuotaPath as Q;
    let account = "123456789012";
    for (id, kind, base, path, residency) in [
        (
            "amazon.nova-lite-v1:0",
            K::FoundationModel,
            Some("amazon.nova-lite-v1:0"),
            Q::InRegion,
            Some(Residency::InRegion),
        ),
        (
            "us.amazon.nova-lite-v1:0",
            K::InferenceProfile,
            Some("amazon.nova-lite-v1:0"),
            Q::Geo,
            Some(Residency::Geo),
        ),
        (
            "us.anthropic.claude-opus-4-8",
            K::InferenceProfile,
            Some("anthropic.claude-opus-4-8"),
            Q::Geo,
            Some(Residency::Geo),
        ),
        (
            "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
            K::InferenceProfile,
            Some("anthropic.claude-sonnet-4-5-20250929-v1:0"),
            Q::Geo,
            Some(Residency::Geo),
        ),
        (
            "jp.anthropic.claude-haiku-4-5-20251001-v1:0",
            K::InferenceProfile,
            Some("anthropic.claude-haiku-4-5-20251001-v1:0"),
            Q::Geo,
            Some(Residency::Country),
        ),
        (
            "global.anthropic.claude-sonnet-5",
            K::InferenceProfile,
            Some("anthropic.claude-sonnet-5"),
            Q::Global,
            Some(Residency::Global),
        ),
        (
            "anthropic.claude-3-sonnet-20240229-v1:0:28k",
            K::FoundationModel,
            Some("anthropic.claude-3-sonnet-20240229-v1:0:28k"),
            Q::InRegion,
            Some(Residency::InRegion),
        ),
        ("my-model", K::BareName, None, Q::Unresolved, None),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            K::FoundationModel,
            Some("amazon.nova-lite-v1:0"),
            Q::InRegion,
            Some(Residency::InRegion),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-opus-4-8",
            K::InferenceProfile,
            Some("anthropic.claude-opus-4-8"),
            Q::Global,
            Some(Residency::Global),
        ),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
            K::ApplicationInferenceProfile,
            None,
            Q::Unresolved,
            None,
        ),
        (
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/abcdefghijkl",
            K::ProvisionedModel,
            None,
            Q::Provisioned,
            Some(Residency::InRegion),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan/abcdefghijkl",
            K::CustomModel,
            None,
            Q::Provisioned,
            Some(Residency::InRegion),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefghijkl",
            K::CustomModelDeployment,
            None,
            Q::Provisioned,
            Some(Residency::InRegion),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl",
            K::ImportedModel,
            None,
            Q::Provisioned,
            Some(Residency::InRegion),
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1",
            K::PromptRouter,
            None,
            Q::Unresolved,
            None,
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1",
            K::Prompt,
            None,
            Q::Unresolved,
            None,
        ),
        (
            "arn:aws:sagemaker:us-east-1:123456789012:endpoint/mine",
            K::SageMakerEndpoint,
            None,
            Q::Provisioned,
            Some(Residency::InRegion),
        ),
    ] {
        let parsed = model(id);
        assert_eq!(parsed.as_str(), id);
        assert_eq!(parsed.kind(), kind, "{id}");
        assert_eq!(parsed.base_model(), base, "{id}");
        assert_eq!(parsed.quota_path(), path, "{id}");
        assert_eq!(parsed.residency(), residency, "{id}");
        assert_eq!(
            parsed.account(),
            id.contains(account).then_some(account),
            "{id}"
        );
    }
}

/// A prefix is cut only where a `vendor.model` follows.
#[test]
fn dots_of_the_model_itself_are_no_prefix() {
    assert_eq!(model("us.model").prefix(), None);
    assert_eq!(model("us.model").base_model(), Some("us.model"));
    assert_eq!(model("user.anthropic.model").prefix(), None);
    assert_eq!(
        model("us.newvendor.model-1").prefix(),
        Some(ProfilePrefix::Us)
    );
}

/// What cannot be an id is refused with the reason, before anything is sent.
#[test]
fn malformed_ids_are_refused_with_the_reason() {
    for (id, reason) in [
        ("", "empty"),
        ("amazon.nova lite", "' ' at byte 11"),
        ("amazon.nova\u{2019}s", "at byte 11"),
        ("arn:aws:bedrock:us-east-1", "six parts"),
        ("arn:gcp:bedrock:us-east-1::foundation-model/x", "partition"),
        ("arn:aws:bedrock:::foundation-model/x.y", "no region"),
        (
            "arn:aws:bedrock:us-east-1:12:provisioned-model/x",
            "twelve digits",
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:provisioned-model",
            "no resource",
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:agent/x",
            "resource type",
        ),
        ("arn:aws:s3:us-east-1:123456789012:bucket/x", "service"),
    ] {
        let error = id.parse::<ModelId>().unwrap_err().to_string();
        assert!(error.contains(reason), "{id:?}: {error}");
    }
    assert_eq!(
        "x".repeat(2049).parse::<ModelId>(),
        Err(InvalidModelId::TooLong { length: 2049 })
    );
}

/// The rates of the published table, and the default for what it does not name.
#[test]
fn burndown_follows_the_published_table() {
    for (id, rate) in [
        ("us.anthropic.claude-opus-4-8", 15),
        ("global.anthropic.claude-sonnet-5", 10),
        ("global.anthropic.claude-opus-5-5", 10),
        ("anthropic.claude-fable-5-1", 10),
        ("us.openai.gpt-5.6-sol", 10),
        ("us.anthropic.claude-opus-4-7", 5),
        ("us.anthropic.claude-opus-4-20250514-v1:0", 5),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 5),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", 5),
        ("anthropic.claude-next", 5),
        ("amazon.nova-2-lite-v1:0", 1),
        ("openai.gpt-oss-120b-1:0", 1),
        ("my-model", 1),
    ] {
        assert_eq!(model(id).default_burndown_rate(), rate, "{id}");
    }
}

#[test]
fn max_output_follows_the_published_table() {
    for (id, tokens) in [
        ("us.anthropic.claude-opus-4-8", 128_000),
        ("us.anthropic.claude-sonnet-4-6", 128_000),
        ("global.anthropic.claude-sonnet-5", 128_000),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 64_000),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", 8192),
        ("us.amazon.nova-pro-v1:0", 5120),
        ("meta.llama3-1-70b-instruct-v1:0", 4096),
    ] {
        assert_eq!(model(id).default_max_output_tokens(), tokens, "{id}");
    }
}

#[test]
fn residency_is_ordered_from_narrow_to_wide() {
    assert!(Residency::InRegion < Residency::Country);
    assert!(Residency::Country < Residency::Geo);
    assert!(Residency::Geo < Residency::Global);
}

#[test]
fn a_prefix_can_be_changed() {
    let eu =
        model("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0");
    assert_eq!(eu.with_prefix(None), Some(model("amazon.nova-lite-v1:0")));
    assert_eq!(
        eu.with_prefix(Some(ProfilePrefix::Global)),
        Some(model("global.amazon.nova-lite-v1:0"))
    );
    assert_eq!(model("my-model").with_prefix(None), None);
}

/// What another prefix would make another model of has no such id.
#[test]
fn a_prefix_that_would_change_the_model_is_refused() {
    let nested = model("eu.us.vendor.model");
    assert_eq!(nested.base_model(), Some("us.vendor.model"));
    assert_eq!(nested.with_prefix(None), None);
}

/// Ids are the same if they are written the same, and only then.
#[test]
fn ids_are_equal_as_they_are_written() {
    let nova = model("amazon.nova-lite-v1:0");
    assert_eq!(nova, model("amazon.nova-lite-v1:0"));
    assert_ne!(nova, model("us.amazon.nova-lite-v1:0"));
    assert_ne!(nova, model("amazon.nova-pro-v1:0"));
}

/// Without any count, a kilobyte of text is taken for more tokens of Nova's than of anybody else's
/// (BEDROCK.md §3.7).
#[test]
fn bytes_per_token_are_the_makers() {
    assert_eq!(model("us.amazon.nova-lite-v1:0").bytes_per_token(), 3);
    assert_eq!(model("amazon.titan-text-v1").bytes_per_token(), 4);
    assert_eq!(model("anthropic.claude-sonnet-4-6").bytes_per_token(), 4);
}

/// An id is the same whether it was kept or found no more room, however often it is parsed.
#[test]
fn ids_are_the_same_with_and_without_room() {
    let ids: Vec<_> = (0..2000).map(|n| format!("us.vendor.model-{n}")).collect();
    let first: Vec<_> = ids.iter().map(|id| model(id)).collect();
    let second: Vec<_> = ids.iter().map(|id| model(id)).collect();
    assert_eq!(first, second);
    for (parsed, id) in first.iter().zip(&ids) {
        assert_eq!(parsed.as_str(), id);
        assert_eq!(parsed.base_model(), id.strip_prefix("us."));
    }
    let different: std::collections::HashSet<_> = first.iter().chain(&second).collect();
    assert_eq!(different.len(), ids.len());
    assert!(first.iter().any(|model| model.own.is_some()));
}

/// What is no id is not found as one the second time.
#[test]
fn what_is_no_id_is_never_kept() {
    for _ in 0..2 {
        assert!(ModelId::new("no id").is_err());
        assert!(ModelId::new("arn:aws:s3:us-east-1::bucket/b").is_err());
    }
}
