//! A call as it goes through the layers.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    BedrockRequest, CacheControl, CallContext, CoalesceControl, Operation, OperationInput, Priority,
};
use crate::{model_id::Residency, route::Route};

/// A call: an operation's input and its [`CallContext`].
///
/// Cheap to clone: the input is shared. `Debug` shows the context, never the input.
///
/// # Example
///
/// ```
/// # #[cfg(feature = "aws")] {
/// use aws_sdk_bedrockruntime::operation::converse::ConverseInput;
/// use std::time::Duration;
/// use tower_bedrock::Request;
///
/// let input = ConverseInput::builder()
///     .model_id("amazon.nova-lite-v1:0")
///     .build()
///     .unwrap();
/// let request = Request::from(input)
///     .with_tenant("search")
///     .with_timeout(Duration::from_secs(30));
/// # let _ = request;
/// # }
/// ```
pub struct Request<Op> {
    input: Arc<Op>,
    context: CallContext,
}

impl<Op> Request<Op> {
    /// A call of `input` as `context` says.
    #[must_use]
    pub fn new(input: Op, context: CallContext) -> Self {
        Self {
            input: Arc::new(input),
            context,
        }
    }

    /// The operation's input.
    #[must_use]
    pub fn input(&self) -> &Op {
        &self.input
    }

    pub(crate) const fn shared(&self) -> &Arc<Op> {
        &self.input
    }

    /// Takes the request apart; the input is shared with its clones.
    #[must_use]
    pub fn into_parts(self) -> (Arc<Op>, CallContext) {
        (self.input, self.context)
    }

    /// Sends the call to `route` instead of where its input says: the tier is the route's too.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.context.route = route;
        self
    }

    /// No attempt starts after `deadline`, and no layer waits past it.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.context.deadline = Some(deadline);
        self
    }

    /// A deadline `timeout` from now, on tokio's clock; none if that is further than the clock goes,
    /// as with [`Duration::MAX`](std::time::Duration::MAX).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.context.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Gives up a single attempt that takes longer than `timeout`; see
    /// [`CallContext::attempt_timeout`].
    #[must_use]
    pub const fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.context.attempt_timeout = Some(timeout);
        self
    }

    /// Keeps the call on its own route, whatever happens there.
    #[must_use]
    pub const fn without_fallback(mut self) -> Self {
        self.context.fallback.is_disabled = true;
        self
    }

    /// Has the call's data processed within `residency` only, where the fallback layer allows more.
    #[must_use]
    pub const fn within(mut self, residency: Residency) -> Self {
        self.context.fallback.residency = Some(residency);
        self
    }

    /// Sets whether the call may be answered out of the cache of a `CacheLayer`.
    #[must_use]
    pub const fn with_cache(mut self, cache: CacheControl) -> Self {
        self.context.cache = cache;
        self
    }

    /// Sets whether the call may share the attempt of another like it, where there is a
    /// [`CoalesceLayer`](crate::CoalesceLayer).
    #[must_use]
    pub const fn with_coalesce(mut self, coalesce: CoalesceControl) -> Self {
        self.context.coalesce = coalesce;
        self
    }

    /// Makes the call on behalf of `tenant`.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.context.tenant = Some(tenant.into());
        self
    }

    /// Sets how urgent the call is.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.context.priority = priority;
        self
    }

    /// At most this many attempts, including the first.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.context.retry.max_attempts = Some(attempts);
        self
    }

    /// Whether this call may be made again after it got no answer in time, although its work may be
    /// done and billed.
    #[must_use]
    pub fn with_retry_timeouts(mut self, retry: bool) -> Self {
        self.context.retry.retry_timeouts = Some(retry);
        self
    }
}

impl<Op: OperationInput> From<Op> for Request<Op> {
    fn from(input: Op) -> Self {
        let context = input.call_context();
        Self::new(input, context)
    }
}

impl<Op> BedrockRequest for Request<Op> {
    fn context(&self) -> &CallContext {
        &self.context
    }

    fn context_mut(&mut self) -> &mut CallContext {
        &mut self.context
    }

    /// Conversations can be told: they are sent with what the context says.
    fn set_max_output_tokens(&mut self, tokens: u32) -> bool {
        let is_conversation = matches!(
            self.context.operation,
            Operation::Converse | Operation::ConverseStream
        );
        if is_conversation {
            self.context.tokens.max_output = Some(tokens);
        }
        is_conversation
    }
}

impl<Op> Clone for Request<Op> {
    fn clone(&self) -> Self {
        Self {
            input: Arc::clone(&self.input),
            context: self.context.clone(),
        }
    }
}

impl<Op> fmt::Debug for Request<Op> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
