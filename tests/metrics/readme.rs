//! The table of metrics in the README is made from the code.

use std::{env, fmt::Write, fs, path::Path};

use tower_bedrock::metrics::{Metric, MetricGroup, MetricKind, MetricUnit};

const BEGIN: &str = "<!-- metrics: made by `cargo xtask metrics-table` -->\n";
const END: &str = "<!-- end of metrics -->\n";

/// Set by `cargo xtask metrics-table`: the README is written, not compared.
const WRITE: &str = "TOWER_BEDROCK_WRITE_METRICS_TABLE";

fn table() -> String {
    let mut table = String::new();
    for (group, title) in [
        (
            MetricGroup::Attempts,
            "What was sent: attempts, below the retry layer",
        ),
        (MetricGroup::Calls, "What callers asked for and got"),
        (MetricGroup::Layers, "What the layers did"),
        (
            MetricGroup::State,
            "What is true now, as of the last `report_metrics()`",
        ),
    ] {
        writeln!(
            table,
            "\n**{title}**\n\n| metric | labels | |\n|---|---|---|"
        )
        .unwrap();
        for metric in Metric::all().filter(|metric| metric.group == group) {
            let labels: Vec<_> = metric
                .labels
                .iter()
                .map(|label| label.replace('.', "_"))
                .collect();
            let kind = match (metric.kind, metric.unit) {
                (MetricKind::Counter, _) => "",
                (MetricKind::Histogram, MetricUnit::Tokens) => " *Histogram, tokens.*",
                (MetricKind::Histogram, _) => " *Histogram.*",
                _ => " *Gauge.*",
            };
            writeln!(
                table,
                "| `{}` | {} | {}{kind} |",
                metric.prometheus_name(),
                labels.join(", "),
                metric.description,
            )
            .unwrap();
        }
    }
    table.push('\n');
    table
}

/// The README lists every metric, with its labels and what it says, and none that is not there.
#[test]
fn the_readme_lists_the_metrics() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let begin = readme
        .find(BEGIN)
        .expect("the README has a table of metrics")
        + BEGIN.len();
    let end = readme.find(END).expect("the README's table has an end");
    let written = &readme[begin..end];
    if env::var_os(WRITE).is_some() {
        let readme = [&readme[..begin], &table(), &readme[end..]].concat();
        fs::write(path, readme).unwrap();
    } else {
        assert!(
            written == table(),
            "the metrics have changed: run `cargo xtask metrics-table`"
        );
    }
}
