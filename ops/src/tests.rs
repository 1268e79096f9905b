//! Each check finds what it is there for.

use serde_json::json;

use crate::{
    check,
    dashboard::Dashboard,
    grafana, promql, read,
    rules::{self, Rule},
    series::Known,
};

fn dashboard() -> Dashboard {
    Dashboard::parse(&read("grafana/dashboard.toml").unwrap()).unwrap()
}

fn fault(query: &str) -> String {
    promql::labels(query, &Known::of_the_library()).unwrap_err()
}

fn alert(expr: &str, annotation: &str) -> Rule {
    let text = format!(
        "groups: [{{rules: [{{alert: A, expr: '{expr}', annotations: {{summary: '{annotation}'}}}}]}}]"
    );
    rules::parse(&text).unwrap().remove(0)
}

/// The dashboard, the rules and the library agree as they are shipped.
#[test]
fn what_is_shipped_has_no_faults() {
    assert_eq!(check::all(&dashboard()).unwrap(), Vec::<String>::new());
}

/// A metric that the library renames is missed by the dashboard, its variables and the rules.
#[test]
fn a_renamed_metric_is_missed() {
    let mut known = Known::of_the_library();
    known.remove("tower_bedrock_quota_limit");
    let missed = "there is no metric `tower_bedrock_quota_limit`";
    let faults = check::queries(&dashboard(), &known);
    let of = |what: &str| {
        faults
            .iter()
            .any(|it| it.contains(what) && it.contains(missed))
    };
    assert!(of("panel \"What refusals taught\""), "{faults:?}");

    let rules = rules::parse(&read(rules::FILE).unwrap()).unwrap();
    let faults = check::rules_fit(&rules, &mut known);
    let [fault] = faults.as_slice() else {
        panic!("{faults:?}")
    };
    assert!(fault.starts_with("BedrockLearnedLimitLow: ") && fault.contains(missed));

    known.remove("tower_bedrock_quota_waiting");
    let faults = check::queries(&dashboard(), &known);
    let of_variable = |it: &String| it.starts_with("variable $key: there is no metric");
    assert!(faults.iter().any(of_variable), "{faults:?}");
}

/// A label that a metric does not have is missed wherever it stands.
#[test]
fn a_label_that_does_not_exist_is_missed() {
    for query in [
        r#"tower_bedrock_calls_total{region="r"}"#,
        "sum by (region) (tower_bedrock_calls_total)",
        "sum without (region) (tower_bedrock_calls_total)",
        r#"label_replace(tower_bedrock_calls_total, "a", "$1", "region", "(.*)")"#,
        "tower_bedrock_calls_total and on (region) tower_bedrock_pool_limit",
        "tower_bedrock_calls_total * on (model) group_left () sum by (model, region) (tower_bedrock_pool_limit)",
    ] {
        let fault = fault(query);
        assert!(fault.contains("has no label"), "{query}: {fault}");
    }
    assert!(fault("histogram_quantile(0.9, sum by (model) (rate(tower_bedrock_time_to_first_token_seconds_bucket[5m])))").contains("`le`"));
}

/// A cause that the library does not know is missed, alone and among others.
#[test]
fn a_value_that_a_label_never_has_is_missed() {
    for query in [
        r#"tower_bedrock_calls_total{outcome="success"}"#,
        r#"tower_bedrock_calls_total{outcome!~"dropped|too_long"}"#,
        r#"tower_bedrock_stream_ends_total{end="answered"}"#,
        r#"tower_bedrock_retries_total{cause="wait_what"}"#,
    ] {
        assert!(fault(query).contains("is never"), "{query}");
    }
    let fine = r#"tower_bedrock_calls_total{outcome=~"dropped|token_rate"}"#;
    assert!(promql::labels(fine, &Known::of_the_library()).is_ok());
}

/// A division whose sides have different labels finds nothing, for ever, and nobody notices.
#[test]
fn sides_that_never_match_are_noticed() {
    let sum = "sum by (job) (tower_bedrock_quota_limit)";
    let fault = fault(&format!(
        "sum by (job, key) (tower_bedrock_quota_used) / {sum}"
    ));
    assert!(fault.contains("never match"), "{fault}");
    let on = format!("sum by (job, key) (tower_bedrock_quota_used) / on (job) {sum}");
    let labels = promql::labels(&on, &Known::of_the_library()).unwrap();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["job"]);
}

/// An alert's text cannot show what was summed away.
#[test]
fn texts_show_labels_that_there_are() {
    let expr = "sum by (job) (tower_bedrock_calls_total) > 0";
    let text = "{{ $value | humanize }} of {{ $labels.job }} and {{ $labels.model }}";
    let faults = check::rules_fit(&[alert(expr, text)], &mut Known::of_the_library());
    assert_eq!(faults, ["A: no alert has the label `model`"]);
}

/// An alert without a runbook, a link to it or a test that fires it is not done.
#[test]
fn alerts_are_described_and_tested() {
    let rules = [alert("vector(1)", "")];
    assert_eq!(check::described(&rules, "", "").len(), 3);
    let test = "{labels: 'ALERTS{alertname=\"A\",alertstate=\"firing\"";
    let faults = check::described(&rules, "\n### A\n", test);
    let link = format!("the runbook of A is not linked as {}#a", grafana::RUNBOOKS);
    assert_eq!(faults, [link]);
}

/// A field or a target of events that the library renames is missed by the queries over logs.
#[test]
fn a_renamed_field_of_an_event_is_missed() {
    let queries = read("cloudwatch/logs-insights.md").unwrap();
    let events = read("../crates/tower-bedrock/src/trace/event.rs").unwrap();
    for (old, new) in [
        ("cause =", "reason ="),
        ("wait_seconds", "waited"),
        ("::pool", "::places"),
    ] {
        let faults = check::logged(&queries, &events.replace(old, new));
        assert!(!faults.is_empty(), "{old} is not missed");
    }
}

/// Panels that cover each other, share an id or ask another data source are noticed.
#[test]
fn panels_stand_beside_each_other() {
    let panel = |id: u64, x: u64, source: &str| {
        json!({
            "id": id,
            "title": format!("{id} at {x}"),
            "type": "stat",
            "description": "what to do",
            "datasource": { "uid": source },
            "gridPos": { "x": x, "y": 0, "w": 8, "h": 4 },
            "targets": [{ "datasource": { "uid": source } }],
        })
    };
    let of = |panels: &[_]| check::laid_out(&json!({ "panels": panels }));
    let ours = grafana::DATASOURCE;
    assert!(of(&[panel(1, 0, ours), panel(2, 8, ours), panel(3, 16, ours)]).is_empty());
    assert_eq!(of(&[panel(1, 0, ours), panel(1, 8, ours)]).len(), 1);
    assert_eq!(of(&[panel(1, 0, ours), panel(2, 7, ours)]).len(), 1);
    assert_eq!(of(&[panel(1, 17, ours)]).len(), 1);
    assert_eq!(of(&[panel(1, 0, "another")]).len(), 1);
    assert_eq!(of(&[]).len(), 1);
}
