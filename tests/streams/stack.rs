//! The layers around a Bedrock, and what they hold.

use tower::{Service, ServiceBuilder};
use tower_bedrock::{
    Bedrock, CircuitBreakerLayer, CircuitBreakers, ClassifyLayer, Error, Estimate, PoolKey,
    PoolLayer, Pools, Quota, Quotas, Request, RetryLayer, Route, SdkOperation, TokenBudgetLayer,
    TokenEstimator,
};
use tower_bedrock_tests::REGION;

/// What the calls are estimated to read.
pub(crate) const INPUT: u64 = 50;
/// The most that they may generate.
pub(crate) const MAX_OUTPUT: u64 = 100;

/// What the layers hold for their calls.
#[derive(Clone)]
pub(crate) struct Gauges {
    pub(crate) route: Route,
    pub(crate) quotas: Quotas,
    pub(crate) pools: Pools,
    pub(crate) breakers: CircuitBreakers,
}

impl Gauges {
    /// Those of calls to `model`, with room for many.
    pub(crate) fn of(model: &str) -> Self {
        let route = Route::to(model.parse().expect("a model id")).in_region(REGION);
        let quotas = Quotas::new().with_home_region(REGION);
        let quota = Quota::new()
            .with_tokens_per_minute(1_000_000_000)
            // Outlives the minutes that some tests take.
            .with_tokens_per_day(1_000_000_000_000)
            .without_learning();
        quotas.set(&route, quota).expect("a sound quota");
        Self {
            route,
            quotas,
            pools: Pools::new()
                .with_home_region(REGION)
                .with_max_in_flight(2000),
            breakers: CircuitBreakers::new().with_home_region(REGION),
        }
    }

    /// Tokens that were used.
    pub(crate) fn settled(&self) -> u64 {
        self.quotas.snapshot_of(&self.route).day_tokens_used
    }

    /// How many calls have a place.
    pub(crate) fn in_flight(&self) -> usize {
        self.pools.snapshot_of(&PoolKey::region(REGION)).in_flight
    }

    /// What is held although no call is under way.
    pub(crate) fn left(&self) -> Vec<String> {
        let quota = self.quotas.snapshot_of(&self.route);
        let pool = self.pools.snapshot_of(&PoolKey::region(REGION));
        [
            ("tokens held", quota.tokens_held),
            ("waiting for quota", quota.waiting as u64),
            ("places taken", pool.in_flight as u64),
            ("waiting for a place", pool.waiting as u64),
        ]
        .into_iter()
        .filter(|(_, left)| *left != 0)
        .map(|(what, left)| format!("{what}: {left}"))
        .collect()
    }
}

/// All layers that a single route needs, outermost first.
pub(crate) fn stack<Op: SdkOperation>(
    retries: RetryLayer,
    bedrock: Bedrock,
    gauges: &Gauges,
) -> impl Service<Request<Op>, Response = Op::Response, Error = Error, Future: Send> + Clone + use<Op>
{
    let gauges = gauges.clone();
    ServiceBuilder::new()
        .layer(retries)
        .layer(CircuitBreakerLayer::new(gauges.breakers))
        .layer(TokenBudgetLayer::new(gauges.quotas).with_estimator(Fixed))
        .layer(PoolLayer::new(gauges.pools))
        .layer(ClassifyLayer::new())
        .service(bedrock)
}

/// Every call reads the same.
struct Fixed;

impl<R> TokenEstimator<R> for Fixed {
    fn estimate(&self, _: &R) -> Estimate {
        Estimate::Tokens(INPUT)
    }
}
