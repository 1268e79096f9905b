//! The handles of a model's metrics.

use std::{fmt, sync::Arc};

use ::metrics::{Counter, Histogram, SharedString};

use crate::{
    call::{CallContext, Operation},
    cause::Cause,
    error::Error,
    gen_ai,
    metrics::{
        Metrics,
        attempts::PROVIDER,
        cache::Cache,
        labels::Labels,
        names::{CALLS, DEGRADED_CALLS, OPERATION_DURATION, REFUSALS, TIME_TO_FIRST_CHUNK},
        recorder,
    },
    model_id::ModelId,
    route::Route,
};

/// The handles of all models.
#[derive(Debug, Default)]
pub(in crate::metrics) struct Calls(Cache<Key, Handles>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    recorder: usize,
    operation: Operation,
    model: Option<ModelId>,
    tenant: Option<Arc<str>>,
}

/// The handles of one operation of one model. What a quiet call needs is there at once, the rest is
/// asked for when it happens.
pub(super) struct Handles {
    labels: Arc<Labels>,
    model: SharedString,
    operation: Operation,
    tenant: Option<Arc<str>>,
    pub(super) answered: Counter,
    pub(super) duration: Histogram,
}

impl Metrics {
    /// The handles for `call`; `None` without a recorder.
    #[inline]
    pub(super) fn calls(&self, call: &CallContext) -> Option<Arc<Handles>> {
        let recorder = recorder::current()?;
        Some(self.calls_in(recorder, call))
    }

    fn calls_in(&self, recorder: usize, call: &CallContext) -> Arc<Handles> {
        let tenant = call.tenant.as_ref();
        let tenant = tenant.filter(|_| self.labels().has_tenants());
        let model = &call.route.model;
        self.0.calls.0.get(
            |known| {
                known.recorder == recorder
                    && known.operation == call.operation
                    && known.model == *model
                    && known.tenant.as_ref() == tenant
            },
            || Key {
                recorder,
                operation: call.operation,
                model: model.clone(),
                tenant: tenant.cloned(),
            },
            || Handles::new(Arc::clone(self.labels()), call, tenant.cloned()),
        )
    }
}

impl Handles {
    fn new(labels: Arc<Labels>, call: &CallContext, tenant: Option<Arc<str>>) -> Self {
        let model = labels.model(call.route.model.as_ref());
        let mut handles = Self {
            labels,
            model,
            operation: call.operation,
            tenant,
            answered: Counter::noop(),
            duration: Histogram::noop(),
        };
        handles.answered = handles.ended("answered");
        handles.duration = handles.duration_until(None);
        handles
    }

    pub(super) fn time_to_first_chunk(&self) -> Histogram {
        let [operation, provider] =
            [gen_ai::operation_name(self.operation), PROVIDER].map(SharedString::const_str);
        let values = [operation, provider, self.model.clone()];
        let labels = self.labels.of(&TIME_TO_FIRST_CHUNK, values);
        recorder::histogram(&TIME_TO_FIRST_CHUNK, labels)
    }

    pub(super) fn dropped(&self) -> (Counter, Histogram) {
        (self.ended("dropped"), self.duration_until(Some("dropped")))
    }

    pub(super) fn failed(&self, error: &Error) -> (Counter, Histogram) {
        let cause = error.cause().as_str();
        // The fallback refuses without another layer's, or an attempt's, having been asked.
        if error.cause() == Cause::NoRouteAllowed {
            let values = ["fallback", cause, "residency"].map(SharedString::const_str);
            let tenant = self.tenant.as_deref();
            let labels = self.labels.of_tenant(&REFUSALS, values, tenant);
            recorder::counter(&REFUSALS, labels).increment(1);
        }
        (self.ended(cause), self.duration_until(Some(cause)))
    }

    /// Counts answers of another model or a lower tier, by which.
    pub(super) fn degraded(&self, to: &Route) -> Counter {
        let to = self.labels.model_on_tier(to);
        let values = [self.model.clone(), to];
        recorder::counter(&DEGRADED_CALLS, self.labels.of(&DEGRADED_CALLS, values))
    }

    fn ended(&self, outcome: &'static str) -> Counter {
        let [operation, outcome] = [self.operation.as_str(), outcome].map(SharedString::const_str);
        let values = [self.model.clone(), operation, outcome];
        let tenant = self.tenant.as_deref();
        recorder::counter(&CALLS, self.labels.of_tenant(&CALLS, values, tenant))
    }

    /// How long calls take that end in an error of this type, or in none.
    fn duration_until(&self, error_type: Option<&'static str>) -> Histogram {
        let [operation, provider, error_type] = [
            gen_ai::operation_name(self.operation),
            PROVIDER,
            error_type.unwrap_or_default(),
        ]
        .map(SharedString::const_str);
        let values = [operation, provider, self.model.clone(), error_type];
        let labels = self.labels.of(&OPERATION_DURATION, values);
        recorder::histogram(&OPERATION_DURATION, labels)
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles")
            .field("model", &self.model)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}
