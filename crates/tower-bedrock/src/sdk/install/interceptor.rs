use std::{fmt, time::Duration};

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
        orchestrator::OrchestratorError,
    },
};
use aws_smithy_types::{
    retry::{RetryConfig, RetryMode},
    timeout::TimeoutConfig,
};
use aws_types::region::Region as SdkRegion;
use tokio::time::Instant;

use super::{
    call::{Call, Dispatch, Limits},
    options::CallOptions,
    sign::Signing,
};
use crate::{
    call::{CallContext, OperationInput},
    route::Region,
};

/// Reads what a call of the SDK is about, and hands it to the HTTP client below.
#[derive(Clone, Default)]
pub(super) struct ResilienceInterceptor {
    pub(super) home: Option<Region>,
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
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = cfg.load::<Call>().cloned() else {
            return Ok(());
        };
        let Some(mut told) = call_context(context.input()) else {
            return Ok(());
        };
        let region = cfg.load::<SdkRegion>().map(AsRef::as_ref);
        let home = self.home.as_ref().map(Region::as_str);
        let region = if region == home {
            self.home.clone()
        } else {
            told.route.region = region.map(Region::from);
            told.route.region.clone()
        };
        call.set_region(region);
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
        call.set_context(told, options);
        if call.is_wrapped() {
            leave_retries_to_us(cfg, &mut limits);
            call.set_limits(limits);
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = cfg.load::<Call>().filter(|call| call.is_wrapped()) else {
            return Ok(());
        };
        if let Some(told) = call.context() {
            call.set_dispatch(Dispatch {
                context: told,
                region: call.region(),
                signing: Signing::of(cfg),
                limits: call.limits(),
            });
            context.request_mut().add_extension(call.clone());
        }
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let timeout = cfg.load::<Call>().and_then(Call::take_timeout);
        if let Some(error) = timeout {
            let error = OrchestratorError::timeout(error.into());
            context.inner_mut().set_output_or_error(Err(error));
        }
        Ok(())
    }
}

impl fmt::Debug for ResilienceInterceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilienceInterceptor")
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

    // While a call waits in a layer nobody reads its body, which the SDK takes for a stalled upload.
    let protection = cfg.load::<StalledStreamProtectionConfig>();
    limits.stalls = protection
        .filter(|protection| protection.download_enabled())
        .cloned();
    if let Some(protection) = protection.filter(|protection| protection.upload_enabled()) {
        let downloads = StalledStreamProtectionConfig::enabled()
            .upload_enabled(false)
            .download_enabled(protection.download_enabled())
            .grace_period(protection.grace_period())
            .build();
        cfg.interceptor_state().store_put(downloads);
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
