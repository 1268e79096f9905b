//! Model ids and ARNs.

use tower_bedrock::{InvalidModelId, ModelId, ProfilePrefix, QuotaPath, Residency};

/// The longest id that the service accepts.
const LONGEST: usize = 2048;

/// A text is a model id, told as it was given and read the same again, or an error; what it tells of
/// itself stands in it, and agrees.
pub fn model_ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let model = match text.parse::<ModelId>() {
        Ok(model) => model,
        Err(error) => return refused(text, &error),
    };
    assert_eq!(model.as_str(), text);
    assert_eq!(model.to_string(), text);
    let again: ModelId = model.to_string().parse().expect("what it displays");
    assert_eq!(again, model);
    assert_eq!(
        (again.kind(), again.prefix(), again.base_model()),
        (model.kind(), model.prefix(), model.base_model())
    );
    let parts = [model.base_model(), model.region(), model.account()];
    for part in parts.into_iter().flatten() {
        assert!(!part.is_empty() && text.contains(part), "{part:?}");
    }
    assert_eq!(model.region().is_some(), text.starts_with("arn:"));
    paths_agree(&model);
    prefixes_go_round(&model);
}

/// What a well-formed text cannot be refused for.
fn refused(text: &str, error: &InvalidModelId) {
    assert!(!error.to_string().is_empty());
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
    let is_plain = !text.starts_with("arn:") && text.chars().all(is_allowed);
    let is_sized = (1..=LONGEST).contains(&text.len());
    assert!(!(is_plain && is_sized), "refused: {error}");
}

/// Where a call is processed and what it is counted by tell the same story.
fn paths_agree(model: &ModelId) {
    let agrees = match model.quota_path() {
        QuotaPath::InRegion | QuotaPath::Provisioned => {
            model.residency() == Some(Residency::InRegion)
        }
        QuotaPath::Geo => matches!(model.residency(), Some(Residency::Country | Residency::Geo)),
        QuotaPath::Global => model.residency() == Some(Residency::Global),
        _ => model.residency().is_none(),
    };
    assert!(
        agrees,
        "{:?} by {:?}",
        model.residency(),
        model.quota_path()
    );
}

/// The same model by way of another profile is the same model.
fn prefixes_go_round(model: &ModelId) {
    use ProfilePrefix::{Apac, Au, Ca, Eu, Global, In, Jp, Us, UsGov};
    let others = [Apac, Au, Ca, Eu, Global, In, Jp, Us, UsGov].map(Some);
    for prefix in others.into_iter().chain([None]) {
        if let Some(other) = model.with_prefix(prefix) {
            assert_eq!(other.base_model(), model.base_model(), "{prefix:?}");
            assert_eq!(other.prefix(), prefix);
        }
    }
}
