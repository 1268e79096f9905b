//! What a model id means to the quotas.

use tower_bedrock::{ModelId, QuotaPath};

use crate::ModelSpec;

/// What a model id means in a region. Ids of the same target draw on the same quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target<'a> {
    pub(crate) path: QuotaPath,
    /// The base model, or the whole id where that does not tell.
    pub(crate) model: &'a str,
}

impl<'a> Target<'a> {
    /// Reads an id. What is not an id at all stands for itself and matches nothing.
    pub(crate) fn of(id: &'a str) -> Self {
        let Ok(parsed) = ModelId::new(id) else {
            return Self {
                path: QuotaPath::Unresolved,
                model: id,
            };
        };
        // A base model stands at the end of its id, whatever the form.
        let base = parsed
            .base_model()
            .and_then(|base| id.get(id.len() - base.len()..));
        Self {
            path: parsed.quota_path(),
            model: base.unwrap_or(id),
        }
    }
}

impl ModelSpec {
    /// The model's names: its id and its aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.id]
            .into_iter()
            .chain(&self.aliases)
            .map(String::as_str)
    }

    /// Whether this is one of the model's names.
    pub(crate) fn is_called(&self, id: &str) -> bool {
        let target = Target::of(id);
        self.names().any(|name| Target::of(name) == target)
    }
}
