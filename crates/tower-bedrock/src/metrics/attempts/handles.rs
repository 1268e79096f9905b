//! The handles of a route's metrics.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use ::metrics::{Counter, Histogram, SharedString};

use super::kind::metric_of;
use crate::{
    call::{CallContext, Operation},
    cause::Cause,
    gen_ai,
    metrics::{
        Metrics,
        cache::Cache,
        labels::Labels,
        names::{
            CACHE_READ_INPUT_TOKENS, CACHE_WRITE_INPUT_TOKENS, INPUT_TOKENS, INVOCATION_LATENCY,
            INVOCATIONS, INVOCATIONS_DROPPED, Metric, OUTPUT_TOKENS, REFUSALS, STREAM_ENDS,
            TIME_TO_FIRST_TOKEN, TOKEN_USAGE,
        },
        recorder,
    },
    model_id::ModelId,
    reply::Usage,
    route::Region,
};

/// The handles of all routes.
#[derive(Debug, Default)]
pub(in crate::metrics) struct Attempts(Cache<Key, Handles>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    recorder: usize,
    operation: Operation,
    model: Option<ModelId>,
    region: Option<Region>,
    /// `None` as well where tenants are not told apart.
    tenant: Option<Arc<str>>,
}

/// The handles of one operation on one route. What a quiet call needs is there at once, the rest
/// when it first happens.
pub(super) struct Handles {
    labels: Arc<Labels>,
    model: SharedString,
    region: SharedString,
    operation: Operation,
    tenant: Option<Arc<str>>,
    pub(super) invocations: Counter,
    pub(super) latency: Histogram,
    dropped: OnceLock<Counter>,
    time_to_first_token: OnceLock<Histogram>,
    tokens: OnceLock<Tokens>,
    stream_complete: OnceLock<Counter>,
    stream_dropped: OnceLock<Counter>,
    failed: PerCause,
    stream_failed: PerCause,
}

/// A counter for each cause.
struct PerCause(Box<[OnceLock<Counter>; Cause::ALL.len()]>);

struct Tokens {
    input: Counter,
    output: Counter,
    cache_read: Counter,
    cache_write: Counter,
    input_usage: Histogram,
    output_usage: Histogram,
}

impl Metrics {
    /// The handles for attempts of `call`; `None` without a recorder.
    #[inline]
    pub(super) fn attempts(&self, call: &CallContext) -> Option<Arc<Handles>> {
        let recorder = recorder::current()?;
        Some(self.attempts_in(recorder, call))
    }

    fn attempts_in(&self, recorder: usize, call: &CallContext) -> Arc<Handles> {
        let tenant = call.tenant.as_ref();
        let tenant = tenant.filter(|_| self.labels().has_tenants());
        let route = &call.route;
        self.0.attempts.0.get(
            |known| {
                known.recorder == recorder
                    && known.operation == call.operation
                    && known.model == route.model
                    && known.region == route.region
                    && known.tenant.as_ref() == tenant
            },
            || Key {
                recorder,
                operation: call.operation,
                model: route.model.clone(),
                region: route.region.clone(),
                tenant: tenant.cloned(),
            },
            || Handles::new(Arc::clone(self.labels()), call, tenant.cloned()),
        )
    }
}

impl Handles {
    fn new(labels: Arc<Labels>, call: &CallContext, tenant: Option<Arc<str>>) -> Self {
        let model = labels.model(call.route.model.as_ref());
        let region = labels.region(call.route.region.as_ref());
        let operation = call.operation;
        let values = || {
            let operation = SharedString::const_str(operation.as_str());
            [model.clone(), region.clone(), operation]
        };
        Self {
            invocations: recorder::counter(&INVOCATIONS, labels.of(&INVOCATIONS, values())),
            latency: recorder::histogram(
                &INVOCATION_LATENCY,
                labels.of(&INVOCATION_LATENCY, values()),
            ),
            dropped: OnceLock::new(),
            time_to_first_token: OnceLock::new(),
            tokens: OnceLock::new(),
            stream_complete: OnceLock::new(),
            stream_dropped: OnceLock::new(),
            failed: PerCause::new(),
            stream_failed: PerCause::new(),
            labels,
            model,
            region,
            operation,
            tenant,
        }
    }

    pub(super) const fn is_stream(&self) -> bool {
        self.operation.is_stream()
    }

    pub(super) fn dropped(&self) -> &Counter {
        self.dropped.get_or_init(|| {
            let labels = self.labels_of(&INVOCATIONS_DROPPED);
            recorder::counter(&INVOCATIONS_DROPPED, labels)
        })
    }

