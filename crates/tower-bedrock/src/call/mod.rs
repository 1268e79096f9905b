//! What every layer may know of a call.

mod request;

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use tokio::time::Instant;

pub use self::request::Request;
use crate::{
    classify::Classifier, model_id::Residency, route::Route, send_signal::SendSignal,
    size::InputSize,
};

/// An operation of the Bedrock runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Converse.
    Converse,
    /// ConverseStream.
    ConverseStream,
    /// InvokeModel.
    InvokeModel,
    /// InvokeModelWithResponseStream.
    InvokeModelWithResponseStream,
    /// CountTokens.
    CountTokens,
    /// ApplyGuardrail.
    ApplyGuardrail,
    /// Anything else.
    Other(&'static str),
}

/// How urgent a call is against other calls of the same application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Work that can wait: batches, evaluation, backfills.
    Low,
    /// Everything that says nothing else.
    #[default]
    Normal,
    /// Somebody waits for the answer.
    High,
}

/// The tokens of a call as far as they are known before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tokens {
    /// An estimate of the input; `None` until somebody estimates.
    pub input: Option<u32>,
    /// The most that may be generated (`maxTokens`); `None` when the call leaves it to the model.
    pub max_output: Option<u32>,
    /// How large the input is, for those who estimate.
    pub size: InputSize,
}

/// What one call asks of [`RetryLayer`](crate::RetryLayer) differently from all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RetryOverride {
    /// At most this many attempts, including the first; 1 switches retries off for the call.
    pub max_attempts: Option<NonZeroU32>,
    /// Whether the call may be made again after it got no answer in time, although the service may
    /// have done, and billed, the work.
    pub retry_timeouts: Option<bool>,
}

/// What one call asks of the fallback layer differently from all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FallbackOverride {
    /// Whether the call stays on its own route, whatever happens there.
    pub is_disabled: bool,
    /// The widest area in which the call's data may be processed, where that is narrower than what
    /// the layer allows.
    pub residency: Option<Residency>,
}

/// Whether a call may be answered out of a cache, and its answer kept in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheControl {
    /// If the cache's own rule says so.
    #[default]
    ByRule,
    /// Yes, whatever the rule says.
    Use,
    /// Its answer is kept, and none that was kept before is given.
    Refresh,
    /// No: the cache knows nothing of the call.
    Bypass,
}

/// Whether a call may share one attempt with others like it that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CoalesceControl {
    /// If the layer's own rule says so.
    #[default]
    ByRule,
    /// Yes, whatever the rule says.
    Share,
    /// No: it is made for itself.
    Alone,
}

/// What every layer may know of a call. Cheap to clone; holds no prompt.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use tower_bedrock::{CallContext, ModelId, Operation, Priority, Route};
///
/// let route = Route::to("amazon.nova-lite-v1:0".parse::<ModelId>()?);
/// let mut call = CallContext::new(Operation::Converse, route);
/// call.deadline = Some(Instant::now() + Duration::from_secs(30));
/// call.priority = Priority::High;
/// # Ok::<(), tower_bedrock::InvalidModelId>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct CallContext {
    /// The operation.
    pub operation: Operation,
    /// Where the next attempt goes.
    pub route: Route,
    /// The call's tokens as far as they are known.
    pub tokens: Tokens,
    /// When the caller stops waiting. No attempt starts after it and no layer waits past it.
    pub deadline: Option<Instant>,
    /// The longest that a single attempt may take once it is sent: to the end of a whole answer, to the
    /// first content of a stream. `None` for as long as the call may take.
    pub attempt_timeout: Option<Duration>,
    /// On whose behalf the call is made; tenants share quotas fairly.
    pub tenant: Option<Arc<str>>,
    /// How urgent the call is.
    pub priority: Priority,
    /// Which attempt of the call this is, from 1, over all routes.
    pub attempt: u32,
    /// What the call asks of the retry layer.
    pub retry: RetryOverride,
    /// What the call asks of the fallback layer.
    pub fallback: FallbackOverride,
    /// Whether the call may be answered out of a cache.
    pub cache: CacheControl,
    /// Whether the call may share the attempt of another.
    pub coalesce: CoalesceControl,
    /// Whether a fallback above has another route for the call. Where waiting does not help, the
    /// layers below then leave it to that route at once.
    pub has_next_route: bool,
    /// How long one layer may have the call stand in line, beside what the layer itself allows. Set
    /// by a fallback that would rather take another route.
    pub max_wait: Option<Duration>,
    /// Whom to tell when the attempt has to stand in line below, and when it is really sent. A layer
    /// that makes more than one attempt takes it off all but the first.
    pub send_signal: Option<SendSignal>,
    /// How to find the cause of what goes wrong after the answer has begun, for replies that are
    /// streams. Set by [`ClassifyLayer`](crate::ClassifyLayer); the innermost one counts.
    pub classifier: Option<Classifier>,
}

