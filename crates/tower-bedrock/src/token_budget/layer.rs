use std::{
    fmt, mem,
    num::NonZeroU32,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    asking::Asked,
    charge::FailureCharges,
    estimate::{SizeEstimator, TokenEstimator},
    event::TokenBudgetEvent,
    future::ResponseFuture,
    gate::Line,
    quotas::Quotas,
    slow::Slow,
    terms::Need,
};
use crate::{
    call::BedrockRequest, cause::Reactions, error::Error, readiness, reply::BedrockResponse,
};

type Listener = dyn Fn(&TokenBudgetEvent<'_>) + Send + Sync;

/// Calls that may wait at one ledger: a bound on memory, about 100 bytes each, and far more than can
/// be served in a minute by most quotas.
const MAX_WAITING: usize = 100_000;
/// A quota comes back within a minute; what waits for many of them is better refused.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(300);

/// Keeps calls under the account's quotas, so that the service does not have to refuse them.
///
/// Bedrock sets aside a call's whole input and its `maxTokens` when it is admitted, and settles by
/// what was used when it ends, output times a burndown rate. This layer keeps the same account, one
/// ledger for each [`QuotaKey`](crate::QuotaKey), and admits a call when it fits requests per minute,
/// tokens per minute and tokens per day, as far as [`Quotas`] knows them. A call that does not fit
/// waits in line:
///
/// * a higher [`Priority`](crate::Priority) goes first;
/// * tenants of the same priority take turns by tokens, so that none starves another;
/// * the calls of a tenant go in the order in which they came, and a large one is not passed by
///   small ones for ever;
/// * a call that cannot go in time for its deadline is refused at once, and told how long it would
///   have waited ([`BudgetExhausted`](crate::BudgetExhausted)). In time means that there is as much
///   left as answers usually take, which the ledger learns, but no more than half of what the call
///   has: what goes too late uses quota for an answer that nobody hears;
/// * a call that joins may still wait in vain, when others come later and go before it. As many join as
///   the quota lets go if nobody does: so the whole quota is used when they stop.
///
/// Calls without a model, and operations that draw on no quota of tokens (CountTokens,
/// ApplyGuardrail), pass untouched.
///
/// Put it inside of [`RetryLayer`](crate::RetryLayer), so that a retry is admitted again like any
/// other attempt, in its turn, and outside of whatever bounds what is in flight, so that nothing else
/// is held while a call waits. It works in any other place too: outside of the retries, a call's
/// attempts are admitted once, as one.
///
/// # Shared state
///
/// All ledgers belong to the [`Quotas`]; layers with clones of it count together. The estimator, the
/// listener and the settings are shared by all clones of the services that the layer made.
///
/// # Readiness
///
/// Always ready, so that a call waits or is refused here even when the inner service is busy. Where the
/// inner service is ready too and the call fits, it is admitted when it is called, and the instance that
/// was made ready is the one that is called. Everything else goes on when the future is polled: a call
/// that has to wait for its quota lets go of the instance that was ready and asks a clone of it when its
/// turn has come. So an inner permit is never held while a call waits for its quota. While a call waits
/// for the inner service, what it draws is reserved, and begins to age when it is sent.
///
/// A call that was admitted is taken to be sent when its future is polled first; until then, what it draws
/// counts.
///
/// A call that waits has to be polled when it is woken, as futures want to be: of all that wait at a
/// ledger, one keeps the timer for all. A future that is set aside half way, in a `select!` whose
/// other branch takes long, may delay others until any call comes or ends.
///
/// # Cancellation
///
/// Dropping the future of a call that waits frees its place. Dropping it before the inner service was
/// called, or before it was ever polled, gives back all that was drawn: futures do nothing until they
/// are polled. Dropping it later keeps what the call holds until that has aged
/// out, because the service goes on with the work. A stream that is dropped settles by what it has told
/// of its usage, or keeps its hold.
///
/// # Errors
///
/// [`Cause::BudgetExhausted`](crate::Cause::BudgetExhausted), with a `BudgetExhausted` as its
/// `source`, if the call is refused; otherwise those of the inner service.
///
/// # Panics
///
/// Only if a call has to wait outside of a tokio runtime with time enabled, as all of tokio's timers
/// do.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     BudgetExhausted, CallContext, Error, ExhaustedReason, Operation, Quota, Quotas, Request,
///     Response, Route, Served, TokenBudgetLayer, Usage,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let route = Route::to("anthropic.claude-sonnet-4-6".parse()?);
/// let quotas = Quotas::new();
/// quotas.set(&route, Quota::new().with_tokens_per_minute(50_000))?;
///
/// let bedrock = service_fn(|_: Request<()>| async {
///     let usage = Usage { input: 3000, output: 1000, ..Usage::default() };
///     Ok::<_, Error>(Response::new((), Served::default(), Some(usage)))
/// });
/// let service = ServiceBuilder::new()
///     .layer(TokenBudgetLayer::new(quotas.clone()))
///     .service(bedrock);
///
/// let mut call = CallContext::new(Operation::Converse, route.clone());
/// call.tokens.input = Some(3000);
/// call.tokens.max_output = Some(32_000);
/// service.clone().oneshot(Request::new((), call.clone())).await?;
/// // It held 35 000 tokens. Output of this model costs five: 3000 + 5 · 1000 remain.
/// assert_eq!(quotas.snapshot_of(&route).tokens_used, 8000);
///
/// call.tokens.max_output = Some(64_000);
/// let error = service.oneshot(Request::new((), call)).await.unwrap_err();
/// let refusal = BudgetExhausted::of(&error).unwrap();
/// assert!(matches!(refusal.reason(), ExhaustedReason::TooLarge { needed: 67_000, .. }));
/// # Ok(())
/// # }
/// ```
pub struct TokenBudgetLayer<E = SizeEstimator> {
    config: Arc<Config<E>>,
}

/// The service that [`TokenBudgetLayer`] makes.
pub struct TokenBudget<S, E = SizeEstimator> {
    inner: S,
    /// Whether the inner service has said that it is ready, and was not called since.
    is_ready: bool,
    config: Arc<Config<E>>,
}

pub(super) struct Config<E> {
    pub(super) estimator: Arc<E>,
    pub(super) rules: Arc<Rules>,
    pub(super) line: Line,
    pub(super) output_clamp: Option<NonZeroU32>,
}

/// What a call's end goes by. Each call counts who has it, so what it reads is on other cache lines.
#[derive(Clone)]
#[repr(align(128))]
pub(super) struct Rules {
    pub(super) quotas: Quotas,
    pub(super) reactions: Reactions,
    pub(super) charges: FailureCharges,
    pub(super) listener: Option<Arc<Listener>>,
}

impl TokenBudgetLayer {
    /// Keeps calls under `quotas`: estimates by size, up to 100 000 calls in line at a ledger, up to
    /// five minutes of waiting.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self {
            config: Arc::new(Config {
                estimator: Arc::new(SizeEstimator),
                rules: Arc::new(Rules {
                    quotas,
                    reactions: Reactions::default(),
                    charges: FailureCharges::default(),
                    listener: None,
                }),
                line: Line {
                    waits: true,
                    max_waiting: MAX_WAITING,
                    max_wait: MAX_WAIT,
                },
                output_clamp: None,
            }),
        }
    }
}

