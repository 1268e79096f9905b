//! Counts what really goes over the wire, in the same way for both sides.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_bedrockruntime::{
    config::{ConfigBag, Intercept, RuntimeComponents},
    error::ProvideErrorMetadata,
    operation::converse::ConverseError,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::interceptors::context::{
        BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
    },
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tower_bedrock::{Cause, Classifier, ErrorDetails, RawError};

/// Sits inside an SDK client and sees each of its attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Counts>>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Requests that were sent.
    pub(crate) attempts: u64,
    /// Attempts that failed, by cause.
    pub(crate) refusals: BTreeMap<Cause, u64>,
}

/// Whether the attempt got as far as being sent.
#[derive(Debug)]
struct IsSent(bool);

impl Storable for IsSent {
    type Storer = StoreReplace<Self>;
}

impl Tally {
    pub(crate) fn counts(&self) -> Counts {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Intercept for Tally {
    fn name(&self) -> &'static str {
        "Tally"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.count(|counts| counts.attempts += 1);
        config.interceptor_state().store_put(IsSent(true));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What was not sent was not refused.
        let is_sent = config.load::<IsSent>().is_some_and(|sent| sent.0);
        config.interceptor_state().store_put(IsSent(false));
        let Some(Err(error)) = context.output_or_error().filter(|_| is_sent) else {
            return Ok(());
        };
        let mut details = Box::<ErrorDetails>::default();
        details.status = context
            .response()
            .map(|response| response.status().as_u16());
        let answered = error
            .as_operation_error()
            .and_then(|error| error.downcast_ref::<ConverseError>());
        let raw = if let Some(error) = answered {
            details.code = error.code().map(str::to_owned);
            details.message = error.message().map(str::to_owned);
            RawError::Answered(details)
        } else if error.is_timeout_error() {
            RawError::Timeout(details)
        } else if error.is_connector_error() {
            RawError::Connect(details)
        } else {
            RawError::Unreadable(details)
        };
        let cause = Classifier::default().cause(&raw);
        self.count(|counts| *counts.refusals.entry(cause).or_default() += 1);
        Ok(())
    }
}
