use std::{
    fmt,
    num::NonZeroU32,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    budget::RetryBudget, event::RetryEvent, future::ResponseFuture, jitter::Jitter,
    minute::MinuteClock, policy::Policy,
};
use crate::{call::BedrockRequest, cause::Reactions, error::Error, lane::Held, template::Template};

type Listener = dyn Fn(&RetryEvent<'_>) + Send + Sync;

/// Makes a failed call again, as its [`Cause`](crate::Cause) asks for.
///
/// | cause | waits up to | retries |
/// |---|---|---|
/// | request rate, unknown throttle | 1, 2, 4 … 60 s | 8 |
/// | token rate | 2, 4, 8 … 60 s | 8 |
/// | model overloaded, capacity, 503 | 0.5, 1, 2 s | 3 |
/// | internal, error inside a stream before its first event | 0.5, 1 s | 2 |
/// | model failed with 429 or 5xx, model timeout, stream cut or stalled before its first event | 0.5 s | 1 |
/// | model not ready | 5, 10, 20, 30 … s | 10 |
/// | connection | 0.1, 0.2, 0.4 s | 3 |
/// | timeout | 0.5, 1 s, only with [`retry_timeouts`](Self::retry_timeouts) | 2 |
/// | everything else | – | none |
///
/// Each wait is drawn evenly from nothing to the figure above. A server's hint (`x-amz-retry-after`,
/// `Retry-After`) is a floor, up to 60 s. A wait that would end after the call's deadline is not
/// begun: the caller gets the error at once. Where a fallback has another route, neither is one that
/// would take more than half of the time left: the other route needs it for its answer. An attempt that is under way at the deadline is cut
/// with [`Cause::DeadlineExceeded`](crate::Cause::DeadlineExceeded).
///
/// A connection that broke after the request was sent is made again like one that never stood, as the
/// SDKs do; the service may have done, and billed, the work. Whoever does not want that gives the row
/// of [`Cause::Connect`](crate::Cause::Connect) another [`Reaction`](crate::Reaction).
///
/// Put it outside of everything that admits single attempts (circuit breaker, token budget, pool),
/// so that a retry is admitted again like any other attempt, and switch the SDK's own retries off,
/// as [`Bedrock`](crate::Bedrock) does.
///
/// # Shared state
///
/// The [`RetryBudget`], the [`Jitter`] and the listener are shared by all clones of the layer and
/// of the services that it made. Each call has a history of its own.
///
/// # Readiness
///
/// Ready when the inner service is. The instance that was made ready serves the first attempt, when
/// the layer is called; a retry is made by a clone, which waits for readiness in its turn and holds
/// nothing meanwhile.
///
/// The inner service must be [`Clone`] for that, and what its clones are to have in common they must
/// share. Put a `Buffer` of tower around one that is not.
///
/// # Streams
///
/// A stream is answered with its first content ([`HoldBack`](crate::HoldBack)): what fails before is
/// made again, what fails after is the caller's to see. It funds the budget when it is answered, and a
/// failure after that costs nothing, for it is not retried.
///
/// # Cancellation
///
/// Dropping the future drops the attempt under way. A retry that was paid for and not yet sent is
/// paid back.
///
/// # Errors
///
/// The error of the last attempt. `DeadlineExceeded` if the deadline cuts an attempt or a wait; the
/// error of the attempt before it is its `source`. What the inner service said if it fails to become
/// ready for a retry.
///
/// # Panics
///
/// The future panics outside of a tokio runtime with time enabled if the call has a deadline and is not
/// answered at once, and when it begins a wait: both start one of tokio's timers.
///
/// # Example
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{CallContext, Cause, Error, Operation, Request, RetryLayer, Route};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Error> {
/// static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
/// let overloaded_at_first = service_fn(|_: Request<&'static str>| async {
///     match ATTEMPTS.fetch_add(1, Ordering::Relaxed) {
///         0 => Err(Error::new(Cause::ModelOverloaded)),
///         _ => Ok("hello yourself"),
///     }
/// });
/// let service = ServiceBuilder::new()
///     .layer(RetryLayer::new())
///     .service(overloaded_at_first);
///
/// let call = CallContext::new(Operation::Converse, Route::default());
/// assert_eq!(service.oneshot(Request::new("hello", call)).await?, "hello yourself");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct RetryLayer {
    config: Config,
}

/// The service that [`RetryLayer`] makes.
pub struct Retry<S> {
    inner: S,
    shared: Arc<Held<Shared<S>>>,
}

/// What all clones of a service share with the calls that they make.
pub(super) struct Shared<S> {
    pub(super) config: Config,
    pub(super) template: Template<S>,
}

#[derive(Clone, Default)]
pub(super) struct Config {
    pub(super) policy: Policy,
    pub(super) jitter: Jitter,
    pub(super) listener: Option<Arc<Listener>>,
}

impl RetryLayer {
    /// The default table, a budget of 500 tokens, jitter seeded by the operating system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reacts as `reactions` say instead of the default table.
    #[must_use]
    pub fn with_reactions(mut self, reactions: Reactions) -> Self {
        self.config.policy.reactions = Arc::new(reactions);
        self
    }

    /// Pays for retries out of `budget`.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.config.policy.budget = budget;
        self
    }

    /// The budget that pays for retries.
    #[must_use]
    pub const fn budget(&self) -> &RetryBudget {
        &self.config.policy.budget
    }

    /// Draws waits from `jitter`.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.config.jitter = jitter;
        self
    }

    /// At most this many attempts of a call through this layer, including the first; 12 by default,
    /// which is above every row of the table. A call's own
    /// [`max_attempts`](crate::RetryOverride::max_attempts) goes before it.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.config.policy.max_attempts = attempts;
        self
    }

    /// Follows a server's hint up to this long; 60 s by default.
    #[must_use]
    pub fn with_max_server_hint(mut self, longest: Duration) -> Self {
        self.config.policy.max_server_hint = longest;
        self
    }

    /// Whether a call that got no answer in time is made again; off by default, because Bedrock's
    /// calls are not idempotent: the work may be done, and billed, twice. A call's own
    /// [`retry_timeouts`](crate::RetryOverride::retry_timeouts) goes before it.
    #[must_use]
    pub fn retry_timeouts(mut self, retry: bool) -> Self {
        self.config.policy.retry_timeouts = retry;
        self
    }

    /// Whether a call that met a per-minute quota waits for the next minute of the wall clock, plus
    /// up to 10 s of jitter, instead of a backoff; off by default, because Bedrock's quotas were
    /// measured to refill continuously (BEDROCK.md §3.4). For gateways that count by clock minutes.
    /// A server's hint is a floor here too.
    #[must_use]
    pub fn aim_at_next_minute(mut self, aim: bool) -> Self {
        self.config.policy.next_minute = aim.then(MinuteClock::anchored_now);
        self
    }

    /// Tells `listener` of every decision, on the task that makes it. It must not block. Listeners
    /// that were added before hear first.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{RetryEvent, RetryLayer};
    ///
    /// let layer = RetryLayer::new().on_event(|event| {
    ///     if let RetryEvent::Retrying { error, after, .. } = event {
    ///         eprintln!("{} again in {after:?}", error.cause());
    ///     }
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn on_event<F>(mut self, listener: F) -> Self
    where
        F: Fn(&RetryEvent<'_>) + Send + Sync + 'static,
    {
        self.config.listener = Some(match self.config.listener.take() {
            Some(first) => Arc::new(move |event: &RetryEvent<'_>| {
                first(event);
                listener(event);
            }),
            None => Arc::new(listener),
        });
        self
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            config: self.config.clone(),
            template: Template::default(),
        };
        Retry {
            inner,
            shared: Arc::new(Held::new(shared)),
        }
    }
}

impl<S> Retry<S> {
    /// Retries calls to `inner` with the defaults of [`RetryLayer::new`].
    pub fn new(inner: S) -> Self {
        RetryLayer::new().layer(inner)
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed. Retries by this clone, and by those that are made of it, then
    /// go to it as it is changed.
    pub fn get_mut(&mut self) -> &mut S {
        self.shared = Arc::new(Held::new(Shared {
            config: self.shared.config.clone(),
            template: Template::default(),
        }));
        &mut self.inner
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The budget that pays for the retries.
    pub fn budget(&self) -> &RetryBudget {
        &self.shared.config.policy.budget
    }
}

impl<S, R> Service<R> for Retry<S>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Error: Into<Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        // The instance that was made ready is the one that is called.
        ResponseFuture::new(&mut self.inner, request, &self.shared)
    }
}

impl<S: Clone> Clone for Retry<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("policy", &self.policy)
            .field("listener", &self.listener.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RetryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer")
            .field("config", &self.config)
            .finish()
    }
}

impl<S: fmt::Debug> fmt::Debug for Retry<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("inner", &self.inner)
            .field("config", &self.shared.config)
            .finish()
    }
}