impl<E> TokenBudgetLayer<E> {
    /// Estimates inputs with `estimator`.
    #[must_use]
    pub fn with_estimator<F>(self, estimator: F) -> TokenBudgetLayer<F> {
        let config = &*self.config;
        TokenBudgetLayer {
            config: Arc::new(Config {
                estimator: Arc::new(estimator),
                rules: Arc::clone(&config.rules),
                line: config.line,
                output_clamp: config.output_clamp,
            }),
        }
    }

    /// The quotas that calls are kept under.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.config.rules.quotas
    }

    #[cfg(all(test, any(loom_cores, shuttle_cores)))]
    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.config.rules
    }

    /// At most this many calls wait at one ledger; 100 000 by default. With 0, none waits.
    #[must_use]
    pub fn with_max_waiting(self, calls: usize) -> Self {
        self.change(|config| config.line.max_waiting = calls)
    }

    /// No call waits longer than this, whatever its deadline; five minutes by default.
    #[must_use]
    pub fn with_max_wait(self, longest: Duration) -> Self {
        self.change(|config| config.line.max_wait = longest)
    }

    /// Whether a call that does not fit now waits; on by default. Off, it is refused at once, as
    /// suits a layer under a fallback that has somewhere else to go.
    #[must_use]
    pub fn with_waiting(self, waits: bool) -> Self {
        self.change(|config| config.line.waits = waits)
    }

    /// Sets `maxTokens` on conversations that do not set it, so that they do not hold the most that
    /// the model generates. Off by default: it cuts answers that are longer.
    #[must_use]
    pub fn with_output_clamp(self, tokens: NonZeroU32) -> Self {
        self.change(|config| config.output_clamp = Some(tokens))
    }

    /// Charges failed calls as `charges` say.
    #[must_use]
    pub fn with_failure_charges(self, charges: FailureCharges) -> Self {
        self.change(|config| Arc::make_mut(&mut config.rules).charges = charges)
    }

    /// Takes the limits that causes stand for from `reactions` instead of the default table.
    #[must_use]
    pub fn with_reactions(self, reactions: Reactions) -> Self {
        self.change(|config| Arc::make_mut(&mut config.rules).reactions = reactions)
    }

    /// Tells `listener` of what the layer decides and finds out, on the task where it happens. It
    /// must not block. Listeners that were added before hear first.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{Quotas, TokenBudgetEvent, TokenBudgetLayer};
    ///
    /// let layer = TokenBudgetLayer::new(Quotas::new()).on_event(|event| match event {
    ///     TokenBudgetEvent::MaxTokensUnset { call, held, .. } => {
    ///         eprintln!("{} holds {held} tokens: set maxTokens", call.route);
    ///     }
    ///     TokenBudgetEvent::Learned { key, limit, learned, .. } => {
    ///         eprintln!("{key}: {limit} seem to be {learned}");
    ///     }
    ///     _ => {}
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn on_event<F>(self, listener: F) -> Self
    where
        F: Fn(&TokenBudgetEvent<'_>) + Send + Sync + 'static,
    {
        self.change(|config| {
            let rules = Arc::make_mut(&mut config.rules);
            rules.listener = Some(match rules.listener.take() {
                Some(first) => Arc::new(move |event: &TokenBudgetEvent<'_>| {
                    first(event);
                    listener(event);
                }),
                None => Arc::new(listener),
            });
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Config<E>)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S, E> Layer<S> for TokenBudgetLayer<E> {
    type Service = TokenBudget<S, E>;

    fn layer(&self, inner: S) -> Self::Service {
        TokenBudget {
            inner,
            is_ready: false,
            config: Arc::clone(&self.config),
        }
    }
}

impl<S> TokenBudget<S> {
    /// Keeps calls to `inner` under `quotas`, with the defaults of [`TokenBudgetLayer::new`].
    pub fn new(inner: S, quotas: Quotas) -> Self {
        TokenBudgetLayer::new(quotas).layer(inner)
    }
}

impl<S, E> TokenBudget<S, E> {
    inner_service_accessors!();

    /// The quotas that calls are kept under.
    pub fn quotas(&self) -> &Quotas {
        &self.config.rules.quotas
    }
}

impl<S, R, E> Service<R> for TokenBudget<S, E>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Response: BedrockResponse,
    S::Error: Into<Error>,
    E: TokenEstimator<R>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, R, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.is_ready = readiness::look(&mut self.inner, cx)?;
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, mut request: R) -> Self::Future {
        if !mem::take(&mut self.is_ready) {
            return ResponseFuture::slow(self.readying(request));
        }
        let hold = match self.config.ask(&mut request) {
            Asked::Admitted(hold) => {
                request.context_mut().send_signal = hold.signal();
                Some(hold)
            }
            Asked::Passes => None,
            Asked::Not(need) => return ResponseFuture::slow(self.asked(request, need)),
        };
        ResponseFuture::called(self.inner.call(request), hold)
    }
}