/// A request that the layers can work on: it can be sent again, and it tells about its call.
///
/// Layers clone a request once per attempt, so a clone must be cheap: [`Request`] keeps its body
/// behind an [`Arc`].
pub trait BedrockRequest: Clone {
    /// What is known of the call.
    fn context(&self) -> &CallContext;

    /// The same, to be changed by a layer: the route by a fallback, the attempt by a retry.
    fn context_mut(&mut self) -> &mut CallContext;

    /// Has the call generate at most `tokens`, where it left that to the model. Returns whether the
    /// request can be told; by default it cannot.
    fn set_max_output_tokens(&mut self, tokens: u32) -> bool {
        let _ = tokens;
        false
    }
}

/// The input of an operation: says what a layer may know of it.
pub trait OperationInput: Send + Sync + 'static {
    /// What the input tells of its call: operation, model, tier, most output tokens.
    fn call_context(&self) -> CallContext;
}

// === impl Operation ===

impl Operation {
    /// The operation as the service model spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Converse => "Converse",
            Self::ConverseStream => "ConverseStream",
            Self::InvokeModel => "InvokeModel",
            Self::InvokeModelWithResponseStream => "InvokeModelWithResponseStream",
            Self::CountTokens => "CountTokens",
            Self::ApplyGuardrail => "ApplyGuardrail",
            Self::Other(name) => name,
        }
    }

    /// Whether the reply comes as a stream of events.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::ConverseStream | Self::InvokeModelWithResponseStream
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl CallContext ===

impl CallContext {
    /// The first attempt of a call to `route`, with nothing else asked.
    #[must_use]
    pub fn new(operation: Operation, route: Route) -> Self {
        Self {
            operation,
            route,
            tokens: Tokens::default(),
            deadline: None,
            attempt_timeout: None,
            tenant: None,
            priority: Priority::default(),
            attempt: 1,
            retry: RetryOverride::default(),
            fallback: FallbackOverride::default(),
            cache: CacheControl::ByRule,
            coalesce: CoalesceControl::ByRule,
            has_next_route: false,
            max_wait: None,
            send_signal: None,
            classifier: None,
        }
    }
}

/// By hand, since each layer that may make a call again has a copy made: first what is counted, and then
/// all that can be copied as it is, in one go.
impl Clone for CallContext {
    #[inline]
    fn clone(&self) -> Self {
        let route = self.route.clone();
        let tenant = self.tenant.clone();
        let send_signal = self.send_signal.clone();
        let classifier = self.classifier.clone();
        Self {
            operation: self.operation,
            route,
            tokens: self.tokens,
            deadline: self.deadline,
            attempt_timeout: self.attempt_timeout,
            tenant,
            priority: self.priority,
            attempt: self.attempt,
            retry: self.retry,
            fallback: self.fallback,
            cache: self.cache,
            coalesce: self.coalesce,
            has_next_route: self.has_next_route,
            max_wait: self.max_wait,
            send_signal,
            classifier,
        }
    }
}
