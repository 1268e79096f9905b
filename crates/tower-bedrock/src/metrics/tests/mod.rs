mod attempts;
mod bounds;
#[cfg(feature = "cache")]
mod cache;
mod calls;
mod describe;
#[cfg(any(loom_cores, shuttle_cores))]
mod interleavings;
mod report;
mod stack;

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use ::metrics::{Label, LocalRecorderGuard, set_default_local_recorder};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;
use crate::{
    CallContext, Cause, Error, Operation, RawError, Request, Response, Route, Served, Usage,
};

const MODEL: &str = "amazon.nova-lite-v1:0";
const REGION: &str = "us-east-1";

/// What was recorded on this thread so far, since it was asked last. Gauges are forgotten too.
struct Recorded {
    recorder: &'static DebuggingRecorder,
    _guard: LocalRecorderGuard<'static>,
}

impl Recorded {
    fn new() -> Self {
        let recorder = Box::leak(Box::new(DebuggingRecorder::new()));
        Self {
            recorder,
            _guard: set_default_local_recorder(recorder),
        }
    }

    /// Every series that is not zero or empty, as `name{label=value,…}` without the crate's prefix,
    /// and its value: of a histogram, how many values it has.
    fn take(&self) -> BTreeMap<String, f64> {
        let snapshot = self.recorder.snapshotter().snapshot();
        let mut taken = BTreeMap::new();
        for (key, _, _, value) in snapshot.into_vec() {
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            let metric = Metric::all().find(|metric| metric.name == key.key().name());
            let metric = metric.expect("every name is in the table");
            for label in key.key().labels() {
                let is_known = metric.labels.contains(&label.key());
                assert!(is_known || label.key() == "tenant", "{key:?}");
            }
            if value != 0.0 {
                taken.insert(series(key.key().name(), key.key().labels()), value);
            }
        }
        taken
    }

    /// The same of what begins with one of `names`, as lines.
    fn lines(&self, names: &[&str]) -> Vec<String> {
        let taken = self.take().into_iter();
        taken
            .filter(|(series, _)| names.iter().any(|name| series.starts_with(name)))
            .map(|(series, value)| format!("{series} {value}"))
            .collect()
    }
}

fn series<'a>(name: &str, labels: impl Iterator<Item = &'a Label>) -> String {
    let name = name.strip_prefix("tower_bedrock_").unwrap_or(name);
    let labels: Vec<_> = labels
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn route() -> Route {
    Route::to(MODEL.parse().unwrap()).in_region(REGION)
}

fn request(operation: Operation) -> Request<()> {
    Request::new((), CallContext::new(operation, route()))
}

fn usage() -> Usage {
    Usage {
        input: 3,
        output: 5,
        cache_read: 7,
        cache_write: 11,
    }
}

fn answer() -> Response<()> {
    Response::new((), Served::default(), Some(usage()))
}

/// Polls once.
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