impl<S: Clone, E> TokenBudget<S, E> {
    /// A call that waits for the inner service first. What has begun to become ready goes along.
    #[cold]
    fn readying<R>(&mut self, request: R) -> Slow<S, R, E> {
        let next = self.inner.clone();
        let service = mem::replace(&mut self.inner, next);
        Slow::readying(service, request, Arc::clone(&self.config))
    }

    /// A call that waits for its quota first. What is ready is let go: it may have reserved something.
    #[cold]
    fn asked<R>(&mut self, request: R, need: Need) -> Slow<S, R, E> {
        self.inner = self.inner.clone();
        let service = self.inner.clone();
        Slow::asked(service, request, Arc::clone(&self.config), need)
    }
}

impl Rules {
    pub(super) fn tell(&self, event: &TokenBudgetEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::token_budget(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl<E> Clone for Config<E> {
    fn clone(&self) -> Self {
        Self {
            estimator: Arc::clone(&self.estimator),
            rules: Arc::clone(&self.rules),
            ..*self
        }
    }
}

impl<E> Clone for TokenBudgetLayer<E> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
        }
    }
}

/// A clone of a service that is ready need not be.
impl<S: Clone, E> Clone for TokenBudget<S, E> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            is_ready: false,
            config: Arc::clone(&self.config),
        }
    }
}

impl<E> fmt::Debug for Config<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("quotas", &self.rules.quotas)
            .field("line", &self.line)
            .field("output_clamp", &self.output_clamp)
            .field("listener", &self.rules.listener.is_some())
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for TokenBudgetLayer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBudgetLayer")
            .field("config", &self.config)
            .finish()
    }
}

impl<S: fmt::Debug, E> fmt::Debug for TokenBudget<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBudget")
            .field("inner", &self.inner)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
