//! The layers of a row, the same for both faces.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

use tower::{Layer, Service, util::BoxCloneSyncService};
use tower_bedrock::{
    BedrockRequest, BedrockResponse, CircuitBreakerLayer, CircuitBreakers, CircuitPolicy,
    ClassifyLayer, Error, FallbackLayer, Jitter, Ladder, PoolLayer, Pools, Quota, Quotas, RawError,
    RetryEvent, RetryLayer, Route, StackLayer, TokenBudgetLayer,
    sdk::install::{SdkRequest, SdkResponse, SdkTransport},
};
use tower_bedrock_tests::REGION;

/// Makes the layers of a row anew.
pub(crate) type MakeRig = fn() -> Rig;

/// Layers in their recommended order, some of which are left out. Clones share the layers' state.
#[derive(Clone)]
pub(crate) struct Rig {
    fallback: Option<FallbackLayer>,
    retry: Option<RetryLayer>,
    breaker: Option<CircuitBreakerLayer>,
    budget: Option<TokenBudgetLayer>,
    pool: Option<PoolLayer>,
    pools: Pools,
    quotas: Quotas,
    /// In place of all of them.
    stack: Option<StackLayer>,
    decisions: Arc<Mutex<String>>,
}

impl Rig {
    /// Classify alone: one attempt for each call.
    pub(crate) fn bare() -> Self {
        Self {
            fallback: None,
            retry: None,
            breaker: None,
            budget: None,
            pool: None,
            pools: Pools::new().with_home_region(REGION),
            quotas: Quotas::new().with_home_region(REGION),
            stack: None,
            decisions: Arc::default(),
        }
    }

    /// Retry and classify.
    pub(crate) fn retrying(layer: RetryLayer) -> Self {
        let mut rig = Self::bare();
        let decisions = Arc::clone(&rig.decisions);
        let layer = layer
            .with_jitter(Jitter::seeded(3))
            .on_event(move |event| note(&decisions, *event));
        rig.retry = Some(layer);
        rig
    }

    /// The recommended stack, as its builder makes it, with `ladder` and `quota` for each of `routes`.
    pub(crate) fn stacked<const N: usize>(
        routes: [Route; N],
        quota: &Quota,
        ladder: Ladder,
    ) -> Self {
        let mut rig = Self::retrying(RetryLayer::new());
        let retry = rig.retry.take().expect("it was just put there");
        let fallback = FallbackLayer::new(ladder).expect("a valid ladder");
        let breakers = CircuitBreakers::new()
            .with_home_region(REGION)
            .with_jitter(Jitter::seeded(5));
        let builder = routes
            .into_iter()
            .fold(StackLayer::builder(REGION), |builder, route| {
                builder.quota(route, quota.clone())
            });
        let stack = builder
            .fallback(fallback.with_jitter(Jitter::seeded(7)))
            .retry(retry)
            .circuit_breaker(breakers)
            .build_layer()
            .expect("a valid stack");
        rig.quotas = stack.quotas().expect("it has a budget").clone();
        rig.pools = stack.pools().expect("it has a pool").clone();
        rig.stack = Some(stack);
        rig
    }

    /// A token budget as well, with `quota` for `route`.
    pub(crate) fn budgeted(
        mut self,
        route: &Route,
        quota: Quota,
        layer: impl FnOnce(TokenBudgetLayer) -> TokenBudgetLayer,
    ) -> Self {
        self.quotas.set(route, quota).expect("a valid quota");
        self.budget = Some(layer(TokenBudgetLayer::new(self.quotas.clone())));
        self
    }

    /// A pool as well.
    pub(crate) fn pooled(mut self, change: impl FnOnce(Pools) -> Pools) -> Self {
        self.pools = change(self.pools);
        self.pool = Some(PoolLayer::new(self.pools.clone()));
        self
    }

    /// A circuit breaker as well.
    pub(crate) fn broken_by(mut self, policy: CircuitPolicy) -> Self {
        let breakers = CircuitBreakers::new()
            .with_policy(policy)
            .expect("a valid policy")
            .with_home_region(REGION)
            .with_jitter(Jitter::seeded(5));
        self.breaker = Some(CircuitBreakerLayer::new(breakers));
        self
    }

    /// Other routes as well.
    pub(crate) fn falling_back(
        mut self,
        ladder: Ladder,
        layer: impl FnOnce(FallbackLayer) -> FallbackLayer,
    ) -> Self {
        let fallback = FallbackLayer::new(ladder).expect("a valid ladder");
        self.fallback = Some(layer(fallback.with_home_region(REGION)));
        self
    }

    /// The calls that are in flight or in line in any pool.
    pub(crate) fn in_pools(&self) -> usize {
        let pools = self.pools.snapshot();
        pools.iter().map(|pool| pool.in_flight + pool.waiting).sum()
    }

    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// What the retry layer has decided.
    pub(crate) fn decisions(&self) -> String {
        let decisions = self.decisions.lock();
        decisions.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The layers around `service`.
    pub(crate) fn around<R, S>(&self, service: S) -> BoxCloneSyncService<R, S::Response, Error>
    where
        R: BedrockRequest + Send + Sync + 'static,
        S: Service<R> + Clone + Send + Sync + 'static,
        S::Response: BedrockResponse + Send + 'static,
        S::Error: Into<RawError>,
        S::Future: Send + 'static,
    {
        if let Some(stack) = &self.stack {
            return BoxCloneSyncService::new(stack.layer(service));
        }
        let service = BoxCloneSyncService::new(ClassifyLayer::new().layer(service));
        let service = match &self.pool {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        };
        let service = match &self.budget {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        };
        let service = match &self.breaker {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        };
        let service = match &self.retry {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        };
        match &self.fallback {
            Some(layer) => BoxCloneSyncService::new(layer.layer(service)),
            None => service,
        }
    }
}

impl Layer<SdkTransport> for Rig {
    type Service = BoxCloneSyncService<SdkRequest, SdkResponse, Error>;

    fn layer(&self, transport: SdkTransport) -> Self::Service {
        self.around(transport)
    }
}

fn note(decisions: &Mutex<String>, event: RetryEvent<'_>) {
    let line = match event {
        RetryEvent::Retrying {
            call, error, after, ..
        } => format!("{} {:?}: again in {after:?}", call.attempt, error.cause()),
        RetryEvent::GaveUp {
            call,
            error,
            reason,
            ..
        } => format!("{} {:?}: {reason}", call.attempt, error.cause()),
        RetryEvent::Recovered { call, .. } => format!("{} recovered", call.attempt),
        other => format!("{other:?}"),
    };
    let mut decisions = decisions.lock().unwrap_or_else(PoisonError::into_inner);
    let _infallible = writeln!(decisions, "{line}");
}
