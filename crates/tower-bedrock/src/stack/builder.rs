use std::{fmt, sync::Arc, time::Duration};

use tower_layer::Layer;

use super::{
    error::InvalidStack,
    layer::{Shared, StackLayer},
    meter::{MeteredAttempts, MeteredCalls, meters},
    part::{Parts, Plan},
    service::Stack,
    traces::{TracedAttempts, TracedCalls, traces},
};
#[cfg(feature = "cache")]
use crate::cache::CacheLayer;
#[cfg(feature = "metrics")]
use crate::metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics};
use crate::{
    cause::Reactions,
    circuit_breaker::{CircuitBreakerLayer, CircuitBreakers},
    classify::ClassifyLayer,
    coalesce::CoalesceLayer,
    fallback::FallbackLayer,
    pool::{PoolLayer, Pools},
    quotas::Listing,
    retry::RetryLayer,
    route::{Region, Route},
    token_budget::{Quota, Quotas, TokenBudgetLayer},
};

/// An inference may take an hour (BEDROCK.md §7).
const TIMEOUT: Duration = Duration::from_secs(3600);

/// The layers of a stack from which nothing was left out, outermost first. `()` stands in the places of
/// the cache and of what shares attempts, which a stack has only if it is given them, and without the
/// features `metrics` and `tracing` in those of the layers that count and that lay spans.
pub type DefaultLayers = (
    TracedCalls,
    MeteredCalls,
    (),
    (),
    FallbackLayer,
    RetryLayer,
    TracedAttempts,
    CircuitBreakerLayer,
    TokenBudgetLayer,
    PoolLayer,
    MeteredAttempts,
    ClassifyLayer,
);

