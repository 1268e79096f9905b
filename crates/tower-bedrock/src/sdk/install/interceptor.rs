use std::{fmt, sync::Arc};

use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::context::{
            BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
            FinalizerInterceptorContextMut,
        },
        retries::RequestAttempts,
    },
};
use tokio::time::Instant;

use super::{begin, call::Call, outcome};
use crate::{
    call::CallContext,
    classify::Classifier,
    error::Error,
    route_gate::{Passage, RouteGate},
};

/// Finds out why calls of the SDK fail, and refuses those that would fail, without touching the
/// client's HTTP client.
///
/// [`Resilience`](super::Resilience) brings the part of it that it needs; alone it is for those who
/// want the causes of failures and nothing else, or to stop calls to routes that are known to be sick.
///
/// The SDK's interceptors are synchronous and cannot make attempts, so alone it cannot wait, retry,
/// send a call elsewhere, or keep one under a quota; the SDK's own retries stay as they are
/// configured.
///
/// The [module](super) compares the two. Of timeouts and connections that fail, alone,
/// [`on_failure`](Self::on_failure) hears the [`Error`], and
/// [`Cause::of_sdk`](crate::Cause::of_sdk) tells the cause.
///
/// # Errors
///
/// A refusal is a [`SdkError::DispatchFailure`](aws_sdk_bedrockruntime::error::SdkError); nothing was
/// sent. The [`Error`] with the gate's cause is taken from it with [`Error::from_sdk`].
///
/// # Example
///
/// ```
/// use aws_sdk_bedrockruntime::Config;
/// use tower_bedrock::{CircuitBreakers, sdk::install::ResilienceInterceptor};
///
/// let breakers = CircuitBreakers::new().with_home_region("us-east-1");
/// let interceptor = ResilienceInterceptor::new()
///     .with_gate(breakers)
///     .on_failure(|error| eprintln!("{}: {error}", error.cause()));
/// let config = Config::builder().interceptor(interceptor);
/// # let _ = config;
/// ```
#[derive(Clone, Default)]
pub struct ResilienceInterceptor {
    gates: Vec<Arc<dyn RouteGate>>,
    classifier: Classifier,
    listener: Option<Arc<Listener>>,
}

type Listener = dyn Fn(&Error) + Send + Sync;

impl ResilienceInterceptor {
    /// Classifies what fails, and refuses nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses calls that `gate` has closed their route for. With several gates, the first that
    /// refuses counts. A gate that would have a call wait lets it pass: an interceptor cannot wait.
    #[must_use]
    pub fn with_gate(mut self, gate: impl RouteGate) -> Self {
        self.gates.push(Arc::new(gate));
        self
    }

    /// Finds causes as `classifier` does.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// Tells `listener` of every call that failed in the end, on the task that made it. It must not
    /// block. Calls that went through a stack it does not hear of: its layers have listeners of their
    /// own.
    #[must_use]
    pub fn on_failure<F>(mut self, listener: F) -> Self
    where
        F: Fn(&Error) + Send + Sync + 'static,
    {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// What the gates have against `call`.
    fn refusal(&self, call: &CallContext) -> Option<Error> {
        let now = Instant::now();
        self.gates.iter().find_map(|gate| {
            let Passage::Closed { cause, retry_in } = gate.ask(call, &call.route, now) else {
                return None;
            };
            let error =
                Error::new(cause).with_message("the route is known not to let calls through");
            let error = match retry_in {
                Some(retry_in) => error.with_retry_after(retry_in),
                None => error,
            };
            Some(error.with_context(call))
        })
    }
}

impl Intercept for ResilienceInterceptor {
    fn name(&self) -> &'static str {
        "ResilienceInterceptor"
    }

    fn read_before_execution(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        begin::begin(context.input(), cfg);
        Ok(())
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = Call::of(cfg).cloned() {
            begin::read(&call, context.input(), cfg, None);
        }
        Ok(())
    }

    fn modify_before_retry_loop(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.gates.is_empty() {
            return Ok(());
        }
        let told = cfg.load::<Call>().and_then(Call::told);
        match told.and_then(|told| self.refusal(&told.context)) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    fn modify_before_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = cfg.load::<Call>().filter(|call| !call.is_wrapped()) else {
            return Ok(());
        };
        let (Some(told), Some(raw)) = (call.told(), outcome::unclassified(context)) else {
            return Ok(());
        };
        let mut told = (*told.context).clone();
        told.attempt = cfg
            .load::<RequestAttempts>()
            .map_or(0, RequestAttempts::attempts)
            .max(1);
        let error = self.classifier.classify(raw).with_context(&told);
        if let Some(listener) = &self.listener {
            listener(&error);
        }
        outcome::hang(context, error);
        Ok(())
    }
}

impl fmt::Debug for ResilienceInterceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilienceInterceptor")
            .field("gates", &self.gates.len())
            .field("classifier", &self.classifier)
            .finish_non_exhaustive()
    }
}
