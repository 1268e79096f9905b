//! What a call of the SDK tells when it begins, and what is settled with the SDK then.

use std::{sync::Arc, time::Duration};

use aws_sdk_bedrockruntime::{
    config::{ConfigBag, StalledStreamProtectionConfig, endpoint::Params},
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
};
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_types::{
    retry::{RetryConfig, RetryMode},
    timeout::TimeoutConfig,
};
use tokio::time::Instant;

use super::{
    call::{Call, Limits, Told, on_top},
    options::CallOptions,
    sign::endpoint_params,
};
use crate::{
    call::{CallContext, OperationInput},
    route::Region,
};

/// Knows a call by its input, if it is ours: leaves a [`Call`] for all of us to find.
pub(super) fn begin(input: &Input, cfg: &mut ConfigBag) {
    if is_ours(input) && Call::of(cfg).is_none() {
        cfg.interceptor_state().store_put(Call::default());
    }
}

/// Reads what is to be known of `call` off its input and its configuration. A route in the region
/// `home` names none.
pub(super) fn read(call: &Call, input: &Input, cfg: &mut ConfigBag, home: Option<&Region>) {
    if call.told().is_some() {
        return;
    }
    let Some(mut context) = call_context(input) else {
        return;
    };
    let region = endpoint_params(cfg).and_then(Params::region);
    let region = if region == home.map(Region::as_str) {
        home.cloned()
    } else {
        context.route.region = region.map(Region::from);
        context.route.region.clone()
    };
    let options = CallOptions::of(cfg);
    if let Some(options) = &options {
        options.apply(&mut context);
    }
    let mut limits = Limits {
        stream_deadline: context.deadline,
        ..Limits::default()
    };
    if let Some(timeout) = on_top(cfg).and_then(TimeoutConfig::operation_timeout)
        && let Some(end) = Instant::now().checked_add(timeout)
    {
        context.deadline = context.deadline.into_iter().chain([end]).min();
        limits.hold_until = end.checked_sub(SHORT_OF_TIMEOUT.min(timeout / 10));
    }
    if call.is_wrapped() {
        leave_retries_to_us(cfg, &mut limits);
    }
    call.tell(Told {
        context: Arc::new(context),
        region,
        limits,
        options,
    });
}

/// By how much a stream that was waited for is given to the SDK before the SDK's time is up.
const SHORT_OF_TIMEOUT: Duration = Duration::from_secs(1);

/// Has the SDK make one attempt, for as long as it takes: what it would do for each of its own
/// attempts is done for each of ours.
fn leave_retries_to_us(cfg: &mut ConfigBag, limits: &mut Limits) {
    let once = |retry: RetryConfig| {
        retry
            .with_retry_mode(RetryMode::Standard)
            .with_max_attempts(1)
    };
    // The SDK stores for each call what its settings of this come to: so it is changed in place.
    match cfg.get_mut_from_interceptor_state::<RetryConfig>() {
        Some(retry) => *retry = once(retry.clone()),
        None => {
            let one = once(RetryConfig::standard());
            cfg.interceptor_state().store_put(one);
        }
    }

    let timeouts = on_top::<TimeoutConfig>(cfg);
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
