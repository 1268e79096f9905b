use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    config::{Built, Config},
    event::FallbackEvent,
    future::ResponseFuture,
    invalid::InvalidLadder,
    ladder::Ladder,
    plan::Plans,
    rung::Rung,
};
use crate::{
    call::BedrockRequest,
    cause::Reactions,
    error::Error,
    lane::Held,
    model_id::{ModelId, Residency},
    reply::BedrockResponse,
    retry::Jitter,
    route::Region,
    route_gate::RouteGate,
    template::Template,
};

/// Sends a call that fails on its own route, the primary, along a [`Ladder`] of others: another
/// region, a wider profile, another model, another tier.
///
/// A call moves on when its [`Cause`](crate::Cause) says that another route may help
/// ([`NextRoute`](crate::NextRoute)): at once where waiting does not help, as for an overloaded model
/// or a region that is down, and when the retries below are spent for what may pass. What another
/// route would answer the same, such as an invalid request, is given back. A rung that the service
/// does not know ([`NotFound`](crate::Cause::NotFound)) is passed over, whatever the table says; the
/// call's own route is not, by default, since it may be misspelt. Each route is tried at
/// most once for a call, all under its one deadline and its one
/// [`max_attempts`](crate::RetryOverride::max_attempts). A reply whose head has come is never moved.
///
/// A timeout moves on too, although the first route may have done, and billed, the work; a call
/// that forbids [`retry_timeouts`](crate::RetryOverride::retry_timeouts) stays.
///
/// # Order of the routes
///
/// A call prefers its own route, and then the rungs in their order. So all calls return to the
/// primary as soon as it is well, and while it is away they keep to the first rung that is well,
/// where prompt caches are warm: nothing is spread or rotated.
///
/// With [gates](Self::with_gate), routes are asked before they are called. One that is closed is
/// passed over; so is one where the call would wait longer than its
/// [patience](Self::with_patience), as long as another one is free. If none is, the call waits where
/// its turn comes first. Where every route is closed, the call goes where that ends first, and hears
/// from the layers there: a gate advises, it does not forbid. Without gates a call finds out by
/// trying, and does not wait for its turn on one route while there is another it has not tried.
///
/// # Where data may go
///
/// A route is taken only if all regions that may process the call, the one that is called and those
/// that its profile sends to, lie in the allowed area. By default that is:
///
/// * the country of the primary's region, where AWS has a profile for it (Japan, Australia, Canada,
///   India), else its geography (United States, Europe, Asia-Pacific, GovCloud), else the region
///   alone;
/// * and wherever the primary's own profile sends to.
///
/// So `us-east-1` may move to `us-west-2` and Tokyo to Osaka, but Tokyo not to Sydney and an `eu.`
/// profile not to a `global.` one. [`with_residency`](Self::with_residency) sets another area, and a
/// call may narrow it for itself ([`FallbackOverride::residency`](crate::FallbackOverride)). Nothing
/// ever leaves its partition. A call whose own route breaks the limits that were set is refused, with
/// [`NoRouteAllowed`](crate::NoRouteAllowed), before anything is sent.
///
/// The areas are those of AWS's profiles: its Europe includes London and Zurich.
///
/// # What else keeps a call off a route
///
/// * The body of an InvokeModel call is in the form of its model's family, so it stays in that.
///   CountTokens stays with its model, ApplyGuardrail with its region, and what an ARN alone names
///   (provisioned, custom, imported) in the ARN's region.
/// * After [`ContextTooLong`](crate::Cause::ContextTooLong), only a model with a larger
///   [context window](Self::with_context_window) will do.
/// * The rung's own [cap](crate::Rung::with_max_per_second).
/// * The call itself: [`Request::without_fallback`](crate::Request::without_fallback).
///
/// What else is in a request goes along as it is: a `maxTokens` above the other model's maximum is
/// refused there, and the call ends; so it may with a guardrail that another region does not have.
///
/// # Shared state
///
/// Caps and chance are shared by all clones of the layer and of the services that it made. What is
/// known of routes belongs to the gates.
///
/// # Readiness
///
/// Ready when the inner service is. The instance that was made ready is called first, when the layer
/// is; another route is called by a clone, which is waited for until it is ready, but not past the
/// deadline. What the clones of the inner service are to have in common they must share.
///
/// # Cancellation
///
/// Dropping the future drops the attempt under way. Nothing else is held.
///
/// # Errors
///
/// The error of the route that was tried last, as it is. With it goes what became of the other
/// routes: [`FallbackExhausted::of`](crate::FallbackExhausted::of), and its `Display`.
/// [`Cause::NoRouteAllowed`](crate::Cause::NoRouteAllowed) only if the call's own route is not
/// allowed; where all others are not, the caller gets the primary's error, with the reasons.
/// [`Cause::DeadlineExceeded`](crate::Cause::DeadlineExceeded) if the deadline passes while the inner
/// service is not ready for another route.
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled, if a call with a deadline moves to another route.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     BedrockRequest, CallContext, Cause, Error, FallbackLayer, Ladder, Operation, Request,
///     Response, RetryLayer, Route, Served,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bedrock = service_fn(|request: Request<()>| async move {
///     match &request.context().route.region {
///         Some(region) if region.as_str() == "us-west-2" => {
///             Ok(Response::new((), Served::default(), None))
///         }
///         _ => Err(Error::new(Cause::ModelOverloaded)),
///     }
/// });
/// let service = ServiceBuilder::new()
///     .layer(FallbackLayer::new(Ladder::regions(["us-west-2"]))?)
///     .layer(RetryLayer::new())
///     .service(bedrock);
///
/// let route = Route::to("amazon.nova-lite-v1:0".parse()?).in_region("us-east-1");
/// let call = CallContext::new(Operation::Converse, route);
/// let response = service.oneshot(Request::new((), call)).await?;
/// assert_eq!(response.served().route.to_string(), "amazon.nova-lite-v1:0@us-west-2");
/// assert_eq!(response.served().route_index, 1);
/// assert_eq!(response.served().attempts, 2);
/// assert!(!response.served().degraded);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct FallbackLayer {
    config: Arc<Config>,
}

