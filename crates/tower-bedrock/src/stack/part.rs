//! What a stack knows of its layers.

use super::error::InvalidStack;
#[cfg(feature = "cache")]
use crate::cache::{CacheLayer, CacheStore};
#[cfg(feature = "metrics")]
use crate::metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics, MetricsReporter};
use crate::{
    cause::Reactions,
    circuit_breaker::{CircuitBreakerLayer, CircuitBreakers},
    classify::ClassifyLayer,
    coalesce::CoalesceLayer,
    fallback::FallbackLayer,
    pool::{PoolLayer, Pools},
    quotas::Listing,
    retry::{RetryBudget, RetryLayer},
    route::{Region, Route},
    token_budget::{Quota, Quotas, TokenBudgetLayer},
};

/// A layer at its place in a [`Stack`](super::Stack), or `()` for none.
///
/// Not nameable outside of the crate, so that layers may come to know more of each other.
#[allow(unnameable_types)]
pub trait Part: Sized {
    /// The same layer with another table.
    fn reacting(self, _: &Reactions) -> Self {
        self
    }

    /// Hands out what can be read of the layer and done by hand.
    fn show(&self, _: &mut Handles) {}

    /// The same layer, knowing the others.
    fn wired(self, _: Option<&Region>, _: &Handles) -> Self {
        self
    }

    /// The same layer, telling `metrics`.
    #[cfg(feature = "metrics")]
    fn observed(self, _: &Metrics) -> Self {
        self
    }
}

/// The layers of a stack, outermost first.
#[allow(unnameable_types)]
pub trait Parts: Sized {
    /// The layers as `plan` says, knowing each other.
    fn wired(self, plan: Plan) -> Result<(Self, Handles), InvalidStack>;
}

/// What a stack is to be like beside its layers.
#[allow(unnameable_types)]
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) home: Option<Region>,
    pub(super) reactions: Option<Reactions>,
    /// Whether the circuits are the builder's own, so that it may change how they are made.
    pub(super) owns_breakers: bool,
    pub(super) quotas: Vec<(Route, Quota)>,
    pub(super) listing: Option<Listing>,
}

/// What can be read of a stack, and done by hand.
#[allow(unnameable_types)]
#[derive(Clone, Debug, Default)]
pub struct Handles {
    #[cfg(feature = "cache")]
    pub(super) cache: Option<CacheStore>,
    pub(super) retry_budget: Option<RetryBudget>,
    pub(super) breakers: Option<CircuitBreakers>,
    pub(super) quotas: Option<Quotas>,
    pub(super) pools: Option<Pools>,
    #[cfg(feature = "metrics")]
    pub(super) metrics: Option<Metrics>,
    #[cfg(feature = "metrics")]
    pub(super) reporter: Option<MetricsReporter>,
}

/// What a stack and its layer hand out.
macro_rules! handles {
    () => {
        /// The answers that are kept; `None` without a cache.
        #[cfg(feature = "cache")]
        pub fn cache(&self) -> Option<&$crate::CacheStore> {
            self.shared.handles.cache.as_ref()
        }

        /// The quotas that calls are kept under; `None` without a token budget.
        pub fn quotas(&self) -> Option<&$crate::Quotas> {
            self.shared.handles.quotas.as_ref()
        }

        /// The circuits of the routes; `None` without a circuit breaker.
        pub fn breakers(&self) -> Option<&$crate::CircuitBreakers> {
            self.shared.handles.breakers.as_ref()
        }

        /// The pools of what is in flight; `None` without a pool.
        pub fn pools(&self) -> Option<&$crate::Pools> {
            self.shared.handles.pools.as_ref()
        }

        /// The budget that pays for retries; `None` without retries.
        pub fn retry_budget(&self) -> Option<&$crate::RetryBudget> {
            self.shared.handles.retry_budget.as_ref()
        }

        /// What reports the state of quotas, circuits, pools and retry budget as gauges; `None`
        /// without metrics.
        #[cfg(feature = "metrics")]
        pub fn metrics_reporter(&self) -> Option<&$crate::metrics::MetricsReporter> {
            self.shared.handles.reporter.as_ref()
        }

        /// Sets all gauges to what is true now, as
        /// [`MetricsReporter::report`](crate::metrics::MetricsReporter::report) does. Nothing does so
        /// by itself: call it before each scrape. Without metrics it does nothing.
        #[cfg(feature = "metrics")]
        pub fn report_metrics(&self) {
            if let Some(reporter) = self.metrics_reporter() {
                reporter.report();
            }
        }
    };
}

