//! What is counted is what happened: metrics against the simulator's own books and against what
//! callers got, and the table of the README against the code.

mod books;
mod privacy;
mod prometheus;
mod readme;
mod streams;

use std::collections::BTreeMap;

use metrics::{LocalRecorderGuard, set_default_local_recorder};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Records what happens on this thread.
struct Recording {
    snapshotter: Snapshotter,
    _guard: LocalRecorderGuard<'static>,
}

/// What was recorded.
#[derive(Debug)]
struct Recorded(Vec<Series>);

#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Vec<f64>),
}

impl Recording {
    fn new() -> Self {
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Self {
            snapshotter: recorder.snapshotter(),
            _guard: set_default_local_recorder(recorder),
        }
    }

    /// All that was recorded since this was asked last.
    fn take(&self) -> Recorded {
        let all = self.snapshotter.snapshot().into_vec().into_iter();
        let series = all.map(|(key, _, _, value)| Series {
            name: key.key().name().to_owned(),
            labels: key
                .key()
                .labels()
                .map(|label| (label.key().to_owned(), label.value().to_owned()))
                .collect(),
            value: match value {
                DebugValue::Counter(count) => Value::Counter(count),
                DebugValue::Gauge(value) => Value::Gauge(value.into_inner()),
                DebugValue::Histogram(values) => {
                    Value::Histogram(values.into_iter().map(f64::from).collect())
                }
            },
        });
        Recorded(series.collect())
    }
}

impl Recorded {
    /// The series of a metric that have all of these labels.
    fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Series> {
        self.0.iter().filter(move |series| {
            let has = |&(key, value): &(&str, &str)| {
                series.labels.get(key).is_some_and(|known| known == value)
            };
            series.name == name && labels.iter().all(has)
        })
    }

    /// Counts, or the numbers of values, of all series of a metric that have all of these labels.
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let counts = self.of(name, labels).map(|series| match &series.value {
            Value::Counter(count) => *count,
            Value::Histogram(values) => values.len() as u64,
            Value::Gauge(_) => panic!("{name} is a gauge"),
        });
        counts.sum()
    }

    /// The counts of a metric by one of its labels.
    fn by(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for series in self.of(name, &[]) {
            if let Value::Counter(count @ 1..) = series.value {
                *counts.entry(series.labels[label].clone()).or_default() += count;
            }
        }
        counts
    }
}
