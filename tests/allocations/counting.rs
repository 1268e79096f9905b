//! The metrics.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tower::ServiceBuilder;
use tower_bedrock::{
    CallContext, Error, Operation, Request, Response, Route, Served, Usage,
    metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics},
};

use crate::{CALLS, ROUNDS, allocations, measure};

/// A recorder that takes everything and allocates nothing once it knows a metric.
#[derive(Debug, Default)]
struct Sink(Arc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    counted: AtomicU64,
    recorded: AtomicU64,
}

impl CounterFn for Sums {
    fn increment(&self, value: u64) {
        self.counted.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Sums {
    fn record(&self, _: f64) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Sink {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(&self.0))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(&self.0))
    }
}

/// A call that is counted allocates nothing, with a recorder or without.
#[test]
fn counting_allocates_nothing() {
    let _measurement = measure();
    let route = Route::to("us.amazon.nova-lite-v1:0".parse().unwrap());
    let request = Request::new((), CallContext::new(Operation::Converse, route)).with_tenant("t");
    let counted = || {
        let metrics = Metrics::new().with_tenants(10);
        ServiceBuilder::new()
            .layer(CallMetricsLayer::new(metrics.clone()))
            .layer(AttemptMetricsLayer::new(metrics))
            .service_fn(|_: Request<()>| {
                let usage = Some(Usage::default());
                ready(Ok::<_, Error>(Response::new((), Served::default(), usage)))
            })
    };
    assert_eq!(allocations(counted(), &request), 0);

    let sink = Sink::default();
    let _guard = metrics::set_default_local_recorder(&sink);
    assert_eq!(allocations(counted(), &request), 0);
    // A call and an invocation; two durations, and two kinds of tokens.
    let Sums { counted, recorded } = &*sink.0;
    assert_eq!(counted.load(Ordering::Relaxed), 2 * ROUNDS * CALLS);
    assert_eq!(recorded.load(Ordering::Relaxed), 4 * ROUNDS * CALLS);
}
