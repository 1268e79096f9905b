//! What is asked of the recorder that is in force.

use std::{cell::Cell, ptr};

use ::metrics::{
    Counter, Gauge, Histogram, IntoF64, Key, Label, Level, Metadata, Recorder, with_recorder,
};

use super::names::{INVOCATION_LATENCY, Metric};

static METADATA: Metadata<'static> = Metadata::new(env!("CARGO_CRATE_NAME"), Level::INFO, None);

/// What asks a recorder whether it is one.
static ANY_KEY: Key = Key::from_static_name(INVOCATION_LATENCY.name);

/// Tells recorders apart, since what one of them handed out is of no use to another. `None` if there is
/// none: then nothing needs to be looked up, or timed.
#[inline]
pub(super) fn current() -> Option<usize> {
    with_recorder(|recorder| {
        // What stands in for no recorder has no state. So may a real one, which is asked.
        if size_of_val(recorder) == 0 && does_nothing(recorder) {
            return None;
        }
        Some(ptr::from_ref(recorder).cast::<()>().addr())
    })
}

/// Whether there is a recorder.
pub(super) fn is_there() -> bool {
    current().is_some()
}

fn does_nothing(recorder: &dyn Recorder) -> bool {
    let is_asked = Cell::new(false);
    let histogram = recorder.register_histogram(&ANY_KEY, &METADATA);
    // Only a handle that records wants to know the value.
    histogram.record_many(Asked(&is_asked), 0);
    !is_asked.get()
}

/// A value that notices that somebody wants to know it.
struct Asked<'a>(&'a Cell<bool>);

impl IntoF64 for Asked<'_> {
    fn into_f64(self) -> f64 {
        self.0.set(true);
        0.0
    }
}

pub(super) fn counter(metric: &Metric, labels: Vec<Label>) -> Counter {
    let key = Key::from_parts(metric.name, labels);
    with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
}

pub(super) fn gauge(name: &'static str, labels: Vec<Label>) -> Gauge {
    let key = Key::from_parts(name, labels);
    with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
}

pub(super) fn histogram(metric: &Metric, labels: Vec<Label>) -> Histogram {
    let key = Key::from_parts(metric.name, labels);
    with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
}
