//! What is asked of the recorder that is in force.

use std::ptr;

use ::metrics::{
    Counter, Gauge, Histogram, Key, Label, Level, Metadata, SharedString, with_recorder,
};

use super::names::Metric;

static METADATA: Metadata<'static> = Metadata::new(env!("CARGO_CRATE_NAME"), Level::INFO, None);

/// Tells recorders apart, since what one of them handed out is of no use to another.
pub(super) fn current() -> usize {
    with_recorder(|recorder| ptr::from_ref(recorder).cast::<()>().addr())
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

/// The labels of `metric` with their values; those without a value are left out.
pub(super) fn labels<const N: usize>(metric: &Metric, values: [SharedString; N]) -> Vec<Label> {
    debug_assert_eq!(metric.labels.len(), N, "the labels of {}", metric.name);
    let pairs = metric.labels.iter().zip(values);
    pairs
        .filter(|(_, value)| !value.is_empty())
        .map(|(&name, value)| Label::new(name, value))
        .collect()
}
