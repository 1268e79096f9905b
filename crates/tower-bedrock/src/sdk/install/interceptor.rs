use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_bedrockruntime::{
    config::{ConfigBag, Intercept, RuntimeComponents, StalledStreamProtectionConfig},
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::context::{
            BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
            FinalizerInterceptorContextMut, Input,
        },
        retries::RequestAttempts,
    },
};
use aws_smithy_types::{
    retry::{RetryConfig, RetryMode},
    timeout::TimeoutConfig,
};
use aws_types::region::Region as SdkRegion;
use tokio::time::Instant;

use super::{
    call::{Call, Dispatch, Limits, Told},
    is_stacked,
    options::CallOptions,
    outcome,
    sign::LastSigning,
};
use crate::{
    call::{CallContext, OperationInput},
    classify::Classifier,
    error::Error,
    route::Region,
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
/// | | alone | with [`Resilience`](super::Resilience) |
/// |---|---|---|
/// | [`Error::from_sdk`] for errors of the service | yes | yes |
/// | [`Error::from_sdk`] for timeouts and connections that fail | no: [`on_failure`](Self::on_failure) has them | yes |
/// | refuses calls while a circuit is open | yes | yes, and opens it |
/// | retries, waits, other routes, quotas, limits for streams | no | yes |
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
    /// Of the client that [`Resilience`](super::Resilience) is installed in: calls to it say nothing
    /// of their region.
    home: Option<Region>,
    /// Whether it is there for a stack only, and silent about calls that go past that.
    is_part: bool,
    gates: Vec<Arc<dyn RouteGate>>,
    classifier: Classifier,
    listener: Option<Arc<Listener>>,
    last_signing: Arc<LastSigning>,
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

    /// What a stack needs of it in a client of region `home`.
    pub(super) fn part(home: Option<Region>) -> Self {
        Self {
            home,
            is_part: true,
            ..Self::default()
        }
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
        if is_ours(context.input()) && cfg.load::<Call>().is_none() {
            cfg.interceptor_state().store_put(Call::default());
        }
        Ok(())
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = cfg.load::<Call>().cloned() else {
            return Ok(());
        };
        // A client of the user's own around the stack's need not pass on what makes the stack known.
        if self.is_part && !call.is_wrapped() {
            let client = components.http_client();
            if client.is_some_and(|client| is_stacked(&client)) {
                call.wrap();
            }
        }
        let Some(mut told) = call_context(context.input()) else {
            return Ok(());
        };
        let region = cfg.load::<SdkRegion>().map(AsRef::as_ref);
        let home = self.home.as_ref();
        let region = if region == home.map(Region::as_str) {
            home.cloned()
        } else {
            told.route.region = region.map(Region::from);
            told.route.region.clone()
        };
        let options = CallOptions::of(cfg);
        if let Some(options) = &options {
            options.apply(&mut told);
        }
        let mut limits = Limits {
            stream_deadline: told.deadline,
            ..Limits::default()
        };
        if let Some(timeout) = cfg
            .load::<TimeoutConfig>()
            .and_then(TimeoutConfig::operation_timeout)
            && let Some(end) = Instant::now().checked_add(timeout)
        {
            told.deadline = told.deadline.into_iter().chain([end]).min();
            limits.hold_until = end.checked_sub(SHORT_OF_TIMEOUT.min(timeout / 10));
        }
        if call.is_wrapped() {
            leave_retries_to_us(cfg, &mut limits);
        }
        call.tell(Told {
            context: told,
            region,
            limits,
            options,
        });
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<Call>().filter(|call| call.is_wrapped()) {
            call.set_dispatch(Dispatch {
                signing: self.last_signing.of(cfg),
                signed_at: components.time_source().unwrap_or_default().now(),
            });
            context.request_mut().add_extension(call.clone());
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

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<Call>() {
            outcome::tell_of_timeout(context, call);
        }
        Ok(())
    }

    fn modify_before_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.is_part {
            return Ok(());
        }
        let Some(call) = cfg.load::<Call>().filter(|call| !call.is_wrapped()) else {
            return Ok(());
        };
        let (Some(told), Some(raw)) = (call.told(), outcome::unclassified(context)) else {
            return Ok(());
        };
        let mut told = told.context.clone();
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

/// By how much a stream that was waited for is given to the SDK before the SDK's time is up.
const SHORT_OF_TIMEOUT: Duration = Duration::from_secs(1);

/// Has the SDK make one attempt, for as long as it takes: what it would do for each of its own
/// attempts is done for each of ours.
fn leave_retries_to_us(cfg: &mut ConfigBag, limits: &mut Limits) {
    let retry = cfg.load::<RetryConfig>();
    if retry.is_none_or(|retry| retry.max_attempts() != 1 || retry.mode() != RetryMode::Standard) {
        let one = retry.cloned().unwrap_or_else(RetryConfig::standard);
        let one = one
            .with_retry_mode(RetryMode::Standard)
            .with_max_attempts(1);
        cfg.interceptor_state().store_put(one);
    }

    let timeouts = cfg.load::<TimeoutConfig>();
    let attempt = timeouts.and_then(TimeoutConfig::operation_attempt_timeout);
    if let (Some(timeouts), Some(attempt)) = (timeouts, attempt) {
        let without = timeouts
            .to_builder()
            .disable_operation_attempt_timeout()
            .build();
        cfg.interceptor_state().store_put(without);
        limits.attempt = Some(attempt);
    }

    // While a call waits in a layer nobody reads its body, which the SDK takes for a stalled upload;
    // and an answer has been read by then. What stalls on the wire is found there.
    let protection = cfg.load::<StalledStreamProtectionConfig>();
    if let Some(protection) = protection.filter(|protection| protection.is_enabled()) {
        limits.stalls = protection.download_enabled().then(|| protection.clone());
        cfg.interceptor_state()
            .store_put(StalledStreamProtectionConfig::disabled());
    }
}

macro_rules! ours {
    ($($input:ty),* $(,)?) => {
        fn is_ours(input: &Input) -> bool {
            false $(|| input.downcast_ref::<$input>().is_some())*
        }

        /// What the input of one of our operations tells of its call.
        fn call_context(input: &Input) -> Option<CallContext> {
            $(if let Some(input) = input.downcast_ref::<$input>() {
                return Some(input.call_context());
            })*
            None
        }
    };
}

ours!(
    ConverseInput,
    ConverseStreamInput,
    InvokeModelInput,
    InvokeModelWithResponseStreamInput,
    CountTokensInput,
    ApplyGuardrailInput,
);
