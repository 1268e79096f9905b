//! What Prometheus is shown.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tower_bedrock::{
    StackLayer,
    metrics::{Metric, MetricKind, describe},
};
use tower_bedrock_tests::{
    REGION,
    face::{Ask, Face, FaceKind},
    in_process, scenario,
};

use bedrock_sim::SimService;

/// Set up as the README says, a scrape shows the names of the table, their descriptions, and histograms
/// with the buckets that they are made for.
#[tokio::test(start_paused = true)]
async fn a_scrape_shows_the_names_of_the_table() {
    let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
    for metric in Metric::all() {
        if let Some(buckets) = metric.buckets() {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets).unwrap();
        }
    }
    let recorder: &'static _ = Box::leak(Box::new(builder.build_recorder()));
    let _guard = metrics::set_default_local_recorder(recorder);
    describe();

    let sim = SimService::new(scenario().build().unwrap());
    let layer = StackLayer::builder(REGION).build_layer().unwrap();
    let face = Face::of(FaceKind::Tower, &layer, in_process(&sim));
    for is_stream in [false, true] {
        let ask = Ask {
            is_stream,
            ..Ask::default()
        };
        face.call(&ask).await.unwrap();
    }
    layer.report_metrics();
    let scrape = recorder.handle().render();

    let known: Vec<_> = Metric::all()
        .map(|metric| metric.prometheus_name())
        .collect();
    let mut shown = 0;
    for line in scrape.lines().filter(|line| line.starts_with("# TYPE ")) {
        let [_, _, name, kind] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let metric = Metric::all().find(|metric| metric.prometheus_name() == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not one of {known:?}"));
        assert_eq!(kind, metric.kind.as_str(), "{name}");
        let help = format!("# HELP {name} {}", metric.description);
        assert!(scrape.contains(&help), "{help}");
        if metric.kind == MetricKind::Histogram {
            let last = metric.buckets().and_then(<[f64]>::last).unwrap();
            assert!(scrape.contains(&format!("{name}_bucket")), "{name}");
            assert!(scrape.contains(&format!("le=\"{last}\"")), "{name}");
        }
        shown += 1;
    }
    assert!(shown > 15, "{scrape}");
}
