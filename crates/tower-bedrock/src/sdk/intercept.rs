//! What a call does inside the SDK.

use std::{
    future::Future,
    pin::Pin,
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
use crate::{
    call::{BedrockRequest, Operation, Request},
    stream::TokenCounts,
};

tokio::task_local! {
    /// The call that the task makes: what [`Inside`] goes by.
    static CALL: Arc<dyn Sent>;
}

/// A call on its way through the SDK.
///
/// What is seen of it there and told nowhere else is noted here: whether it got as far as being sent,
/// and the token counts that InvokeModel answers in headers (BEDROCK.md §5.1).
pub(super) struct Sending<Op> {
    request: Request<Op>,
    /// That of the attempt: the SDK has spans of its own inside.
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    is_sent: AtomicBool,
    counts: OnceLock<TokenCounts>,
}

impl<Op: SdkOperation> Sending<Op> {
    /// An attempt of `request` that begins here.
    pub(super) fn new(request: Request<Op>) -> Arc<Self> {
        Arc::new(Self {
            request,
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
            is_sent: AtomicBool::new(false),
            counts: OnceLock::new(),
        })
    }

    /// Runs `operation`, a fluent builder's future, for this call. Boxed, since it is large, and moved by
    /// all that is laid around it.
    pub(super) fn by<F: Future>(
        self: &Arc<Self>,
        operation: F,
    ) -> Pin<Box<impl Future<Output = F::Output> + use<F, Op>>> {
        Box::pin(CALL.scope(Arc::clone(self) as Arc<dyn Sent>, operation))
    }

    pub(super) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> Option<TokenCounts> {
        self.counts.get().copied()
    }
}

/// A [`Sending`] of any operation.
trait Sent: Send + Sync {
    fn input(&self) -> Input;
    fn sent(&self, uri: &str);
    fn answered(&self, headers: &Headers);
}

impl<Op: SdkOperation> Sent for Sending<Op> {
    /// The one place where the input is cloned.
    fn input(&self) -> Input {
        Input::erase(Op::routed(&self.request))
    }

    fn sent(&self, uri: &str) {
        #[cfg(feature = "tracing")]
        crate::trace::address::record(&self.span, uri);
        #[cfg(not(feature = "tracing"))]
        let _ = uri;
        self.is_sent.store(true, Ordering::Relaxed);
    }

    fn answered(&self, headers: &Headers) {
        if self.request.context().operation == Operation::InvokeModel
            && let Some(counts) = counts_in_headers(headers)
        {
            let _already_set = self.counts.set(counts);
        }
    }
}

/// What a client needs so that calls can be sent with it.
///
/// An input is handed over within the call: the fluent builders take it field by field, which would lose
/// fields that a newer SDK adds. An interceptor for each call would do as well, but would have the SDK
/// merge a configuration for each call, and that takes longer than all layers together.
#[derive(Debug)]
pub(super) struct Inside;

impl Intercept for Inside {
    fn name(&self) -> &'static str {
        "tower_bedrock::Bedrock"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *context.input_mut() = CALL.try_with(|call| call.input())?;
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        CALL.try_with(|call| call.sent(context.request().uri()))?;
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        CALL.try_with(|call| call.answered(context.response().headers()))?;
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
