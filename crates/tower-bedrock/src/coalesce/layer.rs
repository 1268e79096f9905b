use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    event::CoalesceEvent,
    flight::Flight,
    flights::{Flights, Joined, Terms},
    future::ResponseFuture,
};
use crate::{
    call::{CallContext, CoalesceControl},
    call_key::{CallRule, InputFacts, KeyedInput, KeyedRequest, Keys},
    clock::{self, Turn},
    error::Error,
    replay::ReplayResponse,
    route::Region,
};

type Listener = dyn Fn(&CoalesceEvent<'_>) + Send + Sync;

/// Has calls that are the same, and under way at the same time, share one attempt.
///
/// [The module](super) says which calls are the same, and on what terms they share. By default it is
/// about calls that say a temperature of zero, have no tools, and point to nothing that can change
/// ([`InputFacts::is_repeatable`]): who asks for several drafts of one prompt wants several answers. A
/// call says otherwise with [`CoalesceControl`].
///
/// Put it outermost, around fallback and retries, and inside of a cache, so that what is shared is a
/// call with all that is done for it.
///
/// Calls share only what is good for all: not the attempt of a call of lower priority, nor that of one with
/// another attempt timeout or other wishes about retries.
///
/// # Shared state
///
/// Clones of the layer, and the services that it makes, share what is under way. Give stacks of different
/// accounts or endpoints a layer each: the key does not know whom a stack calls. Tenants share
/// nothing, unless they are [told to](Self::shared_by_tenants).
///
/// # Readiness
///
/// Ready when the inner service is. A call that joins another does not use it: an instance that is
/// kept for further calls stays ready.
///
/// # Cancellation
///
/// Dropping the future leaves the attempt to those who still wait for it; the last of them drops it. A
/// stream that is shared is dropped with the last of its readers.
///
/// # Errors
///
/// The inner service's, the same for all who share an attempt; below it lies what lay below that one.
/// `DeadlineExceeded` when a call's own deadline passes before the attempt is answered.
///
/// # Panics
///
/// If the inner service panics, it does so for the call that polls it; the others fail with
/// [`Cause::Unknown`](crate::Cause::Unknown). The future panics outside of a tokio runtime with time enabled
/// if the call has a deadline and is not answered at once.
///
/// # Example
///
/// ```
/// use std::{hash::{Hash, Hasher}, sync::atomic::{AtomicU32, Ordering}};
/// use futures_util::future::join;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     AnswerPart, CallContext, CoalesceControl, CoalesceLayer, Error, KeyedInput, Operation,
///     Request, Response, Route, Served,
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
/// # async fn main() -> Result<(), Error> {
/// static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
/// let service = ServiceBuilder::new().layer(CoalesceLayer::new()).service(service_fn(
///     |_: Request<Question>| async {
///         ATTEMPTS.fetch_add(1, Ordering::Relaxed);
///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///         Ok::<_, Error>(Response::new(Answer("hello yourself"), Served::default(), None))
///     },
/// ));
///
/// let ask = || {
///     let call = CallContext::new(Operation::Converse, Route::default());
///     let request = Request::new(Question("hello"), call).with_coalesce(CoalesceControl::Share);
///     service.clone().oneshot(request)
/// };
/// let (one, other) = join(ask(), ask()).await;
/// // One of the two is charged for it.
/// assert_ne!(one?.served().coalesced, other?.served().coalesced);
/// assert_eq!(ATTEMPTS.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct CoalesceLayer {
    config: Config,
}

/// The service that [`CoalesceLayer`] makes.
#[derive(Clone, Debug)]
pub struct Coalesce<S> {
    inner: S,
    config: Arc<Config>,
}

#[derive(Clone, Default)]
struct Config {
    flights: Arc<Flights>,
    keys: Keys,
    rule: CallRule,
    listener: Option<Arc<Listener>>,
}

impl CoalesceLayer {
    /// Shares the attempts of calls that may be repeated, by the default rule.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `rule` about calls that say nothing of it themselves, instead of the default one.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{CoalesceLayer, Operation};
    ///
    /// let coalesce = CoalesceLayer::new().with_rule(|call, facts| {
    ///     call.operation == Operation::CountTokens || facts.is_repeatable()
    /// });
    /// # let _ = coalesce;
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

    /// Has a call share the attempt of one that is made on behalf of another tenant. The quota is charged
    /// for the tenant whose call came first.
    #[must_use]
    pub const fn shared_by_tenants(mut self) -> Self {
        self.config.keys.across_tenants = true;
        self
    }

    /// Takes calls without a region for calls to `region`. A [`Stack`](crate::Stack) tells its own.
    #[must_use]
    pub fn with_home_region(mut self, region: impl Into<Region>) -> Self {
        self.config.keys.home = Some(region.into());
        self
    }

    /// Tells `listener` which calls share, on the task that makes them. It must not block. Listeners
    /// that were added before hear first.
    #[must_use]
    pub fn on_event<F>(mut self, listener: F) -> Self
    where
        F: Fn(&CoalesceEvent<'_>) + Send + Sync + 'static,
    {
        self.config.listener = Some(match self.config.listener.take() {
            Some(first) => Arc::new(move |event: &CoalesceEvent<'_>| {
                first(event);
                listener(event);
            }),
            None => Arc::new(listener),
        });
        self
    }

    /// How many attempts are under way, with one call or several waiting for each. Those of calls that
    /// the layer is not about are not among them.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.config.flights.len()
    }
}

impl<S> Layer<S> for CoalesceLayer {
    type Service = Coalesce<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Coalesce {
            inner,
            config: Arc::new(self.config.clone()),
        }
    }
}

impl<S> Coalesce<S> {
    inner_service_accessors!();
}

impl<S, R> Service<R> for Coalesce<S>
where
    R: KeyedRequest,
    S: Service<R>,
    S::Response: ReplayResponse,
    S::Error: Into<Error>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: R) -> Self::Future {
        let _turn = Turn::begin();
        if !self.config.is_about(&request) {
            return ResponseFuture::alone(self.inner.call(request));
        }
        let now = clock::now();
        let call = request.context().clone();
        if call.deadline.is_some_and(|deadline| deadline <= now) {
            return ResponseFuture::expired(call);
        }
        let config = &*self.config;
        let key = config.keys.of(&request);
        let joined = config.flights.join(key, &call, now, |listing, is_open| {
            Arc::new(Flight::<S::Future, S::Response>::new(listing, is_open))
        });
        let flight = match joined {
            Joined::UnderWay(flight) => {
                config.tell(&CoalesceEvent::Joined { call: &call });
                flight
            }
            Joined::Own(flight) => {
                let departure = flight.departure();
                config.tell(&CoalesceEvent::Led { call: &call });
                request.context_mut().deadline = Terms::of(&call, now).deadline;
                departure.with(self.inner.call(request));
                flight
            }
        };
        ResponseFuture::sharing(flight, call)
    }
}

impl Config {
    fn is_about<R: KeyedRequest>(&self, request: &R) -> bool {
        let call = request.context();
        match call.coalesce {
            CoalesceControl::Share => true,
            CoalesceControl::Alone => false,
            CoalesceControl::ByRule => self.rule.allows(call, || request.shared_input().facts()),
        }
    }

    fn tell(&self, event: &CoalesceEvent<'_>) {
        #[cfg(feature = "tracing")]
        crate::trace::event::coalesce(event);
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("under_way", &self.flights.len())
            .field("rule", &self.rule)
            .field("listener", &self.listener.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CoalesceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalesceLayer")
            .field("config", &self.config)
            .finish()
    }
}
