//! The series that Prometheus has of the library's metrics, with their labels.

use std::collections::{BTreeMap, BTreeSet};

use tower_bedrock::{
    Cause,
    metrics::{Metric, MetricKind},
};

pub(crate) type Labels = BTreeSet<String>;

/// What every scraped series has beside its own labels.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];

/// Series by name.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<String, Labels>);

impl Known {
    /// What the library's metrics become in Prometheus.
    pub(crate) fn of_the_library() -> Self {
        let mut known = Self::default();
        for metric in Metric::all() {
            let name = metric.prometheus_name();
            let labels = metric.labels.iter().map(|label| label.replace('.', "_"));
            let labels: Labels = labels.chain(OF_THE_TARGET.map(str::to_owned)).collect();
            match metric.kind {
                MetricKind::Histogram => {
                    let mut with_bound = labels.clone();
                    with_bound.insert("le".to_owned());
                    known.add(format!("{name}_bucket"), with_bound);
                    known.add(format!("{name}_sum"), labels.clone());
                    known.add(format!("{name}_count"), labels);
                }
                _ => known.add(name, labels),
            }
        }
        known
    }

    /// Adds what a rule records.
    pub(crate) fn add(&mut self, name: String, labels: Labels) {
        self.0.insert(name, labels);
    }

    #[cfg(test)]
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn labels(&self, name: &str) -> Option<&Labels> {
        self.0.get(name)
    }
}

/// Whether `label` may have `value`, where the library says which values there are.
pub(crate) fn may_be(label: &str, value: &str) -> bool {
    let own: &[&str] = match label {
        "cause" => &["wait"],
        "outcome" => &["answered", "dropped", "hit", "miss"],
        "end" => &["complete", "dropped"],
        "role" => return ["led", "joined"].contains(&value),
        _ => return true,
    };
    own.contains(&value) || Cause::ALL.iter().any(|cause| cause.as_str() == value)
}
