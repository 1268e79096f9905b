//! The rules of Prometheus, as far as they are looked at here.

use std::collections::BTreeMap;

use serde::Deserialize;

pub(crate) const FILE: &str = "prometheus/alerts.yaml";
pub(crate) const TESTS: &str = "prometheus/alerts.test.yaml";

#[derive(Debug, Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Rule {
    pub(crate) record: Option<String>,
    pub(crate) alert: Option<String>,
    pub(crate) expr: String,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Rule {
    pub(crate) fn name(&self) -> &str {
        self.alert
            .as_deref()
            .or(self.record.as_deref())
            .unwrap_or_default()
    }
}

/// The rules in their order.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| format!("{FILE}: {error}"))?;
    Ok(file
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect())
}