/// Builds a [`Stack`]: every layer can be replaced or left out, and what they have to know of each
/// other they are told in the end.
///
/// * The fallback knows the home region, and asks circuits, quotas and pools of a route before it
///   sends a call there.
/// * Quotas, circuits and pools count calls without a region as calls to the home region. Those that
///   the builder is given have to do so by themselves.
/// * [`reactions`](Self::reactions) gives one table to all.
///
/// # Example
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use tower_bedrock::{
///     CircuitBreakers, CircuitPolicy, FallbackLayer, Ladder, RetryLayer, Rung, Stack,
/// };
///
/// # fn example<S>(service: S) -> Result<(), Box<dyn std::error::Error>> {
/// let patient = CircuitPolicy::new().with_failure_rate(0.8);
/// let stack = Stack::over(service, "us-east-1")
///     .fallback(FallbackLayer::new(
///         Ladder::new().then(Rung::in_region("us-west-2").with_max_per_second(10.0)),
///     )?)
///     .retry(RetryLayer::new().with_max_attempts(NonZeroU32::new(4).unwrap()))
///     .circuit_breaker(
///         CircuitBreakers::new()
///             .with_home_region("us-east-1")
///             .with_policy(patient)?,
///     )
///     .without_token_budget()
///     .timeout(Duration::from_secs(120))
///     .build()?;
/// assert!(stack.quotas().is_none());
/// # Ok(())
/// # }
/// # example(()).unwrap();
/// ```
#[must_use = "a builder does nothing until it builds"]
#[derive(Clone)]
pub struct StackBuilder<S, L = DefaultLayers> {
    service: S,
    layers: L,
    plan: Plan,
    timeout: Option<Duration>,
    attempt_timeout: Option<Duration>,
}

impl<S> StackBuilder<S> {
    pub(super) fn new(service: S, home: Option<Region>) -> Self {
        let mut quotas = Quotas::new();
        let mut breakers = CircuitBreakers::new();
        let mut pools = Pools::new();
        if let Some(home) = &home {
            quotas = quotas.with_home_region(home.clone());
            breakers = breakers.with_home_region(home.clone());
            pools = pools.with_home_region(home.clone());
        }
        let (calls, attempts) = meters(home.as_ref());
        let (traced_calls, traced_attempts) = traces();
        let layers = (
            traced_calls,
            calls,
            (),
            (),
            FallbackLayer::default(),
            RetryLayer::new(),
            traced_attempts,
            CircuitBreakerLayer::new(breakers),
            TokenBudgetLayer::new(quotas),
            PoolLayer::new(pools),
            attempts,
            ClassifyLayer::new(),
        );
        Self {
            service,
            layers,
            plan: Plan {
                home,
                reactions: None,
                owns_breakers: true,
                quotas: Vec::new(),
                listing: None,
            },
            timeout: Some(TIMEOUT),
            attempt_timeout: None,
        }
    }
}

// A type for each place: the layers of a stack are a matter of its type.
#[allow(clippy::type_complexity)]
impl<S, O, M, H, J, F, R, I, C, T, P, A, K> StackBuilder<S, (O, M, H, J, F, R, I, C, T, P, A, K)> {
    /// Sets the quota that calls to `route` draw on, as [`Quotas::set`] does. What is not set is
    /// learned from refusals.
    pub fn quota(mut self, route: Route, quota: Quota) -> Self {
        self.plan.quotas.push((route, quota));
        self
    }

    /// Goes by what the account was found to be allowed, as [`Quotas::adopt`] does. Quotas that are
    /// set by hand count for more.
    pub fn listing(mut self, listing: Listing) -> Self {
        self.plan.listing = Some(listing);
        self
    }

    /// Reacts to causes as `reactions` say instead of the default table, in all layers. Circuits that
    /// the builder is given keep their own.
    pub fn reactions(mut self, reactions: Reactions) -> Self {
        self.plan.reactions = Some(reactions);
        self
    }

    /// Gives calls without a deadline one so long after they are made; an hour by default. It holds
    /// for a stream until its end.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Leaves calls without a deadline without one: a connection that hangs keeps its places until
    /// somebody drops the call.
    pub const fn without_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// Gives up a single attempt that takes longer than `timeout`: to the end of a whole answer, to the
    /// first content of a stream. A region that accepts calls and never answers then costs a call
    /// that long, and not its deadline, before it goes to the next route.
    ///
    /// None by default: how long a whole answer takes depends on how many tokens it has, and one that is
    /// cut may be billed all the same. It fails with [`Cause::Timeout`](crate::Cause::Timeout), which
    /// is retried on the same route only if the retry layer is told to, and slow for its circuit.
    ///
    /// The service keeps it: [`Bedrock`](crate::Bedrock), and what is installed in the SDK, do. Others
    /// find it in [`CallContext::attempt_timeout`](crate::CallContext::attempt_timeout).
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Counts in `metrics` instead of the stack's own: with other bounds, tenants, or a label of its
    /// own. They are told the home region unless they know one.
    #[cfg(feature = "metrics")]
    pub fn metrics(
        self,
        metrics: Metrics,
    ) -> StackBuilder<
        S,
        (
            O,
            CallMetricsLayer,
            H,
            J,
            F,
            R,
            I,
            C,
            T,
            P,
            AttemptMetricsLayer,
            K,
        ),
    > {
        let metrics = match (metrics.home_region(), &self.plan.home) {
            (None, Some(home)) => metrics.with_home_region(home.clone()),
            _ => metrics,
        };
        let calls = CallMetricsLayer::new(metrics.clone());
        let attempts = AttemptMetricsLayer::new(metrics);
        self.change(|(o, _, h, j, f, r, i, c, t, p, _, k)| {
            (o, calls, h, j, f, r, i, c, t, p, attempts, k)
        })
    }

    /// Counts nothing.
    pub fn without_metrics(self) -> StackBuilder<S, (O, (), H, J, F, R, I, C, T, P, (), K)> {
        self.change(|(o, _, h, j, f, r, i, c, t, p, _, k)| (o, (), h, j, f, r, i, c, t, p, (), k))
    }

    /// Answers calls out of memory that were answered before, as `layer` says. Where calls without a
    /// region go it is told.
    #[cfg(feature = "cache")]
    pub fn cache(
        self,
        layer: CacheLayer,
    ) -> StackBuilder<S, (O, M, CacheLayer, J, F, R, I, C, T, P, A, K)> {
        self.change(|(o, m, _, j, f, r, i, c, t, p, a, k)| (o, m, layer, j, f, r, i, c, t, p, a, k))
    }

    /// Has calls that are the same share attempts, as `layer` says. Where calls without a region go it
    /// is told.
    pub fn coalesce(
        self,
        layer: CoalesceLayer,
    ) -> StackBuilder<S, (O, M, H, CoalesceLayer, F, R, I, C, T, P, A, K)> {
        self.change(|(o, m, h, _, f, r, i, c, t, p, a, k)| (o, m, h, layer, f, r, i, c, t, p, a, k))
    }

    /// Sends calls that fail along the ladders of `layer`.
    pub fn fallback(
        self,
        layer: FallbackLayer,
    ) -> StackBuilder<S, (O, M, H, J, FallbackLayer, R, I, C, T, P, A, K)> {
        self.change(|(o, m, h, j, _, r, i, c, t, p, a, k)| (o, m, h, j, layer, r, i, c, t, p, a, k))
    }

    /// Leaves calls on their own route, and does not look at where their data may be processed.
    pub fn without_fallback(self) -> StackBuilder<S, (O, M, H, J, (), R, I, C, T, P, A, K)> {
        self.change(|(o, m, h, j, _, r, i, c, t, p, a, k)| (o, m, h, j, (), r, i, c, t, p, a, k))
    }

    /// Makes failed calls again as `layer` says.
    pub fn retry(
        self,
        layer: RetryLayer,
    ) -> StackBuilder<S, (O, M, H, J, F, RetryLayer, I, C, T, P, A, K)> {
        self.change(|(o, m, h, j, f, _, i, c, t, p, a, k)| (o, m, h, j, f, layer, i, c, t, p, a, k))
    }

    /// Makes no call again.
    pub fn without_retry(self) -> StackBuilder<S, (O, M, H, J, F, (), I, C, T, P, A, K)> {
        self.change(|(o, m, h, j, f, _, i, c, t, p, a, k)| (o, m, h, j, f, (), i, c, t, p, a, k))
    }

    /// Lets calls through as `breakers` say. They must know the home region.
    pub fn circuit_breaker(
        mut self,
        breakers: CircuitBreakers,
    ) -> StackBuilder<S, (O, M, H, J, F, R, I, CircuitBreakerLayer, T, P, A, K)> {
        self.plan.owns_breakers = false;
        self.change(|(o, m, h, j, f, r, i, _, t, p, a, k)| {
            (
                o,
                m,
                h,
                j,
                f,
                r,
                i,
                CircuitBreakerLayer::new(breakers),
                t,
                p,
                a,
                k,
            )
        })
    }

    /// Sends calls to routes that are known to be sick, too.
    pub fn without_circuit_breaker(self) -> StackBuilder<S, (O, M, H, J, F, R, I, (), T, P, A, K)> {
        self.change(|(o, m, h, j, f, r, i, _, t, p, a, k)| (o, m, h, j, f, r, i, (), t, p, a, k))
    }

    /// Keeps calls under the quotas of `layer`. They must know the home region.
    pub fn token_budget<E>(
        self,
        layer: TokenBudgetLayer<E>,
    ) -> StackBuilder<S, (O, M, H, J, F, R, I, C, TokenBudgetLayer<E>, P, A, K)> {
        self.change(|(o, m, h, j, f, r, i, c, _, p, a, k)| (o, m, h, j, f, r, i, c, layer, p, a, k))
    }

    /// Sends calls whatever the account's quotas are.
    pub fn without_token_budget(self) -> StackBuilder<S, (O, M, H, J, F, R, I, C, (), P, A, K)> {
        self.change(|(o, m, h, j, f, r, i, c, _, p, a, k)| (o, m, h, j, f, r, i, c, (), p, a, k))
    }

    /// Keeps as many calls in flight as `pools` say. They must know the home region.
    pub fn pool(
        self,
        pools: Pools,
    ) -> StackBuilder<S, (O, M, H, J, F, R, I, C, T, PoolLayer, A, K)> {
        self.change(|(o, m, h, j, f, r, i, c, t, _, a, k)| {
            (o, m, h, j, f, r, i, c, t, PoolLayer::new(pools), a, k)
        })
    }

    /// Sends as many calls at a time as there are.
    pub fn without_pool(self) -> StackBuilder<S, (O, M, H, J, F, R, I, C, T, (), A, K)> {
        self.change(|(o, m, h, j, f, r, i, c, t, _, a, k)| (o, m, h, j, f, r, i, c, t, (), a, k))
    }

    /// Finds causes as `layer` does.
    pub fn classify(
        self,
        layer: ClassifyLayer,
    ) -> StackBuilder<S, (O, M, H, J, F, R, I, C, T, P, A, ClassifyLayer)> {
        self.change(|(o, m, h, j, f, r, i, c, t, p, a, _)| (o, m, h, j, f, r, i, c, t, p, a, layer))
    }

    /// Leaves errors to a service that finds their causes itself.
    pub fn without_classify(self) -> StackBuilder<S, (O, M, H, J, F, R, I, C, T, P, A, ())> {
        self.change(|(o, m, h, j, f, r, i, c, t, p, a, _)| (o, m, h, j, f, r, i, c, t, p, a, ()))
    }

    /// Lays no spans around calls and attempts. What the layers decide is told as events all the same,
    /// which can be filtered by their targets.
    pub fn without_tracing(self) -> StackBuilder<S, ((), M, H, J, F, R, (), C, T, P, A, K)> {
        self.change(|(_, m, h, j, f, r, _, c, t, p, a, k)| ((), m, h, j, f, r, (), c, t, p, a, k))
    }

    /// Writes into the spans of calls on whose behalf they are made, as
    /// [`TraceLayer::with_tenants`](crate::TraceLayer::with_tenants) says.
    #[cfg(feature = "tracing")]
    pub fn trace_tenants(self) -> StackBuilder<S, (TracedCalls, M, H, J, F, R, I, C, T, P, A, K)> {
        let o = TracedCalls::calls().with_tenants();
        self.change(|(_, m, h, j, f, r, i, c, t, p, a, k)| (o, m, h, j, f, r, i, c, t, p, a, k))
    }

    fn change<L>(
        self,
        change: impl FnOnce((O, M, H, J, F, R, I, C, T, P, A, K)) -> L,
    ) -> StackBuilder<S, L> {
        StackBuilder {
            service: self.service,
            layers: change(self.layers),
            plan: self.plan,
            timeout: self.timeout,
            attempt_timeout: self.attempt_timeout,
        }
    }
}

impl<S, L: Parts> StackBuilder<S, L> {
    /// Wires the layers and lays them around the service.
    ///
    /// # Errors
    ///
    /// [`InvalidStack`] says what cannot be meant.
    pub fn build(self) -> Result<Stack<L::Service>, InvalidStack>
    where
        L: Layer<S>,
    {
        let (layer, service) = self.wire()?;
        Ok(layer.layer(service))
    }

    /// Wires the layers, to be laid around another service or around several.
    ///
    /// # Errors
    ///
    /// [`InvalidStack`] says what cannot be meant.
    pub fn build_layer(self) -> Result<StackLayer<L>, InvalidStack> {
        Ok(self.wire()?.0)
    }

    fn wire(self) -> Result<(StackLayer<L>, S), InvalidStack> {
        let (layers, handles) = self.layers.wired(self.plan)?;
        let shared = Arc::new(Shared {
            handles,
            timeout: self.timeout,
            attempt_timeout: self.attempt_timeout,
        });
        Ok((StackLayer { layers, shared }, self.service))
    }
}

impl<S, L: fmt::Debug> fmt::Debug for StackBuilder<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackBuilder")
            .field("layers", &self.layers)
            .field("home_region", &self.plan.home)
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}