pub(super) use handles;

impl Part for () {}

#[cfg(feature = "cache")]
impl Part for CacheLayer {
    fn show(&self, handles: &mut Handles) {
        handles.cache = Some(self.store().clone());
    }

    fn wired(self, home: Option<&Region>, _: &Handles) -> Self {
        match home {
            Some(home) => self.with_home_region(home.clone()),
            None => self,
        }
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.on_event(metrics.on_cache())
    }
}

impl Part for CoalesceLayer {
    fn wired(self, home: Option<&Region>, _: &Handles) -> Self {
        match home {
            Some(home) => self.with_home_region(home.clone()),
            None => self,
        }
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.on_event(metrics.on_coalesce())
    }
}

impl Part for FallbackLayer {
    fn reacting(self, reactions: &Reactions) -> Self {
        self.with_reactions(reactions.clone())
    }

    fn wired(mut self, home: Option<&Region>, handles: &Handles) -> Self {
        if let Some(home) = home {
            self = self.with_home_region(home.clone());
        }
        if let Some(breakers) = &handles.breakers {
            self = self.with_gate(breakers.clone());
        }
        if let Some(quotas) = &handles.quotas {
            self = self.with_gate(quotas.clone());
        }
        if let Some(pools) = &handles.pools {
            self = self.with_gate(pools.clone());
        }
        self
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.on_event(metrics.on_fallback())
    }
}

impl Part for RetryLayer {
    fn reacting(self, reactions: &Reactions) -> Self {
        self.with_reactions(reactions.clone())
    }

    fn show(&self, handles: &mut Handles) {
        handles.retry_budget = Some(self.budget().clone());
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.on_event(metrics.on_retry())
    }
}

impl Part for CircuitBreakerLayer {
    fn reacting(self, reactions: &Reactions) -> Self {
        let breakers = self.breakers().clone();
        Self::new(breakers.with_reactions(reactions.clone()))
    }

    fn show(&self, handles: &mut Handles) {
        handles.breakers = Some(self.breakers().clone());
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.breakers().observe(metrics.on_circuit());
        self
    }
}

impl<E> Part for TokenBudgetLayer<E> {
    fn reacting(self, reactions: &Reactions) -> Self {
        self.with_reactions(reactions.clone())
    }

    fn show(&self, handles: &mut Handles) {
        handles.quotas = Some(self.quotas().clone());
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.on_event(metrics.on_token_budget())
    }
}

impl Part for PoolLayer {
    fn show(&self, handles: &mut Handles) {
        handles.pools = Some(self.pools().clone());
    }

    #[cfg(feature = "metrics")]
    fn observed(self, metrics: &Metrics) -> Self {
        self.pools().observe(metrics.on_pool());
        self
    }
}

impl Part for ClassifyLayer {}

#[cfg(feature = "metrics")]
impl Part for CallMetricsLayer {
    fn show(&self, handles: &mut Handles) {
        handles.metrics = Some(self.metrics().clone());
    }
}

#[cfg(feature = "metrics")]
impl Part for AttemptMetricsLayer {}

#[cfg(feature = "tracing")]
impl Part for crate::trace::TraceLayer {}