/// The service that [`FallbackLayer`] makes.
pub struct Fallback<S> {
    inner: S,
    shared: Arc<Held<Shared<S>>>,
}

/// What all clones of a service share with the calls that they make.
pub(super) struct Shared<S> {
    pub(super) config: Arc<Config>,
    pub(super) template: Template<S>,
}

impl FallbackLayer {
    /// Every call that fails may take the routes of `ladder`, as far as its data may go there.
    ///
    /// # Errors
    ///
    /// [`InvalidLadder`] says what cannot be meant.
    pub fn new(ladder: Ladder) -> Result<Self, InvalidLadder> {
        let config = Config {
            ladder: Built::of(ladder)?,
            ..Config::default()
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Gives the calls that `primary` matches a ladder of their own instead. What `primary` leaves
    /// open matches anything; of several that match, the first that was added counts.
    ///
    /// # Errors
    ///
    /// [`InvalidLadder`] says what cannot be meant.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{FallbackLayer, Ladder, Rung};
    ///
    /// let opus = Rung::model("eu.anthropic.claude-opus-4-8".parse()?);
    /// let sonnet = Rung::model("eu.anthropic.claude-sonnet-4-6".parse()?);
    /// let layer = FallbackLayer::new(Ladder::regions(["eu-central-1"]))?
    ///     .with_ladder_for(opus, Ladder::new().then(sonnet))?;
    /// # let _ = layer;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_ladder_for(
        self,
        primary: impl Into<Rung>,
        ladder: Ladder,
    ) -> Result<Self, InvalidLadder> {
        let entry = (primary.into(), Built::of(ladder)?);
        Ok(self.change(|config| config.ladders.push(entry)))
    }

    /// The region that calls without one go to: that of the innermost service. Without it, such a
    /// call is not known to be where any named region is, so that it may not go to one.
    #[must_use]
    pub fn with_home_region(self, region: impl Into<Region>) -> Self {
        let region = region.into();
        self.change(|config| config.rules.home = Some(region))
    }

    /// Lets the data of calls be processed within this area around their own region, and no further,
    /// instead of the default. A call may narrow it for itself, never widen it.
    #[must_use]
    pub fn with_residency(self, widest: Residency) -> Self {
        self.change(|config| config.rules.residency = Some(widest))
    }

    /// Whether calls may take routes of which it is not known where they are processed; off by
    /// default. Such are application inference profiles, prompt routers, prompts and bare names, and
    /// regions that this version does not know. What is known of a route, its region or its profile,
    /// must lie in the allowed area all the same, and its partition be the call's.
    #[must_use]
    pub fn with_unknown_areas(self, allowed: bool) -> Self {
        self.change(|config| config.rules.allows_unknown_areas = allowed)
    }

    /// Moves on as the [`next_route`](crate::Reaction::next_route) of `reactions` says instead of
    /// the default table. Give the same table to [`RetryLayer`](crate::RetryLayer).
    #[must_use]
    pub fn with_reactions(self, reactions: Reactions) -> Self {
        self.change(|config| config.reactions = reactions)
    }

    /// Asks `gate` of every route before a call is sent there, beside those that were added before:
    /// give it clones of the [`CircuitBreakers`](crate::CircuitBreakers) and the
    /// [`Quotas`](crate::Quotas) of the layers below.
    #[must_use]
    pub fn with_gate(self, gate: impl RouteGate) -> Self {
        let gate = Arc::new(gate);
        self.change(|config| config.gates.push(gate))
    }

    /// How long a call rather waits for an earlier route than takes a later one that is free now;
    /// zero by default. It holds for the line of a quota and that of a pool alike. More keeps calls
    /// with their own model and their prompt caches, and slower.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        self.change(|config| config.patience = patience)
    }

