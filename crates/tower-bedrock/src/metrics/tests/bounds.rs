use std::future::ready;

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tower::{Layer, ServiceExt, service_fn};

use super::*;

async fn call(metrics: &Metrics, request: Request<()>) {
    let service = service_fn(|_: Request<()>| ready(Ok::<_, Error>(answer())));
    let service = AttemptMetricsLayer::new(metrics.clone()).layer(service);
    let service = CallMetricsLayer::new(metrics.clone()).layer(service);
    service.oneshot(request).await.unwrap();
}

fn to(model: &str) -> Request<()> {
    let route = Route::to(model.parse().unwrap());
    Request::new((), CallContext::new(Operation::Converse, route))
}

/// Models beyond the bound are one: nothing that a caller can name makes series without end.
#[tokio::test]
async fn models_beyond_the_bound_are_counted_together() {
    let recorded = Recorded::new();
    let metrics = Metrics::new().with_max_models(2);
    for number in 0..5000 {
        call(&metrics, to(&format!("vendor.model-{number}"))).await;
    }
    call(&metrics, to("vendor.model-1")).await;
    let labels = |model| format!("model={model},region=home,operation=Converse");
    assert_eq!(
        recorded.lines(&["invocations_total"]),
        [
            format!("invocations_total{{{}}} 4998", labels("other")),
            format!("invocations_total{{{}}} 1", labels("vendor.model-0")),
            format!("invocations_total{{{}}} 2", labels("vendor.model-1")),
        ]
    );
}

/// What an ARN names is shown by its resource alone, and by its plain id where it has one: no account
/// stands in a label.
#[tokio::test]
async fn labels_show_no_account() {
    let recorded = Recorded::new();
    let metrics = Metrics::new().with_home_region(REGION);
    let account = "123456789012";
    let arn = |resource| format!("arn:aws:bedrock:us-east-1:{account}:{resource}");
    for (resource, shown) in [
        (
            "inference-profile/us.amazon.nova-lite-v1:0",
            "us.amazon.nova-lite-v1:0",
        ),
        ("provisioned-model/abc", "provisioned-model/abc"),
        (
            "application-inference-profile/xyz",
            "application-inference-profile/xyz",
        ),
    ] {
        call(&metrics, to(&arn(resource))).await;
        let all: Vec<_> = recorded.take().into_keys().collect();
        assert!(all.iter().all(|line| !line.contains(account)), "{all:?}");
        assert!(all.iter().all(|line| line.contains(shown)), "{all:?}");
        let key = crate::Quotas::new().key(&Route::to(arn(resource).parse().unwrap()));
        assert!(key.to_string().contains(account));
        assert!(!metrics.labels().key(&key).contains(account));
    }
}

/// Tenants are no label unless that is asked for, and then only so many.
#[tokio::test]
async fn tenants_are_labelled_if_asked_for() {
    let recorded = Recorded::new();
    let of = |tenant: &str| to(MODEL).with_tenant(tenant);
    call(&Metrics::new(), of("search")).await;
    assert!(recorded.take().keys().all(|line| !line.contains("search")));

    let metrics = Metrics::new().with_tenants(2);
    for tenant in ["search", "mail", "ads"] {
        call(&metrics, of(tenant)).await;
    }
    call(&metrics, to(MODEL)).await;
    let labels =
        |tenant| format!("model={MODEL},operation=Converse,outcome=answered,tenant={tenant}");
    let one = |tenant| format!("calls_total{{{}}} 1", labels(tenant));
    assert_eq!(
        recorded.lines(&["calls"]),
        [one("mail"), one("none"), one("other"), one("search")]
    );
}

/// A recorder that is installed after the first call is noticed, and handles of one recorder are never
/// used for another.
#[tokio::test]
async fn a_recorder_may_come_late() {
    let metrics = Metrics::new();
    call(&metrics, to(MODEL)).await;
    let first = Recorded::new();
    call(&metrics, to(MODEL)).await;
    let second = Recorded::new();
    call(&metrics, to(MODEL)).await;
    call(&metrics, to(MODEL)).await;
    let counted = |recorded: &Recorded| recorded.take().get(&line()).copied();
    assert_eq!(counted(&second), Some(2.0));
    assert_eq!(counted(&first), Some(1.0));
    drop(second);
    drop(first);
}

/// A recorder without a size of its own, which forwards what it is told, is one all the same.
#[test]
fn a_recorder_may_be_of_no_size() {
    #[derive(Debug)]
    struct Forwarding;

    thread_local! {
        static TO: DebuggingRecorder = DebuggingRecorder::new();
    }

    impl Recorder for Forwarding {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
            TO.with(|to| to.register_counter(key, metadata))
        }

        fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
            TO.with(|to| to.register_gauge(key, metadata))
        }

        fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
            TO.with(|to| to.register_histogram(key, metadata))
        }
    }

    assert!(!recorder::is_there());
    ::metrics::with_local_recorder(&Forwarding, || {
        assert!(recorder::is_there());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(call(&Metrics::new(), to(MODEL)));
    });
    let snapshot = TO.with(DebuggingRecorder::snapshotter).snapshot();
    let calls = snapshot.into_vec().into_iter();
    let mut calls = calls.filter(|(key, ..)| key.key().name() == names::CALLS.name);
    let (_, _, _, counted) = calls.next().unwrap();
    assert_eq!(counted, DebugValue::Counter(1));
}

fn line() -> String {
    format!("calls_total{{model={MODEL},operation=Converse,outcome=answered}}")
}

/// Handles do not keep alive what keeps them.
#[tokio::test]
async fn what_is_not_used_any_more_is_freed() {
    let recorded = Recorded::new();
    let metrics = Metrics::new();
    call(&metrics, to(MODEL)).await;
    assert!(!recorded.take().is_empty());
    let shared = std::sync::Arc::downgrade(&metrics.0);
    drop(metrics);
    assert_eq!(shared.strong_count(), 0);
}

/// A label of the caller's own stands on everything.
#[test]
fn a_label_of_ones_own_stands_on_everything() {
    let recorder = DebuggingRecorder::new();
    let metrics = Metrics::new().with_label("stack", "batch");
    ::metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(call(&metrics, to(MODEL)));
        MetricsReporter::new(metrics)
            .with_retry_budget(crate::RetryBudget::new())
            .report();
    });
    for (key, ..) in recorder.snapshotter().snapshot().into_vec() {
        let mut labels = key.key().labels();
        assert!(labels.any(|label| (label.key(), label.value()) == ("stack", "batch")));
    }
}
