//! What is asked of both faces.

use std::{num::NonZeroU32, time::Duration};

use tower_bedrock::{OperationInput, Priority, Request, Residency, sdk::install::CallOptions};
use tower_bedrock_tests as support;

/// An operation, with an input of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Converse,
    InvokeModel,
    CountTokens,
    ApplyGuardrail,
    ConverseStream,
    InvokeModelWithResponseStream,
}

/// A call that both faces can make.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) model: String,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) max_attempts: Option<NonZeroU32>,
    pub(crate) retry_timeouts: Option<bool>,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) priority: Option<Priority>,
    pub(crate) stays: bool,
    pub(crate) within: Option<Residency>,
    /// How many events of a stream are read before it is dropped; all if `None`.
    pub(crate) events: Option<usize>,
}

impl Call {
    pub(crate) fn of(op: Op) -> Self {
        Self {
            op,
            model: support::MODEL.to_owned(),
            timeout: None,
            attempt_timeout: None,
            max_attempts: None,
            retry_timeouts: None,
            tenant: None,
            priority: None,
            stays: false,
            within: None,
            events: None,
        }
    }

    pub(crate) fn converse() -> Self {
        Self::of(Op::Converse)
    }

    pub(crate) fn with_tenant(mut self, tenant: &'static str) -> Self {
        self.tenant = Some(tenant);
        self
    }

    pub(crate) fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Drops the stream after so many events.
    pub(crate) fn dropped_after(mut self, events: usize) -> Self {
        self.events = Some(events);
        self
    }

    pub(crate) fn to(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = NonZeroU32::new(attempts);
        self
    }
}

/// What is asked of the call beside its input.
pub(crate) fn asked<In: OperationInput>(call: &Call, input: In) -> Request<In> {
    let mut request = Request::from(input);
    if let Some(timeout) = call.timeout {
        request = request.with_timeout(timeout);
    }
    if let Some(timeout) = call.attempt_timeout {
        request = request.with_attempt_timeout(timeout);
    }
    if let Some(attempts) = call.max_attempts {
        request = request.with_max_attempts(attempts);
    }
    if let Some(retry) = call.retry_timeouts {
        request = request.with_retry_timeouts(retry);
    }
    if let Some(tenant) = call.tenant {
        request = request.with_tenant(tenant);
    }
    if let Some(priority) = call.priority {
        request = request.with_priority(priority);
    }
    if call.stays {
        request = request.without_fallback();
    }
    if let Some(residency) = call.within {
        request = request.within(residency);
    }
    request
}

/// The same, as the fluent client is told it.
pub(crate) fn options(call: &Call) -> CallOptions {
    let mut options = CallOptions::new();
    if let Some(timeout) = call.timeout {
        options = options.with_timeout(timeout);
    }
    if let Some(timeout) = call.attempt_timeout {
        options = options.with_attempt_timeout(timeout);
    }
    if let Some(attempts) = call.max_attempts {
        options = options.with_max_attempts(attempts);
    }
    if let Some(retry) = call.retry_timeouts {
        options = options.with_retry_timeouts(retry);
    }
    if let Some(tenant) = call.tenant {
        options = options.with_tenant(tenant);
    }
    if let Some(priority) = call.priority {
        options = options.with_priority(priority);
    }
    if call.stays {
        options = options.without_fallback();
    }
    if let Some(residency) = call.within {
        options = options.within(residency);
    }
    options
}
