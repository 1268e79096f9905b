//! Everything that is written down in the course of a run.

use std::{
    error::Error as StdError,
    fmt::{Debug, Display},
    io,
    iter::successors,
    sync::{Arc, Mutex, PoisonError},
};

use axum_core::response::IntoResponse;
use metrics::{LocalRecorderGuard, set_default_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tower_bedrock::{Error, ErrorResponse};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    registry::Registry,
    util::SubscriberInitExt,
};

use crate::canaries::{Leak, Sink, leaks};

/// Text that several write to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

/// What is written down, from when it is made to when it is asked.
pub(crate) struct Sinks {
    /// Spans and events of this crate and of the tests.
    pub(crate) ours: Log,
    /// Those of the SDK's crates.
    pub(crate) of_the_sdk: Log,
    pub(crate) texts: Log,
    pub(crate) answers: Log,
    prometheus: PrometheusHandle,
    _metrics: LocalRecorderGuard<'static>,
    _tracing: DefaultGuard,
}

impl Log {
    pub(crate) fn add(&self, text: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(text);
        log.push('\n');
    }

    pub(crate) fn text(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }

    pub(crate) fn debug(&self, value: &impl Debug) {
        self.add(&format!("{value:?}"));
        self.add(&format!("{value:#?}"));
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Sinks {
    /// Writes down what happens on this thread, at every level there is.
    pub(crate) fn new() -> Self {
        let ours = Log::default();
        let of_the_sdk = Log::default();
        let layer = |log: &Log, is_ours: bool| {
            tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_span_events(FmtSpan::FULL)
                .with_writer(log.clone())
                .with_filter(filter_fn(move |meta| {
                    is_ours == meta.target().starts_with("tower_bedrock")
                }))
        };
        let tracing = Registry::default()
            .with(vec![layer(&ours, true), layer(&of_the_sdk, false)])
            .set_default();
        let recorder: &'static PrometheusRecorder =
            Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self {
            ours,
            of_the_sdk,
            texts: Log::default(),
            answers: Log::default(),
            prometheus: recorder.handle(),
            _metrics: set_default_local_recorder(recorder),
            _tracing: tracing,
        }
    }

    pub(crate) fn metrics(&self) -> String {
        self.prometheus.render()
    }

    /// An error, whatever lies under it, and what it answers somebody outside.
    pub(crate) fn error(&self, error: Error) {
        let chain = successors(Some(&error as &dyn StdError), |&error| error.source());
        for error in chain {
            self.texts.add(&format!("{error} {error:?} {error:#?}"));
        }
        let answer = ErrorResponse::of(&error);
        self.answers.add(&format!("{answer} {answer:?}"));
        let response = error.into_response();
        self.answers
            .add(&format!("{:?} {:?}", response.status(), response.headers()));
    }

    /// Something that is displayed as well.
    pub(crate) fn shown(&self, value: &(impl Debug + Display)) {
        self.texts.debug(value);
        self.texts.add(&value.to_string());
    }

    /// The words that are where they must not be.
    pub(crate) fn leaks(&self) -> Vec<Leak> {
        [
            (Sink::Trace, self.ours.text()),
            (Sink::Metrics, self.metrics()),
            (Sink::Answer, self.answers.text()),
            (Sink::Text, self.texts.text()),
        ]
        .iter()
        .flat_map(|(sink, text)| leaks(*sink, text))
        .collect()
    }
}