impl<O, M, H, J, F, R, I, C, T, P, A, K> Parts for (O, M, H, J, F, R, I, C, T, P, A, K)
where
    M: Part,
    H: Part,
    J: Part,
    F: Part,
    R: Part,
    C: Part,
    T: Part,
    P: Part,
    A: Part,
    K: Part,
{
    fn wired(self, plan: Plan) -> Result<(Self, Handles), InvalidStack> {
        let (
            traced_calls,
            calls,
            cache,
            coalesce,
            mut fallback,
            mut retry,
            traced_attempts,
            mut breaker,
            mut budget,
            pool,
            attempts,
            classify,
        ) = self;
        if let Some(reactions) = &plan.reactions {
            fallback = fallback.reacting(reactions);
            retry = retry.reacting(reactions);
            budget = budget.reacting(reactions);
            if plan.owns_breakers {
                breaker = breaker.reacting(reactions);
            }
        }
        let mut handles = Handles::default();
        cache.show(&mut handles);
        retry.show(&mut handles);
        breaker.show(&mut handles);
        budget.show(&mut handles);
        pool.show(&mut handles);
        if let Some(home) = &plan.home {
            handles.check(home)?;
        }
        handles.set(plan.quotas)?;
        if let Some(listing) = plan.listing {
            let quotas = handles.quotas.as_ref();
            quotas
                .ok_or(InvalidStack::NoTokenBudgetForListing)?
                .adopt(listing);
        }
        let cache = cache.wired(plan.home.as_ref(), &handles);
        let coalesce = coalesce.wired(plan.home.as_ref(), &handles);
        let fallback = fallback.wired(plan.home.as_ref(), &handles);
        #[cfg(feature = "metrics")]
        calls.show(&mut handles);
        #[cfg(feature = "metrics")]
        let (cache, coalesce, fallback, retry, breaker, budget, pool) = match handles.observed() {
            Some(metrics) => (
                cache.observed(&metrics),
                coalesce.observed(&metrics),
                fallback.observed(&metrics),
                retry.observed(&metrics),
                breaker.observed(&metrics),
                budget.observed(&metrics),
                pool.observed(&metrics),
            ),
            None => (cache, coalesce, fallback, retry, breaker, budget, pool),
        };
        let layers = (
            traced_calls,
            calls,
            cache,
            coalesce,
            fallback,
            retry,
            traced_attempts,
            breaker,
            budget,
            pool,
            attempts,
            classify,
        );
        Ok((layers, handles))
    }
}

impl Handles {
    /// Whether all count calls without a region as calls to `home`.
    pub(super) fn check(&self, home: &Region) -> Result<(), InvalidStack> {
        let breakers = self.breakers.as_ref().map(CircuitBreakers::home_region);
        let quotas = self.quotas.as_ref().map(Quotas::home_region);
        let pools = self.pools.as_ref().map(Pools::home_region);
        for (part, region) in [
            ("circuit breakers", breakers),
            ("quotas", quotas),
            ("pools", pools),
        ] {
            match region {
                Some(region) if region != Some(home) => {
                    return Err(InvalidStack::HomeRegion {
                        part,
                        region: region.cloned(),
                        home: home.clone(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Has what there is to look at reported to the metrics, if there are any.
    #[cfg(feature = "metrics")]
    fn observed(&mut self) -> Option<Metrics> {
        let metrics = self.metrics.clone()?;
        let mut reporter = MetricsReporter::new(metrics.clone());
        if let Some(quotas) = &self.quotas {
            reporter = reporter.with_quotas(quotas.clone());
        }
        if let Some(breakers) = &self.breakers {
            reporter = reporter.with_breakers(breakers.clone());
        }
        if let Some(pools) = &self.pools {
            reporter = reporter.with_pools(pools.clone());
        }
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.cache {
            reporter = reporter.with_cache(cache.clone());
        }
        if let Some(budget) = &self.retry_budget {
            reporter = reporter.with_retry_budget(budget.clone());
        }
        self.reporter = Some(reporter);
        Some(metrics)
    }

    pub(super) fn set(&self, quotas: Vec<(Route, Quota)>) -> Result<(), InvalidStack> {
        for (route, quota) in quotas {
            let Some(quotas) = &self.quotas else {
                return Err(InvalidStack::NoTokenBudget { route });
            };
            if let Err(invalid) = quotas.set(&route, quota) {
                return Err(InvalidStack::Quota { route, invalid });
            }
        }
        Ok(())
    }
}
