use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rand::RngExt as _;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    choice::{Chooser, Progress},
    error::{NoRouteAllowed, SkipReason, SkippedRoute},
    event::FallbackEvent,
    future::ResponseFuture,
    ladder::{InvalidLadder, Ladder, Rung, Step},
    rules::{Routes, Rules},
};
use crate::{
    call::{BedrockRequest, CallContext},
    cause::{NextRoute, Reactions, RetryReaction},
    error::Error,
    model_id::{ModelId, Residency},
    reply::BedrockResponse,
    retry::Jitter,
    route::Region,
    route_gate::RouteGate,
};

type Listener = dyn Fn(&FallbackEvent<'_>) + Send + Sync;

/// Sends a call that fails on its own route, the primary, along a [`Ladder`] of others: another
/// region, a wider profile, another model, another tier.
///
/// A call moves on when its [`Cause`](crate::Cause) says that another route may help
/// ([`NextRoute`]): at once where waiting does not help, as for an overloaded model, else when the
/// retries below are spent. Each route is tried at most once for a call, all under its one deadline
/// and its own [`max_attempts`](crate::RetryOverride::max_attempts), and each is admitted by its own
/// circuit, quota and pool below. The primary is always asked first, so calls return to it as soon as
/// it is well.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     CallContext, Cause, Error, FallbackLayer, Ladder, Operation, Request, BedrockRequest, Response, RetryLayer,
///     Route, Served,
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
#[derive(Clone)]
pub struct Fallback<S> {
    inner: S,
    config: Arc<Config>,
}

#[derive(Clone, Default)]
pub(super) struct Config {
    rules: Rules,
    ladder: Built,
    /// Ladders of their own, for the routes that they match.
    ladders: Vec<(Rung, Built)>,
    reactions: Reactions,
    gates: Vec<Arc<dyn RouteGate>>,
    patience: Duration,
    jitter: Jitter,
    listener: Option<Arc<Listener>>,
}

/// A ladder that was checked.
#[derive(Clone, Default)]
struct Built {
    steps: Arc<[Step]>,
    warm_share: f64,
    has_caps: bool,
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
    /// regions that this version does not know. The endpoint of the route must lie in the allowed
    /// area all the same, unless its region is not known either; never in another partition.
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

    /// Asks `gate` of every route before a call is sent there, beside those that were added before.
    #[must_use]
    pub fn with_gate(self, gate: impl RouteGate) -> Self {
        let gate = Arc::new(gate);
        self.change(|config| config.gates.push(gate))
    }

    /// How long a call rather waits for an earlier route than takes a later one that is free now;
    /// zero by default.
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
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = Fallback<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Fallback {
            inner,
            config: Arc::clone(&self.config),
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

    inner_service_accessors!();
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

    fn call(&mut self, request: R) -> Self::Future {
        // The instance that was made ready must be the one that is called.
        let next = self.inner.clone();
        let ready = mem::replace(&mut self.inner, next);
        ResponseFuture::new(ready, request, Arc::clone(&self.config))
    }
}

impl Built {
    fn of(ladder: Ladder) -> Result<Self, InvalidLadder> {
        let warm_share = ladder.warm_share;
        let steps = ladder.into_steps()?;
        Ok(Self {
            has_caps: steps.iter().any(|step| step.cap.is_some()),
            warm_share,
            steps: steps.into(),
        })
    }
}

impl Config {
    fn ladder(&self, call: &CallContext) -> &Built {
        let home = self.rules.home.as_ref();
        let own = self
            .ladders
            .iter()
            .find(|(primary, _)| primary.matches(&call.route, home));
        own.map_or(&self.ladder, |(_, ladder)| ladder)
    }

    pub(super) fn chooser<'a>(&'a self, call: &'a CallContext) -> Chooser<'a> {
        let ladder = self.ladder(call);
        let asks = ladder.has_caps || !self.gates.is_empty();
        Chooser {
            routes: Routes::of(&self.rules, &ladder.steps, call),
            gates: &self.gates,
            patience: self.patience,
            now: asks.then(Instant::now),
        }
    }

    /// How a call begins.
    ///
    /// # Errors
    ///
    /// If its own route breaks the limits of where its data may be processed.
    pub(super) fn begin(&self, call: &CallContext) -> Result<Progress, NoRouteAllowed> {
        if let Some(limit) = self.rules.broken_limit(call) {
            let own = SkippedRoute {
                route: call.route.clone(),
                reason: SkipReason::Residency,
            };
            return Err(NoRouteAllowed::new(limit, vec![own]));
        }
        let share = self.ladder(call).warm_share;
        let mut progress = Progress::default();
        if share > 0.0 && !call.fallback.is_disabled {
            progress.is_warm = self.jitter.with(|rng| rng.random_bool(share));
        }
        Ok(progress)
    }

    /// Whether another route might answer a call that failed with `error`.
    pub(super) fn moves_on(&self, call: &CallContext, error: &Error) -> bool {
        let reaction = self.reactions.of(error);
        let is_unwanted = matches!(reaction.retry, RetryReaction::BackoffIfAllowed { .. })
            && call.retry.retry_timeouts == Some(false);
        !call.fallback.is_disabled && reaction.next_route != NextRoute::Never && !is_unwanted
    }

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) const fn has_listener(&self) -> bool {
        self.listener.is_some()
    }

    pub(super) fn tell(&self, event: &FallbackEvent<'_>) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.steps.iter().map(|step| step.rung.to_string()))
            .finish()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("rules", &self.rules)
            .field("ladder", &self.ladder)
            .field("ladders", &self.ladders)
            .field("gates", &self.gates.len())
            .field("patience", &self.patience)
            .field("listener", &self.listener.is_some())
            .finish_non_exhaustive()
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
            .field("config", &self.config)
            .finish()
    }
}
