use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    error::InvalidCache,
    event::CacheEvent,
    future::{Keeping, ResponseFuture},
    store::CacheStore,
};
use crate::{
    call::{CacheControl, CallContext},
    call_key::{CallKey, CallRule, InputFacts, KeyedInput, KeyedRequest, Keys},
    clock::Turn,
    error::Error,
    replay::ReplayResponse,
    reply::CacheStatus,
    route::Region,
};

type Listener = dyn Fn(&CacheEvent<'_>) + Send + Sync;

/// Answers calls out of memory that were answered before.
///
/// [The module](super) says which calls are the same, and which answers are kept. Without the feature
/// `cache` the layer is not there.
///
/// Put it outermost, around fallback and retries: a call that is answered out of the cache then takes no
/// turn, no permit and no quota, and is not counted as an attempt. Metrics and spans of calls belong
/// around it, so that they show what callers saw. Inside of it belongs a
/// [`CoalesceLayer`](crate::CoalesceLayer), where many ask the same at the same time: what is under way
/// is not in the cache yet.
///
/// A call whose tokens are set by a layer below ([`TokenBudgetLayer`](crate::TokenBudgetLayer) may clamp
/// those that leave it to the model) is known by what it said itself.
///
/// # Shared state
///
/// Clones of the layer, and the services that it makes, share one [`CacheStore`]. Give stacks of
/// different accounts, endpoints or guardrail policies a layer each: the key does not know whom a stack
/// calls.
///
/// Tenants have answers of their own: a call finds nothing that was made on behalf of another. Whoever
/// knows that no prompt says anything about who asks can have them
/// [share](Self::shared_by_tenants).
///
/// # Readiness
///
/// Ready when the inner service is. A call that is answered out of the cache does not use it: an
/// instance that is kept for further calls stays ready.
///
/// # Streams
///
/// A stream is recorded as its caller reads it, and kept if it came whole: one that is dropped, or
/// broken off, is not. It is given again as a stream, with the events that it had, all at once. One that
/// grows larger than the cache is recorded no further.
///
/// # Cancellation
///
/// Dropping the future drops the inner one; nothing is kept of it.
///
/// # Errors
///
/// Exactly the inner service's. None is ever kept.
///
/// # Panics
///
/// None of its own; a rule's or a listener's pass through.
///
/// # Example
///
/// ```
/// use std::{hash::{Hash, Hasher}, time::Duration};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     AnswerPart, CacheControl, CacheLayer, CallContext, Error, KeyedInput, Operation, Request,
///     Response, Route, Served,
/// };
///
/// # // The SDK's own types have these.
/// # #[derive(PartialEq)] struct Question(&'static str);
/// # impl KeyedInput for Question {
/// #     fn hash_content<H: Hasher>(&self, state: &mut H) { self.0.hash(state); }
/// # }
/// # #[derive(Clone)] struct Answer(&'static str);
/// # impl AnswerPart for Answer { fn held_bytes(&self) -> usize { self.0.len() } }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // 64 MiB, an hour.
/// let cache = CacheLayer::new(64 << 20, Duration::from_secs(3600))?;
/// let store = cache.store().clone();
/// let service = ServiceBuilder::new().layer(cache).service(service_fn(
///     |_: Request<Question>| async {
///         Ok::<_, Error>(Response::new(Answer("hello yourself"), Served::default(), None))
///     },
/// ));
///
/// let ask = || {
///     let call = CallContext::new(Operation::Converse, Route::default());
///     let request = Request::new(Question("hello"), call).with_cache(CacheControl::Use);
///     service.clone().oneshot(request)
/// };
/// assert!(!ask().await?.served().cache.is_hit());
/// assert!(ask().await?.served().cache.is_hit());
/// assert_eq!(store.entries(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CacheLayer {
    config: Config,
}

/// The service that [`CacheLayer`] makes.
#[derive(Clone, Debug)]
pub struct Cache<S> {
    inner: S,
    config: Arc<Config>,
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) store: CacheStore,
    keys: Keys,
    rule: CallRule,
    listener: Option<Arc<Listener>>,
}

