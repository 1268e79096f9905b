use super::names::{Metric, MetricKind, MetricUnit};

/// Tells the recorder unit and description of every metric.
///
/// Recorders keep what they are told, so once after the recorder was installed is enough.
pub fn describe() {
    for metric in Metric::all() {
        let unit = match metric.unit {
            MetricUnit::Seconds => ::metrics::Unit::Seconds,
            MetricUnit::Bytes => ::metrics::Unit::Bytes,
            MetricUnit::Count | MetricUnit::Tokens | MetricUnit::Ratio => ::metrics::Unit::Count,
        };
        let Metric {
            name, description, ..
        } = metric;
        match metric.kind {
            MetricKind::Counter => ::metrics::describe_counter!(name, unit, description),
            MetricKind::Gauge => ::metrics::describe_gauge!(name, unit, description),
            MetricKind::Histogram => ::metrics::describe_histogram!(name, unit, description),
        }
    }
}
