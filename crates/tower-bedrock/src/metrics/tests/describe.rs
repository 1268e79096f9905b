use std::collections::HashSet;

use super::*;

/// A name stands for one thing, and says in its end what it counts in.
#[test]
fn names_are_unique_and_tell_their_unit() {
    let mut names = HashSet::new();
    for metric in Metric::all() {
        let Metric { name, .. } = metric;
        assert!(names.insert(name), "{name} twice");
        assert!(metric.description.ends_with('.'), "{name}");
        if name.starts_with("gen_ai.") {
            continue;
        }
        assert!(name.starts_with("tower_bedrock_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == MetricKind::Counter,
            "{name}"
        );
        let is_timed = metric.unit == MetricUnit::Seconds;
        assert_eq!(name.ends_with("_seconds"), is_timed, "{name}");
        let is_ratio = metric.unit == MetricUnit::Ratio;
        assert_eq!(name.ends_with("_ratio"), is_ratio, "{name}");
        assert_eq!(metric.prometheus_name(), name);
    }
}

/// OpenTelemetry's names are as the conventions spell them, and as Prometheus shows them.
#[test]
fn conventional_names_are_kept() {
    assert_eq!(names::TOKEN_USAGE.name, "gen_ai.client.token.usage");
    assert_eq!(
        names::TOKEN_USAGE.prometheus_name(),
        "gen_ai_client_token_usage"
    );
    assert_eq!(
        names::OPERATION_DURATION.prometheus_name(),
        "gen_ai_client_operation_duration_seconds"
    );
}

/// Buckets grow, and reach from a single token to the largest window and from the shortest wait to
/// the longest inference.
#[test]
fn buckets_cover_what_there_is() {
    for metric in Metric::all() {
        let Some(buckets) = metric.buckets() else {
            assert_ne!(metric.kind, MetricKind::Histogram);
            continue;
        };
        assert_eq!(metric.kind, MetricKind::Histogram);
        assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]));
        let longest = match metric.unit {
            MetricUnit::Seconds => 3600.0,
            _ => 1_000_000.0,
        };
        assert!(buckets.iter().any(|&bound| bound >= longest));
    }
}

/// The recorder is told unit and description of every metric.
#[test]
fn everything_is_described() {
    let recorded = Recorded::new();
    describe();
    for metric in Metric::all() {
        let name = metric.name;
        match metric.kind {
            MetricKind::Counter => ::metrics::counter!(name).increment(1),
            MetricKind::Gauge => ::metrics::gauge!(name).set(1.0),
            MetricKind::Histogram => ::metrics::histogram!(name).record(1.0),
        }
    }
    let snapshot = recorded.recorder.snapshotter().snapshot().into_vec();
    assert_eq!(snapshot.len(), Metric::all().len());
    for (key, unit, description, _) in snapshot {
        let name = key.key().name();
        let metric = Metric::all().find(|metric| metric.name == name).unwrap();
        assert_eq!(description.as_deref(), Some(metric.description));
        let is_seconds = unit == Some(::metrics::Unit::Seconds);
        assert_eq!(is_seconds, metric.unit == MetricUnit::Seconds, "{name}");
    }
}