impl CacheLayer {
    /// Keeps up to `max_bytes` of inputs and answers, each answer for `ttl`. Calls are kept by the default
    /// rule: those that say a temperature of zero, have no tools, and point to nothing that can change.
    ///
    /// When there is too little room, what is asked for most is kept (TinyLFU).
    ///
    /// # Errors
    ///
    /// [`InvalidCache`] if it would keep nothing.
    pub fn new(max_bytes: u64, ttl: Duration) -> Result<Self, InvalidCache> {
        Ok(Self {
            config: Config {
                store: CacheStore::new(max_bytes, ttl)?,
                keys: Keys::default(),
                rule: CallRule::default(),
                listener: None,
            },
        })
    }

    /// Asks `rule` about calls that say nothing of a cache themselves, instead of the default one.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_bedrock::{CacheLayer, Operation};
    ///
    /// let cache = CacheLayer::new(64 << 20, Duration::from_secs(60))?.with_rule(|call, facts| {
    ///     call.operation == Operation::CountTokens || facts.is_repeatable()
    /// });
    /// # let _ = cache;
    /// # Ok::<(), tower_bedrock::InvalidCache>(())
    /// ```
    #[must_use]
    pub fn with_rule<F>(mut self, rule: F) -> Self
    where
        F: Fn(&CallContext, &InputFacts) -> bool + Send + Sync + 'static,
    {
        self.config.rule = CallRule::own(rule);
        self
    }

    /// Is only about calls that ask for it themselves.
    #[must_use]
    pub fn without_rule(mut self) -> Self {
        self.config.rule = CallRule::Never;
        self
    }

    /// Answers a call out of what was kept for another tenant.
    #[must_use]
    pub fn shared_by_tenants(mut self) -> Self {
        self.config.keys.across_tenants = true;
        self
    }

    /// Takes calls without a region for calls to `region`. A [`Stack`](crate::Stack) tells its own.
    #[must_use]
    pub fn with_home_region(mut self, region: impl Into<Region>) -> Self {
        self.config.keys.home = Some(region.into());
        self
    }

    /// Tells `listener` of what the cache does, on the task that makes the call or reads its stream. It
    /// must not block. Listeners that were added before hear first.
    #[must_use]
    pub fn on_event<F>(mut self, listener: F) -> Self
    where
        F: Fn(&CacheEvent<'_>) + Send + Sync + 'static,
    {
        self.config.listener = Some(match self.config.listener.take() {
            Some(first) => Arc::new(move |event: &CacheEvent<'_>| {
                first(event);
                listener(event);
            }),
            None => Arc::new(listener),
        });
        self
    }

    /// What is kept.
    #[must_use]
    pub const fn store(&self) -> &CacheStore {
        &self.config.store
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = Cache<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Cache {
            inner,
            config: Arc::new(self.config.clone()),
        }
    }
}

impl<S> Cache<S> {
    inner_service_accessors!();

    /// What is kept.
    pub fn store(&self) -> &CacheStore {
        &self.config.store
    }
}

impl<S, R> Service<R> for Cache<S>
where
    R: KeyedRequest,
    S: Service<R>,
    S::Response: ReplayResponse,
    S::Error: Into<Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let _turn = Turn::begin();
        if !self.config.is_about(&request) {
            return ResponseFuture::passed(self.inner.call(request));
        }
        let call = request.context();
        let key = self.config.keys.of(&request);
        if let Some(answer) = self.config.hit::<S::Response>(&key, call) {
            return ResponseFuture::hit(answer);
        }
        self.config.tell(&CacheEvent::Miss { call });
        let keeping = Keeping::new(Arc::clone(&self.config), key, call.clone());
        ResponseFuture::missed(self.inner.call(request), keeping)
    }
}

impl Config {
    fn is_about<R: KeyedRequest>(&self, request: &R) -> bool {
        let call = request.context();
        match call.cache {
            CacheControl::Use | CacheControl::Refresh => true,
            CacheControl::Bypass => false,
            CacheControl::ByRule => self.rule.allows(call, || request.shared_input().facts()),
        }
    }

    fn hit<T: ReplayResponse>(&self, key: &CallKey, call: &CallContext) -> Option<T> {
        if call.cache == CacheControl::Refresh {
            return None;
        }
        let found = self.store.get::<T::Kept>(key)?;
        let (age, saved) = (found.age, found.answer.usage);
        self.tell(&CacheEvent::Hit { call, age, saved });
        Some(T::replay(&found.answer, call, CacheStatus::Hit { age }))
    }

    pub(super) fn tell(&self, event: &CacheEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::cache(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("store", &self.store)
            .field("rule", &self.rule)
            .field("listener", &self.listener.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("config", &self.config)
            .finish()
    }
}
