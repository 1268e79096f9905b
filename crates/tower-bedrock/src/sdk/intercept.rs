//! What a call does inside the SDK.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_bedrockruntime::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::interceptors::{
        SharedInterceptor,
        context::{
            BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
            BeforeTransmitInterceptorContextRef, Input,
        },
    },
    http::Headers,
};

use super::operation::SdkOperation;
use crate::{
    call::{BedrockRequest, Operation, Request},
    stream::TokenCounts,
};

/// A configuration for the call of `request` alone, by which the SDK is handed its input, and shows
/// what `sight` tells.
pub(super) fn sending<Op: SdkOperation>(request: Request<Op>, sight: &Sight) -> Builder {
    let seen = Arc::clone(&sight.0);
    let mut config = Builder::new();
    // Nobody can name it to disable it, so nothing need be looked up for each of its hooks.
    config.push_interceptor(SharedInterceptor::permanent(Inside { request, seen }));
    config
}

/// What is done within a call.
struct Inside<Op> {
    request: Request<Op>,
    seen: Arc<Seen>,
}

impl<Op: SdkOperation> Intercept for Inside<Op> {
    fn name(&self) -> &'static str {
        "tower_bedrock::Bedrock"
    }

    /// Hands the input to the SDK: the one place where it is cloned. The fluent builders take an input
    /// field by field, which would lose fields that a newer SDK adds.
    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *context.input_mut() = Input::erase(Op::routed(&self.request));
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        #[cfg(feature = "tracing")]
        crate::trace::address::record(&self.seen.span, context.request().uri());
        #[cfg(not(feature = "tracing"))]
        let _ = context;
        self.seen.is_sent.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.request.context().operation == Operation::InvokeModel
            && let Some(counts) = counts_in_headers(context.response().headers())
        {
            let _already_set = self.seen.counts.set(counts);
        }
        Ok(())
    }
}

impl<Op> fmt::Debug for Inside<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside")
            .field("request", &self.request)
            .field("seen", &self.seen)
            .finish()
    }
}

/// What is seen of a call inside the SDK and told nowhere else: whether it got as far as being sent,
/// and the token counts that InvokeModel answers in headers (BEDROCK.md §5.1).
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
