use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_smithy_runtime_api::client::{
    connection::CaptureSmithyConnection, http::SharedHttpConnector, orchestrator::HttpRequest,
};

use super::{
    address,
    call::{Call, Dispatch, Told},
    template::Template,
};
use crate::call::{BedrockRequest, CallContext};

/// A call that the SDK has made ready to be sent: what the layers see inside of it.
///
/// Its request is written and signed; an attempt that goes elsewhere than the SDK meant, or later, is
/// written and signed again for that. Clones share the request and its body.
///
/// `Debug` shows the context, never the request.
#[derive(Clone)]
pub struct SdkRequest {
    context: Arc<CallContext>,
    wire: Arc<Wire>,
}

/// What all attempts of a call share.
pub(super) struct Wire {
    pub(super) call: Call,
    /// What the SDK would have sent, with everything that it and its interceptors hung on it; for the
    /// first attempt to take.
    original: Mutex<Option<Box<HttpRequest>>>,
    /// The same, for every other attempt.
    pub(super) template: Template,
    pub(super) dispatch: Box<Dispatch>,
    pub(super) connection: Option<CaptureSmithyConnection>,
    /// What sends the attempts.
    pub(super) connector: SharedHttpConnector,
}

impl SdkRequest {
    /// `None` if the request's body can be read only once, or nothing is known of the call.
    pub(super) fn new(
        original: Box<HttpRequest>,
        call: Call,
        mut dispatch: Box<Dispatch>,
        connector: SharedHttpConnector,
    ) -> Option<Self> {
        let context = Arc::clone(&call.told()?.context);
        let wire = Wire {
            call,
            template: Template::of(&original, dispatch.body.take())?,
            connection: original.extension::<CaptureSmithyConnection>().cloned(),
            original: Mutex::new(Some(original)),
            dispatch,
            connector,
        };
        Some(Self {
            context,
            wire: Arc::new(wire),
        })
    }

    pub(super) const fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    pub(super) fn into_parts(self) -> (Arc<CallContext>, Arc<Wire>) {
        (self.context, self.wire)
    }
}

impl Wire {
    /// The SDK's own request, once; if it is not `wanted` then, nobody gets it.
    pub(super) fn take_original(&self, wanted: impl FnOnce() -> bool) -> Option<Box<HttpRequest>> {
        let mut original = self.original.lock().unwrap_or_else(PoisonError::into_inner);
        if original.is_some() && !wanted() {
            *original = None;
        }
        original.take()
    }

    /// What the template is written for. It was there when the request was made.
    pub(super) fn told(&self) -> Option<&Told> {
        self.call.told()
    }
}

impl BedrockRequest for SdkRequest {
    fn context(&self) -> &CallContext {
        &self.context
    }

    /// What clones share is parted here: an attempt's context is its own.
    fn context_mut(&mut self) -> &mut CallContext {
        Arc::make_mut(&mut self.context)
    }

    /// Conversations can be told: their body is written again.
    fn set_max_output_tokens(&mut self, tokens: u32) -> bool {
        let can_be_told = address::takes_max_tokens(&self.context);
        if can_be_told {
            self.context_mut().tokens.max_output = Some(tokens);
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
