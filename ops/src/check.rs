//! What can be checked without a Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    Faults,
    dashboard::Dashboard,
    grafana, promql, read,
    rules::{self, Rule},
    series::Known,
};

const LOG_QUERIES: &str = "cloudwatch/logs-insights.md";
/// Where the library tells what its layers decide.
const EVENTS: &str = "../crates/tower-bedrock/src/trace/event.rs";

pub(crate) fn all(dashboard: &Dashboard) -> Result<Faults, String> {
    let json = read(grafana::FILE)?;
    let json: Value =
        serde_json::from_str(&json).map_err(|error| format!("{}: {error}", grafana::FILE))?;
    let rules = rules::parse(&read(rules::FILE)?)?;
    let mut known = Known::of_the_library();

    let mut faults = queries(dashboard, &known);
    faults.extend(rules_fit(&rules, &mut known));
    faults.extend(described(&rules, &read("README.md")?, &read(rules::TESTS)?));
    faults.extend(laid_out(&json));
    faults.extend(logged(&read(LOG_QUERIES)?, &read(EVENTS)?));
    let generated: Option<Value> = serde_json::from_str(&grafana::render(dashboard)).ok();
    if generated.as_ref() != Some(&json) {
        let file = grafana::FILE;
        faults.push(format!(
            "{file} is not what its source says: run `cargo xtask ops --write`"
        ));
    }
    Ok(faults)
}

/// Every query asks for what there is, every legend shows what the query has, every variable is one.
pub(crate) fn queries(dashboard: &Dashboard, known: &Known) -> Faults {
    let mut faults = Faults::new();
    for panel in dashboard.panels() {
        let mut say = |fault: String| faults.push(format!("panel \"{}\": {fault}", panel.title));
        for query in &panel.queries {
            for name in variables(&query.expr).filter(|name| !is_variable(dashboard, name)) {
                say(format!("there is no variable ${name}"));
            }
            match promql::labels(&query.substituted("5m", "1h"), known) {
                Err(fault) => say(fault),
                Ok(labels) => shown(&query.legend, "{{", "}}")
                    .filter(|label| !labels.contains(*label))
                    .for_each(|label| say(format!("no series has the label `{label}` to show"))),
            }
        }
    }
    for variable in &dashboard.variables {
        if let Err(fault) = variable_fits(&variable.query, known) {
            faults.push(format!("variable ${}: {fault}", variable.name));
        }
    }
    faults
}

fn variable_fits(query: &str, known: &Known) -> Result<(), String> {
    let arguments = query
        .strip_prefix("label_values(")
        .and_then(|query| query.strip_suffix(')'))
        .and_then(|arguments| arguments.rsplit_once(", "));
    let (selector, label) = arguments.ok_or("it is no label_values(…)")?;
    let labels = promql::labels(selector, known)?;
    if labels.contains(label) {
        Ok(())
    } else {
        Err(format!("`{selector}` has no label `{label}`"))
    }
}

fn is_variable(dashboard: &Dashboard, name: &str) -> bool {
    let own = ["__rate_interval", "__range"];
    own.contains(&name) || dashboard.variables.iter().any(|it| it.name == name)
}

/// What stands behind a `$`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// What stands between `open` and `close`.
fn shown<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| Some(rest.split_once(close)?.0.trim()))
}

/// Every rule asks for what there is or an earlier rule records, and every text names labels that the
/// alert has.
pub(crate) fn rules_fit(rules: &[Rule], known: &mut Known) -> Faults {
    let mut faults = Faults::new();
    for rule in rules {
        let labels = match promql::labels(&rule.expr, known) {
            Ok(labels) => labels,
            Err(fault) => {
                faults.push(format!("{}: {fault}", rule.name()));
                continue;
            }
        };
        for text in rule.annotations.values() {
            for shown in shown(text, "{{", "}}") {
                let label = shown.strip_prefix("$labels.");
                if let Some(label) = label.filter(|label| !labels.contains(*label)) {
                    faults.push(format!("{}: no alert has the label `{label}`", rule.name()));
                }
            }
        }
        if let Some(record) = &rule.record {
            known.add(record.clone(), labels);
        }
    }
    faults
}

/// Every alert has a test that fires it, a runbook, and the link to it.
pub(crate) fn described(rules: &[Rule], readme: &str, tests: &str) -> Faults {
    let mut faults = Faults::new();
    for alert in rules
        .iter()
        .filter_map(|rule| rule.alert.as_deref().map(|name| (name, rule)))
    {
        let (name, rule) = alert;
        if !readme.contains(&format!("\n### {name}\n")) {
            faults.push(format!("{name} has no runbook in ops/README.md"));
        }
        let link = format!("{}#{}", grafana::RUNBOOKS, name.to_lowercase());
        if rule.annotations.get("runbook_url") != Some(&link) {
            faults.push(format!("the runbook of {name} is not linked as {link}"));
        }
        let fires = format!("{{labels: 'ALERTS{{alertname=\"{name}\",alertstate=\"firing\"");
        if !tests.contains(&fires) {
            faults.push(format!("no test fires {name}"));
        }
    }
    faults
}

/// Panels have ids of their own, stand beside each other, and ask the data source that was chosen.
pub(crate) fn laid_out(json: &Value) -> Faults {
    let mut faults = Faults::new();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let panels = json["panels"].as_array().map_or(&[][..], Vec::as_slice);
    if panels.is_empty() {
        faults.push("the dashboard has no panels".to_owned());
    }
    for panel in panels {
        let title = panel["title"].as_str().unwrap_or_default();
        if !ids.insert(panel["id"].as_u64()) {
            faults.push(format!("the id of \"{title}\" is another panel's too"));
        }
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap_or_default();
        if at("w") == 0 || at("h") == 0 || at("x") + at("w") > grafana::COLUMNS.into() {
            faults.push(format!("\"{title}\" does not fit into the grid"));
        }
        let cells = (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)));
        if cells.filter(|&cell| !taken.insert(cell)).count() > 0 {
            faults.push(format!("\"{title}\" covers another panel"));
        }
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        let asked = targets.iter().chain([panel]);
        if targets.is_empty()
            || asked
                .into_iter()
                .any(|it| it["datasource"]["uid"] != grafana::DATASOURCE)
        {
            faults.push(format!("\"{title}\" does not ask {}", grafana::DATASOURCE));
        }
        if panel["description"].as_str().is_none_or(str::is_empty) {
            faults.push(format!("\"{title}\" does not say what to do"));
        }
    }
    faults
}

/// The targets and fields that the queries over our logs ask for are ones that events have.
pub(crate) fn logged(queries: &str, events: &str) -> Faults {
    let mut faults = Faults::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (before, open, close) in [("fields.", "", " = "), ("tower_bedrock::", "::", "\"")] {
        for rest in queries.split(before).skip(1) {
            let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
            let is_told = [
                format!("{open}{name}{close}"),
                format!("%{name},"),
                format!(" {name},"),
            ]
            .iter()
            .any(|told| events.contains(told));
            // `message` is what the subscriber calls an event's text.
            if !is_told && name != "message" {
                faults.push(format!("{LOG_QUERIES}: no event has `{before}{name}`"));
            }
        }
    }
    faults
}