    /// Tells the context window of a model in tokens, by any of its ids. A call that does not fit a
    /// model's window ([`ContextTooLong`](crate::Cause::ContextTooLong)) moves on only to a model
    /// with a larger one, both of which must have been told: nothing is assumed.
    #[must_use]
    pub fn with_context_window(self, model: &ModelId, tokens: u32) -> Self {
        let name: Arc<str> = model.base_model().unwrap_or(model.as_str()).into();
        self.change(|config| {
            let windows = &mut config.rules.windows;
            windows.retain(|(known, _)| *known != name);
            windows.push((name, tokens));
        })
    }

    /// Draws the calls of a [warm share](Ladder::with_warm_share) from `jitter`.
    #[must_use]
    pub fn with_jitter(self, jitter: Jitter) -> Self {
        self.change(|config| config.jitter = jitter)
    }

    /// Tells `listener` of every decision, on the task that makes it. It must not block. Listeners
    /// that were added before hear first.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{FallbackEvent, FallbackLayer, Ladder};
    ///
    /// let layer = FallbackLayer::new(Ladder::regions(["us-west-2"]))?.on_event(|event| {
    ///     if let FallbackEvent::Moved { from, to, cause, .. } = event {
    ///         eprintln!("{from} -> {to}: {cause:?}");
    ///     }
    /// });
    /// # let _ = layer;
    /// # Ok::<(), tower_bedrock::InvalidLadder>(())
    /// ```
    #[must_use]
    pub fn on_event<F>(self, listener: F) -> Self
    where
        F: Fn(&FallbackEvent<'_>) + Send + Sync + 'static,
    {
        self.change(|config| {
            config.listener = Some(match config.listener.take() {
                Some(first) => Arc::new(move |event: &FallbackEvent<'_>| {
                    first(event);
                    listener(event);
                }),
                None => Arc::new(listener),
            });
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Config)) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.plans = Plans::default();
        change(config);
        self
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = Fallback<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared {
            config: Arc::clone(&self.config),
            template: Template::default(),
        };
        Fallback {
            inner,
            shared: Arc::new(Held::new(shared)),
        }
    }
}

impl<S> Fallback<S> {
    /// Sends the calls that `inner` fails along `ladder`, with the defaults of
    /// [`FallbackLayer::new`].
    ///
    /// # Errors
    ///
    /// [`InvalidLadder`] says what cannot be meant.
    pub fn new(inner: S, ladder: Ladder) -> Result<Self, InvalidLadder> {
        Ok(FallbackLayer::new(ladder)?.layer(inner))
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed. Calls by this clone, and by those that are made of it, then move
    /// on to it as it is changed.
    pub fn get_mut(&mut self) -> &mut S {
        self.shared = Arc::new(Held::new(Shared {
            config: Arc::clone(&self.shared.config),
            template: Template::default(),
        }));
        &mut self.inner
    }

    /// Takes the inner service out.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R> Service<R> for Fallback<S>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Response: BedrockResponse,
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

impl<S: Clone> Clone for Fallback<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for FallbackLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackLayer")
            .field("config", &self.config)
            .finish()
    }
}

impl<S: fmt::Debug> fmt::Debug for Fallback<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("inner", &self.inner)
            .field("config", &self.shared.config)
            .finish()
    }
}
