//! Every query, sent to a Prometheus that scrapes an application under load.

use std::{path::Path, process::Command};

use serde_json::Value;
use tower_bedrock::metrics::{Metric, MetricKind};

use crate::{
    Faults,
    dashboard::Dashboard,
    promql, read,
    rules::{self, Rule},
};

/// Long enough to hold all that the load did.
const RATE_INTERVAL: &str = "2m";
const RANGE: &str = "5m";

/// What in a selector of a rule makes that it finds nothing here, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("offset 1d", "there was no yesterday"),
    (
        "budget_spent",
        "circuits open before the retry budget is spent",
    ),
];

/// Sends all queries of dashboard and rules, and says what each finds.
///
/// Every metric of the library has to be there, by the name that the library tells. A panel has to find
/// something by each of its queries. So has every selector of a rule; whether the rule itself finds
/// something depends on the load.
///
/// # Errors
///
/// If Prometheus cannot be asked.
pub(crate) fn ask(dashboard: &Dashboard, url: &str, promtool: &Path) -> Result<Faults, String> {
    let server = Server { url, promtool };
    let rules = rules::parse(&read(rules::FILE)?)?;
    let mut faults = Faults::new();
    for metric in Metric::all() {
        let mut name = metric.prometheus_name();
        if metric.kind == MetricKind::Histogram {
            name.push_str("_bucket");
        }
        let found = server.query(&name)?.len();
        println!("{found:>4}  {name}");
        if found == 0 {
            faults.push(format!("the metric {name} is not there"));
        }
    }
    for panel in dashboard.panels() {
        for query in &panel.queries {
            let found = server.query(&query.substituted(RATE_INTERVAL, RANGE))?;
            println!("{:>4}  {} ({})", found.len(), panel.title, query.legend);
            if found.is_empty() {
                faults.push(format!("panel \"{}\" shows nothing", panel.title));
            }
        }
    }
    for rule in &rules {
        let found = server.query(&rule.expr)?;
        println!("{:>4}  {}", found.len(), rule.name());
        faults.extend(selectors(&server, rule)?);
    }
    Ok(faults)
}

fn selectors(server: &Server<'_>, rule: &Rule) -> Result<Faults, String> {
    let mut faults = Faults::new();
    for selector in promql::selectors(&rule.expr)? {
        if !server.query(&selector)?.is_empty() {
            continue;
        }
        match EXCEPTIONS.iter().find(|(part, _)| selector.contains(part)) {
            Some((_, reason)) => println!("      nothing by {selector}: {reason}"),
            None => faults.push(format!("{}: nothing by {selector}", rule.name())),
        }
    }
    Ok(faults)
}

struct Server<'a> {
    url: &'a str,
    promtool: &'a Path,
}

impl Server<'_> {
    /// What an instant query finds that is a number.
    fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let mut command = Command::new(self.promtool);
        command.args(["query", "instant", "--format", "json", self.url, query]);
        let output = command
            .output()
            .map_err(|error| format!("{}: {error}", self.promtool.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`{query}` is refused: {said}"));
        }
        let found: Vec<Value> = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("`{query}` is answered with what is no JSON: {error}"))?;
        let is_number = |series: &Value| series["value"][1].as_str().is_some_and(|it| it != "NaN");
        Ok(found.into_iter().filter(is_number).collect())
    }
}
