use std::fmt;

use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::interceptors::context::{
        BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
        BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextMut,
    },
};

use super::{begin, call::Call, is_stacked, outcome, parts::Parts, sign::LastSigning};
use crate::route::Region;

/// What an installed stack needs of an interceptor: it reads the call's input, has the SDK leave the
/// retries to the stack, and hands on what attempts are signed with. Calls that go past the stack it
/// leaves alone.
pub(super) struct Part {
    /// The client's region: calls to it say nothing of their region.
    home: Option<Region>,
    last_signing: LastSigning,
}

impl Part {
    pub(super) fn new(home: Option<Region>) -> Self {
        Self {
            home,
            last_signing: LastSigning::default(),
        }
    }
}

/// The call of `cfg`, if it goes through the stack.
fn stacked(cfg: &mut ConfigBag) -> Option<&Call> {
    Call::of(cfg).filter(|call| call.is_wrapped())
}

impl Intercept for Part {
    fn name(&self) -> &'static str {
        "tower_bedrock::sdk::install"
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
        components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = Call::of(cfg).cloned() else {
            return Ok(());
        };
        // A client of the user's own around the stack's need not pass on what makes the stack known.
        if !call.is_wrapped() {
            let client = components.http_client();
            if client.is_some_and(|client| is_stacked(&client)) {
                call.wrap();
            }
        }
        begin::read(&call, context.input(), cfg, self.home.as_ref());
        Ok(())
    }

    /// From here on the body is the one that is sent: what is still laid around it counts its bytes.
    fn read_before_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = stacked(cfg) {
            call.set_body(context.request().body().try_clone());
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = stacked(cfg).cloned() {
            let parts = Parts::of(components, context.request());
            let signed_at = parts.time.now();
            call.set_dispatch(self.last_signing.of(cfg), parts, signed_at);
            context.request_mut().add_extension(call);
        }
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let has_failed = context
            .output_or_error()
            .is_none_or(|outcome| outcome.is_err());
        if has_failed && let Some(call) = stacked(cfg) {
            outcome::tell_of_timeout(context, call);
        }
        Ok(())
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").finish_non_exhaustive()
    }
}
