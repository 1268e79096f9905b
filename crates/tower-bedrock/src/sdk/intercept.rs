//! What a call does inside the SDK.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::interceptors::context::{
        BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
        BeforeTransmitInterceptorContextRef, Input,
    },
    http::Headers,
};

use super::operation::SdkOperation;
use crate::{call::Request, stream::TokenCounts};

/// Hands the input to the SDK: the one place where it is cloned.
///
/// The fluent builders take an input field by field, which would lose fields that a newer SDK adds.
pub(super) struct SendInput<Op>(pub(super) Request<Op>);

impl<Op: SdkOperation> Intercept for SendInput<Op> {
    fn name(&self) -> &'static str {
        "SendInput"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *context.input_mut() = Input::erase(Op::routed(&self.0));
        Ok(())
    }
}

impl<Op> fmt::Debug for SendInput<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendInput").field(&self.0).finish()
    }
}

/// What is seen of a call inside the SDK and told nowhere else: whether it got as far as being sent,
/// and the token counts that InvokeModel answers in headers (BEDROCK.md §5.1).
#[derive(Clone, Debug)]
pub(super) struct Sight(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    /// That of the attempt: the SDK has spans of its own inside.
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    is_sent: AtomicBool,
    counts: OnceLock<TokenCounts>,
}

impl Sight {
    /// Of an attempt that begins here.
    pub(super) fn new() -> Self {
        Self(Arc::new(Seen {
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
            is_sent: AtomicBool::new(false),
            counts: OnceLock::new(),
        }))
    }

    pub(super) fn is_sent(&self) -> bool {
        self.0.is_sent.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> Option<TokenCounts> {
        self.0.counts.get().copied()
    }
}

impl Intercept for Sight {
    fn name(&self) -> &'static str {
        "Sight"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        #[cfg(feature = "tracing")]
        crate::trace::address::record(&self.0.span, context.request().uri());
        #[cfg(not(feature = "tracing"))]
        let _ = context;
        self.0.is_sent.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(counts) = counts_in_headers(context.response().headers()) {
            let _already_set = self.0.counts.set(counts);
        }
        Ok(())
    }
}

/// The token counts that InvokeModel answers in headers; nowhere else are they told.
pub(super) fn counts_in_headers(headers: &Headers) -> Option<TokenCounts> {
    let count = |name: &str| headers.get(name)?.trim().parse::<u64>().ok();
    let input = count("x-amzn-bedrock-input-token-count");
    let output = count("x-amzn-bedrock-output-token-count");
    (input.is_some() || output.is_some()).then(|| TokenCounts {
        input,
        output,
        cache_read: count("x-amzn-bedrock-cache-read-input-token-count"),
        cache_write: count("x-amzn-bedrock-cache-write-input-token-count"),
        total: None,
    })
}
