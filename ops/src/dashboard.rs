//! The dashboard as it is written down in `grafana/dashboard.toml`.

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dashboard {
    pub(crate) title: String,
    pub(crate) uid: String,
    #[serde(rename = "variable")]
    pub(crate) variables: Vec<Variable>,
    #[serde(rename = "row")]
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) query: String,
    /// What "All" stands for, if not for every value that there is: `.*` also finds what comes later.
    #[serde(default)]
    pub(crate) all: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) title: String,
    #[serde(rename = "panel")]
    pub(crate) panels: Vec<Panel>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) kind: Kind,
    /// What to do at three in the morning.
    pub(crate) about: String,
    /// Of 24 columns.
    pub(crate) width: u32,
    #[serde(default = "Panel::usual_height")]
    pub(crate) height: u32,
    #[serde(default)]
    pub(crate) unit: Option<String>,
    #[serde(default)]
    pub(crate) decimals: Option<u32>,
    #[serde(default)]
    pub(crate) min: Option<f64>,
    #[serde(default)]
    pub(crate) max: Option<f64>,
    #[serde(default)]
    pub(crate) stacked: bool,
    #[serde(default)]
    pub(crate) bars: bool,
    #[serde(default)]
    pub(crate) thresholds: Vec<Threshold>,
    #[serde(default)]
    pub(crate) mappings: Vec<(u32, String, String)>,
    /// Series that always have one colour, by legend.
    #[serde(default)]
    pub(crate) colors: Vec<(String, String)>,
    /// The variable for each of whose values there is one such panel.
    #[serde(default)]
    pub(crate) repeat: Option<String>,
    pub(crate) queries: Vec<Query>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Stat,
    Timeseries,
    Bargauge,
    StateTimeline,
}

/// A colour, and from where on.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Threshold {
    Base(String),
    From(f64, String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    pub(crate) expr: String,
    pub(crate) legend: String,
    /// As of the end of the time that is shown.
    #[serde(default)]
    pub(crate) instant: bool,
    /// Drawn as a bare line of this colour.
    #[serde(default)]
    pub(crate) line: Option<String>,
}

impl Dashboard {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("grafana/dashboard.toml: {error}"))
    }

    pub(crate) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }
}

impl Panel {
    const fn usual_height() -> u32 {
        8
    }
}

impl Query {
    /// The expression with Grafana's variables filled in.
    pub(crate) fn substituted(&self, rate_interval: &str, range: &str) -> String {
        self.expr
            .trim()
            .replace("$__rate_interval", rate_interval)
            .replace("$__range", range)
            .replace("$job", ".*")
            .replace("$model", ".*")
            .replace("$region", ".*")
            .replace("$key", ".*")
    }
}
