//! The layers, each alone and together, over a probe.

use std::time::Duration;

use tower::{Layer, ServiceBuilder, util::BoxCloneSyncService};
use tower_bedrock::{
    CallContext, CircuitBreakerLayer, CircuitBreakers, CircuitPolicy, ClassifyLayer, Error,
    FallbackLayer, Jitter, Ladder, Operation, PoolKey, PoolLayer, Pools, Quota, Quotas, Request,
    RetryLayer, Route, Rung, Stack, TokenBudgetLayer,
};
use tower_bedrock_tests::{
    MODEL, REGION,
    gauges::Gauges,
    probe::{Probe, Reply},
};

/// The region that calls fall back to.
pub(crate) const SECOND: &str = "us-west-2";

pub(crate) type Service = BoxCloneSyncService<Request<()>, Reply, Error>;

/// Layers over a probe, and what they hold.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) service: Service,
    pub(crate) gauges: Gauges,
    pub(crate) quotas: Quotas,
    pub(crate) pools: Pools,
    pub(crate) breakers: CircuitBreakers,
}

/// Which layers a rig has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layers {
    Classify,
    Pool,
    TokenBudget,
    CircuitBreaker,
    Retry,
    Fallback,
    /// All of them, in the recommended order.
    Stack,
    /// All of them, the other way round.
    Reversed,
    /// Retries around retries, a pool around a budget around a pool.
    Twice,
}

impl Layers {
    pub(crate) const ALL: [Self; 9] = [
        Self::Classify,
        Self::Pool,
        Self::TokenBudget,
        Self::CircuitBreaker,
        Self::Retry,
        Self::Fallback,
        Self::Stack,
        Self::Reversed,
        Self::Twice,
    ];

    /// Whether they make a call again that has failed.
    pub(crate) const fn make_calls_again(self) -> bool {
        matches!(
            self,
            Self::Retry | Self::Fallback | Self::Stack | Self::Reversed | Self::Twice
        )
    }

    /// These layers over `probe`.
    pub(crate) fn over(self, probe: &Probe) -> Rig {
        let mut rig = over_any(self, probe.clone());
        rig.gauges = rig.gauges.and_probe(probe);
        rig
    }
}

/// `layers` over a service.
pub(crate) fn over_any<S>(layers: Layers, service: S) -> Rig
where
    S: tower::Service<Request<()>, Response = Reply, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let quotas = Quotas::new().with_home_region(REGION);
    let pools = Pools::new().with_home_region(REGION);
    let policy = CircuitPolicy::new()
        .with_min_calls(1000)
        .with_consecutive_failures(3)
        .with_probes(1)
        .with_cooldown(Duration::from_secs(10), Duration::from_secs(10));
    let breakers = CircuitBreakers::new()
        .with_home_region(REGION)
        .with_policy(policy)
        .expect("a sound policy")
        .with_jitter(Jitter::seeded(5));
    let fallback = || {
        let second = Rung::in_region(SECOND).with_max_per_second(1000.0);
        FallbackLayer::new(Ladder::new().then(second))
            .expect("a sound ladder")
            .with_home_region(REGION)
    };
    let retry = || RetryLayer::new().with_jitter(Jitter::seeded(7));
    let breaker = || CircuitBreakerLayer::new(breakers.clone());
    let budget = || TokenBudgetLayer::new(quotas.clone());
    let pool = || PoolLayer::new(pools.clone());
    let classify = ClassifyLayer::new;

    let service = match layers {
        Layers::Classify => boxed(&classify(), &service),
        Layers::Pool => boxed(&pool(), &service),
        Layers::TokenBudget => boxed(&budget(), &service),
        Layers::CircuitBreaker => boxed(&breaker(), &service),
        Layers::Retry => boxed(&retry(), &service),
        Layers::Fallback => boxed(&fallback(), &service),
        Layers::Stack => {
            let stack = Stack::over(service, REGION)
                .fallback(fallback())
                .retry(retry())
                .circuit_breaker(breakers.clone())
                .token_budget(budget())
                .pool(pools.clone())
                .build();
            stack.expect("a sound stack").boxed()
        }
        Layers::Reversed => ServiceBuilder::new()
            .layer(BoxCloneSyncService::layer())
            .layer(pool())
            .layer(budget())
            .layer(breaker())
            .layer(retry())
            .layer(fallback())
            .layer(classify())
            .service(service),
        Layers::Twice => ServiceBuilder::new()
            .layer(BoxCloneSyncService::layer())
            .layer(retry())
            .layer(pool())
            .layer(budget())
            .layer(retry())
            .layer(PoolLayer::new(Pools::new().with_max_in_flight(3)))
            .layer(classify())
            .service(service),
    };
    let gauges = Gauges::default()
        .and_quotas(&quotas)
        .and_pools(&pools)
        .and_breakers(&breakers);
    Rig {
        service,
        gauges,
        quotas,
        pools,
        breakers,
    }
}

fn boxed<L, S>(layer: &L, service: &S) -> Service
where
    S: Clone,
    L: Layer<S>,
    L::Service: tower::Service<Request<()>, Response = Reply, Error = Error>
        + Clone
        + Send
        + Sync
        + 'static,
    <L::Service as tower::Service<Request<()>>>::Future: Send + 'static,
{
    BoxCloneSyncService::new(layer.layer(service.clone()))
}

impl Rig {
    /// Allows so many requests a minute.
    pub(crate) fn allow(&self, requests_per_minute: u64) {
        let quota = Quota::new().with_requests_per_minute(requests_per_minute);
        self.quotas.set(&route(), quota).expect("a sound quota");
    }

    /// Allows so many calls in flight.
    pub(crate) fn narrow(&self, places: usize) {
        self.pools.set_limit(&PoolKey::region(REGION), places);
    }
}

/// Where calls go.
pub(crate) fn route() -> Route {
    Route::to(MODEL.parse().expect("a model id"))
}

/// A call that holds 200 tokens.
pub(crate) fn request() -> Request<()> {
    let mut call = CallContext::new(Operation::Converse, route());
    call.tokens.input = Some(100);
    call.tokens.max_output = Some(100);
    Request::new((), call)
}