    pub(super) fn time_to_first_token(&self) -> &Histogram {
        self.time_to_first_token.get_or_init(|| {
            let labels = self.labels_of(&TIME_TO_FIRST_TOKEN);
            recorder::histogram(&TIME_TO_FIRST_TOKEN, labels)
        })
    }

    pub(super) fn stream_complete(&self) -> &Counter {
        self.stream_complete
            .get_or_init(|| self.stream_end("complete"))
    }

    pub(super) fn stream_dropped(&self) -> &Counter {
        self.stream_dropped
            .get_or_init(|| self.stream_end("dropped"))
    }

    pub(super) fn stream_failed(&self, cause: Cause) -> &Counter {
        self.stream_failed
            .get(cause, || self.stream_end(cause.as_str()))
    }

    fn stream_end(&self, end: &'static str) -> Counter {
        let end = SharedString::const_str(end);
        let values = [self.model.clone(), self.region.clone(), end];
        let labels = self.labels.of(&STREAM_ENDS, values);
        recorder::counter(&STREAM_ENDS, labels)
    }

    /// Counts a failure for `cause`, of an answer with `status` if there was one.
    pub(super) fn failed(&self, cause: Cause, status: Option<u16>) {
        let make = || {
            let metric = metric_of(cause, status);
            let [model, region, operation] = self.values();
            let cause = SharedString::const_str(cause.as_str());
            let labels = self.labels.of(metric, [model, region, operation, cause]);
            recorder::counter(metric, labels)
        };
        match cause {
            // What it counts as is the status's to say.
            Cause::Unknown => make().increment(1),
            _ => self.failed.get(cause, make).increment(1),
        }
    }

    /// What counts a request that never went out.
    pub(super) fn not_sent(&self, cause: Cause) -> Counter {
        let values = ["bedrock", cause.as_str(), "not_sent"].map(SharedString::const_str);
        let tenant = self.tenant.as_deref();
        let labels = self.labels.of_tenant(&REFUSALS, values, tenant);
        recorder::counter(&REFUSALS, labels)
    }

    pub(super) fn used(&self, usage: &Usage) {
        let tokens = self.tokens.get_or_init(|| self.tokens());
        tokens.input.increment(usage.input);
        tokens.output.increment(usage.output);
        tokens.cache_read.increment(usage.cache_read);
        tokens.cache_write.increment(usage.cache_write);
        // The convention's input includes what was cached.
        let input = usage.total().saturating_sub(usage.output);
        tokens.input_usage.record(input as f64);
        tokens.output_usage.record(usage.output as f64);
    }

    fn tokens(&self) -> Tokens {
        let counter = |metric: &Metric| {
            let values = [self.model.clone(), self.region.clone()];
            let tenant = self.tenant.as_deref();
            let labels = self.labels.of_tenant(metric, values, tenant);
            recorder::counter(metric, labels)
        };
        let usage = |kind| {
            let [operation, provider, kind] =
                [gen_ai::operation_name(self.operation), PROVIDER, kind]
                    .map(SharedString::const_str);
            let values = [operation, provider, self.model.clone(), kind];
            let labels = self.labels.of(&TOKEN_USAGE, values);
            recorder::histogram(&TOKEN_USAGE, labels)
        };
        Tokens {
            input: counter(&INPUT_TOKENS),
            output: counter(&OUTPUT_TOKENS),
            cache_read: counter(&CACHE_READ_INPUT_TOKENS),
            cache_write: counter(&CACHE_WRITE_INPUT_TOKENS),
            input_usage: usage("input"),
            output_usage: usage("output"),
        }
    }

    fn values(&self) -> [SharedString; 3] {
        let operation = SharedString::const_str(self.operation.as_str());
        [self.model.clone(), self.region.clone(), operation]
    }

    fn labels_of(&self, metric: &Metric) -> Vec<::metrics::Label> {
        self.labels.of(metric, self.values())
    }
}

impl PerCause {
    fn new() -> Self {
        Self(Box::new([const { OnceLock::new() }; Cause::ALL.len()]))
    }

    fn get(&self, cause: Cause, make: impl FnOnce() -> Counter) -> &Counter {
        self.0[cause as usize].get_or_init(make)
    }
}

/// Bedrock in the words of OpenTelemetry's conventions (BEDROCK.md §6.2).
pub(in crate::metrics) const PROVIDER: &str = "aws.bedrock";

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles")
            .field("model", &self.model)
            .field("region", &self.region)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}
