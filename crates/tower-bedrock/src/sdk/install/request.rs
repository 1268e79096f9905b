use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_smithy_runtime_api::client::{
    connection::CaptureSmithyConnection, http::SharedHttpConnector, orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

use super::{
    address,
    call::{Dispatch, Limits},
    sign::Signing,
};
use crate::{
    call::{BedrockRequest, CallContext},
    route::Region,
};

/// A call that the SDK has made ready to be sent: what the layers see inside of it.
///
/// Its request is written and signed; an attempt that goes elsewhere than the SDK meant, or later, is
/// written and signed again for that. Clones share the request and its body.
///
/// `Debug` shows the context, never the request.
#[derive(Clone)]
pub struct SdkRequest {
    context: CallContext,
    wire: Arc<Wire>,
}

/// What all attempts of a call share.
pub(super) struct Wire {
    /// What the SDK would have sent, with everything that it and its interceptors hung on it; for the
    /// first attempt to take.
    original: Mutex<Option<HttpRequest>>,
    /// The same, for every other attempt.
    pub(super) template: HttpRequest,
    /// The call as the template is written for it.
    pub(super) written_for: CallContext,
    /// The region that the template is written for.
    pub(super) region: Option<Region>,
    pub(super) signing: Signing,
    pub(super) limits: Limits,
    pub(super) connection: Option<CaptureSmithyConnection>,
    pub(super) base: Arc<Base>,
}

/// What sends the attempts.
pub(super) struct Base {
    pub(super) connector: SharedHttpConnector,
    pub(super) components: RuntimeComponents,
}

impl SdkRequest {
    /// `None` if the request's body is no more than a stream that can be read once.
    pub(super) fn new(original: HttpRequest, dispatch: Dispatch, base: Arc<Base>) -> Option<Self> {
        let template = original.try_clone()?;
        let wire = Wire {
            connection: original.extension::<CaptureSmithyConnection>().cloned(),
            original: Mutex::new(Some(original)),
            template,
            written_for: dispatch.context.clone(),
            region: dispatch.region,
            signing: dispatch.signing,
            limits: dispatch.limits,
            base,
        };
        Some(Self {
            context: dispatch.context,
            wire: Arc::new(wire),
        })
    }

    /// The request as the SDK wrote and signed it.
    #[must_use]
    pub fn http(&self) -> &HttpRequest {
        &self.wire.template
    }

    pub(super) fn into_parts(self) -> (CallContext, Arc<Wire>) {
        (self.context, self.wire)
    }
}

impl Wire {
    pub(super) fn take_original(&self) -> Option<HttpRequest> {
        self.original
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl BedrockRequest for SdkRequest {
    fn context(&self) -> &CallContext {
        &self.context
    }

    fn context_mut(&mut self) -> &mut CallContext {
        &mut self.context
    }

    /// Conversations can be told: their body is written again.
    fn set_max_output_tokens(&mut self, tokens: u32) -> bool {
        let can_be_told = address::takes_max_tokens(&self.context);
        if can_be_told {
            self.context.tokens.max_output = Some(tokens);
        }
        can_be_told
    }
}

impl fmt::Debug for SdkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkRequest")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
