//! What metrics tell of discoveries.

use std::{collections::BTreeMap, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::sleep;

use super::*;
use tower_bedrock::metrics::{Metrics, MetricsReporter};

fn values(snapshotter: &Snapshotter, name: &str) -> BTreeMap<String, f64> {
    let samples = snapshotter.snapshot().into_vec().into_iter();
    let of_name = samples.filter(|(key, ..)| key.key().name() == name);
    of_name
        .map(|(key, _, _, value)| {
            let labels = key.key().labels().map(|label| label.value().to_owned());
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(_) => f64::NAN,
            };
            (labels.collect::<Vec<_>>().join(" "), value)
        })
        .collect()
}

/// The age of what is known grows until it is read again, and lists that could not be read are counted.
#[tokio::test(start_paused = true)]
async fn age_and_failures_are_told() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _installed = metrics::set_default_local_recorder(&recorder);

    let service = in_process(account());
    let discovery = discovery(&over_memory(&service));
    let quotas = Quotas::new();
    let reporter = MetricsReporter::new(Metrics::new()).with_quotas(quotas.clone());
    let age = || {
        reporter.report();
        values(&snapshotter, "tower_bedrock_quota_reading_age_seconds")
    };
    let failures = || values(&snapshotter, "tower_bedrock_quota_discovery_failures_total");
    assert_eq!(age(), BTreeMap::new());

    let known = discovery.discover().await;
    known.apply(&quotas);
    assert_eq!(failures(), BTreeMap::new());
    sleep(Duration::from_secs(100)).await;
    assert_eq!(age(), BTreeMap::from([(REGION.to_owned(), 100.0)]));

    let denied = "servicequotas:ListServiceQuotas";
    service.change_control_plane(|plane| plane.denied.push(denied.to_owned()));
    let known = known.updated_by(discovery.discover().await);
    known.apply(&quotas);
    // Each look takes the counters back to zero.
    let counted = BTreeMap::from([(format!("{REGION} {denied}"), 1.0)]);
    assert_eq!(failures(), counted);
    assert_eq!(age()[REGION], 100.0, "what was read in part is no younger");

    service.change_control_plane(|plane| plane.denied.clear());
    known.updated_by(discovery.discover().await).apply(&quotas);
    assert_eq!(age()[REGION], 0.0);
}
