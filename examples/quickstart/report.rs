//! What is shown at the end.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::load::Outcome;

/// The two loads side by side, in the order of the table.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) endpoint: String,
    pub(crate) sdk_alone: Side,
    pub(crate) tower_bedrock: Side,
}

#[derive(Serialize)]
pub(crate) struct Side {
    pub(crate) calls: u32,
    pub(crate) answered: u32,
    pub(crate) failed: u32,
    pub(crate) served_by: Vec<u32>,
    pub(crate) attempts: u64,
    pub(crate) retries: u64,
    pub(crate) refusals: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) circuit_openings: Option<usize>,
    /// Of the answered calls; nothing if there are none.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) an_error: Option<String>,
}

impl From<Outcome> for Side {
    fn from(outcome: Outcome) -> Self {
        let counts = outcome.tally.counts();
        let quantile = |quantile| {
            let latency = Duration::from_micros(outcome.latency.value_at_quantile(quantile));
            (outcome.answered > 0).then(|| millis(latency))
        };
        Self {
            calls: outcome.calls,
            answered: outcome.answered,
            failed: outcome.calls - outcome.answered,
            served_by: outcome.served_by,
            attempts: counts.attempts,
            retries: counts.attempts.saturating_sub(outcome.calls.into()),
            refusals: counts
                .refusals
                .iter()
                .map(|(cause, count)| (cause.as_str(), *count))
                .collect(),
            circuit_openings: outcome.circuit_openings,
            p50_ms: quantile(0.50),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            took_ms: millis(outcome.took),
            an_error: outcome.an_error,
        }
    }
}

impl Report {
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["", "SDK alone", "tower-bedrock"]);
        let (sdk, ours) = (&self.sdk_alone, &self.tower_bedrock);
        let mut row = |name: &str, of: &dyn Fn(&Side) -> String| {
            table.add_row([name.to_owned(), of(sdk), of(ours)]);
        };
        row("calls", &|side| side.calls.to_string());
        row("answered", &|side| side.answered.to_string());
        for route in 1..ours.served_by.len() {
            row(&format!("… by fallback {route}"), &|side| {
                side.served_by.get(route).copied().unwrap_or(0).to_string()
            });
        }
        row("failed", &|side| side.failed.to_string());
        row("attempts", &|side| side.attempts.to_string());
        row("retries", &|side| side.retries.to_string());
        let causes = sdk.refusals.keys().chain(ours.refusals.keys());
        let causes: std::collections::BTreeSet<_> = causes.collect();
        for cause in causes {
            row(&format!("refused: {}", cause.replace('_', " ")), &|side| {
                side.refusals.get(cause).copied().unwrap_or(0).to_string()
            });
        }
        row("circuits opened", &|side| {
            let openings = side.circuit_openings;
            openings.map_or_else(|| "-".to_owned(), |openings| openings.to_string())
        });
        row("p50 of the answered", &|side| seconds(side.p50_ms));
        row("p95 of the answered", &|side| seconds(side.p95_ms));
        row("p99 of the answered", &|side| seconds(side.p99_ms));
        row("all calls over after", &|side| seconds(Some(side.took_ms)));
        for column in [1, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn seconds(millis: Option<f64>) -> String {
    millis.map_or_else(|| "-".to_owned(), |millis| format!("{:.2} s", millis / 1e3))
}
