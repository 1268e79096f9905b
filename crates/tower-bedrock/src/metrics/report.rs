//! What is looked at, not told: quotas, circuits, pools, the retry budget.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::metrics::{Label, SharedString};
use tokio::time::{Instant, MissedTickBehavior, interval};

#[cfg(feature = "cache")]
use super::names::{CACHE_BYTES, CACHE_ENTRIES, CACHE_EVICTIONS};
use super::{
    Metrics,
    names::{
        CIRCUIT_STATE, Metric, POOL_IN_FLIGHT, POOL_LIMIT, POOL_SATURATION_RATIO, POOL_WAITING,
        QUOTA_HELD, QUOTA_LEARNED_LIMIT, QUOTA_LIMIT, QUOTA_READING_AGE, QUOTA_USE_RATIO,
        QUOTA_USED, QUOTA_WAITING, RETRY_BUDGET_AVAILABLE, TOKENS_HELD, TOKENS_SETTLED,
    },
    recorder,
};
#[cfg(feature = "cache")]
use crate::cache::CacheStore;
use crate::{
    cause::Limit,
    circuit_breaker::{CircuitBreakers, CircuitState},
    pool::Pools,
    quotas::Listing,
    retry::RetryBudget,
    token_budget::{QuotaSnapshot, Quotas},
};

/// Reports what is true now of quotas, circuits, pools and the retry budget: the gauges.
///
/// Nothing reports by itself. Call [`report`](Self::report) before each scrape, or spawn
/// [`report_every`](Self::report_every). A [`Stack`](crate::Stack) has one that knows its parts.
///
/// Where a label's bound is passed, `other` is the sum of what it stands for, and the highest of its
/// ratios. What is gone (a pool that was forgotten, a quota that was taken back) is 0 from the next
/// report on.
///
/// # Shared state
///
/// Clones report the same.
///
/// # Example
///
/// ```
/// use tower_bedrock::{
///     Quota, Quotas, Route,
///     metrics::{Metrics, MetricsReporter},
/// };
///
/// let quotas = Quotas::new().with_home_region("eu-west-1");
/// let reporter = MetricsReporter::new(Metrics::new()).with_quotas(quotas.clone());
///
/// // Before a scrape:
/// reporter.report();
/// ```
#[derive(Clone)]
pub struct MetricsReporter {
    metrics: Metrics,
    quotas: Option<Quotas>,
    breakers: Option<CircuitBreakers>,
    pools: Option<Pools>,
    retry_budget: Option<RetryBudget>,
    #[cfg(feature = "cache")]
    cache: Option<CacheStore>,
    /// Which gauges were set last time.
    last: Arc<Mutex<HashSet<Series>>>,
}

/// A metric and the values of its labels.
type Series = (&'static str, Vec<Label>);

/// What a report sets.
struct Samples<'a> {
    metrics: &'a Metrics,
    gauges: BTreeMap<Series, f64>,
    counters: BTreeMap<Series, (&'static Metric, u64)>,
}

impl MetricsReporter {
    /// Reports to `metrics`, nothing as yet.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            quotas: None,
            breakers: None,
            pools: None,
            retry_budget: None,
            #[cfg(feature = "cache")]
            cache: None,
            last: Arc::default(),
        }
    }

    /// Reports what is drawn of `quotas`.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = Some(quotas);
        self
    }

    /// Reports the circuits of `breakers`.
    #[must_use]
    pub fn with_breakers(mut self, breakers: CircuitBreakers) -> Self {
        self.breakers = Some(breakers);
        self
    }

    /// Reports what is in flight in `pools`.
    #[must_use]
    pub fn with_pools(mut self, pools: Pools) -> Self {
        self.pools = Some(pools);
        self
    }

    /// Reports what is left of `budget`.
    #[must_use]
    pub fn with_retry_budget(mut self, budget: RetryBudget) -> Self {
        self.retry_budget = Some(budget);
        self
    }

    /// Reports what `cache` keeps.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn with_cache(mut self, cache: CacheStore) -> Self {
        self.cache = Some(cache);
        self
    }

    /// What is reported to.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sets all gauges to what is true now.
    pub fn report(&self) {
        if !recorder::is_there() {
            return;
        }
        let mut samples = Samples {
            metrics: &self.metrics,
            gauges: BTreeMap::new(),
            counters: BTreeMap::new(),
        };
        if let Some(quotas) = &self.quotas {
            for snapshot in quotas.snapshot() {
                samples.quota(&snapshot);
            }
            if let Some(listing) = quotas.listing() {
                samples.listing(&listing);
            }
        }
        if let Some(breakers) = &self.breakers {
            samples.circuits(breakers);
        }
        if let Some(pools) = &self.pools {
            samples.pools(pools);
        }
        if let Some(budget) = &self.retry_budget {
            samples.add(&RETRY_BUDGET_AVAILABLE, [], f64::from(budget.available()));
        }
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.cache {
            samples.add(&CACHE_ENTRIES, [], cache.entries() as f64);
            samples.add(&CACHE_BYTES, [], cache.bytes() as f64);
            samples.count(&CACHE_EVICTIONS, [], cache.evicted());
        }
        let Samples {
            gauges, counters, ..
        } = samples;
        // One report at a time, so that what is gone is told apart from what came since.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = gauges.keys().cloned().collect();
        for (name, labels) in mem::replace(&mut *last, now) {
            if !gauges.contains_key(&(name, labels.clone())) {
                recorder::gauge(name, labels).set(0.0);
            }
        }
        for ((name, labels), value) in gauges {
            recorder::gauge(name, labels).set(value);
        }
        for ((_, labels), (metric, value)) in counters {
            recorder::counter(metric, labels).absolute(value);
        }
    }

    /// Reports every `period`, now for the first time, until the future is dropped.
    ///
    /// # Panics
    ///
    /// If `period` is zero, and outside of a tokio runtime with time enabled.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// # use tower_bedrock::metrics::{Metrics, MetricsReporter};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let reporter = MetricsReporter::new(Metrics::new());
    /// let reports = tokio::spawn(reporter.report_every(Duration::from_secs(5)));
    /// # reports.abort();
    /// # }
    /// ```
    pub async fn report_every(self, period: Duration) -> Infallible {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.report();
        }
    }
}

impl Samples<'_> {
    fn quota(&mut self, snapshot: &QuotaSnapshot) {
        let key = self.metrics.labels().key(&snapshot.key);
        let day_used = snapshot.day_tokens_used;
        for (limit, quota, learned, settled, held) in [
            (
                Limit::RequestsPerMinute,
                snapshot.requests_per_minute,
                snapshot.learned_requests_per_minute,
                snapshot.requests_used,
                None,
            ),
            (
                Limit::TokensPerMinute,
                snapshot.tokens_per_minute,
                snapshot.learned_tokens_per_minute,
                snapshot
                    .tokens_settled()
                    .saturating_add(snapshot.tokens_owed),
                Some(snapshot.tokens_held),
            ),
            (
                Limit::TokensPerDay,
                snapshot.tokens_per_day,
                None,
                day_used,
                None,
            ),
        ] {
            let labels = || [key.clone(), SharedString::const_str(limit.as_str())];
            let is_known = quota.is_some() || learned.is_some();
            if !is_known && limit == Limit::TokensPerDay {
                // A day that the service has closed is used up, whatever its limit.
                if snapshot.closed_for.is_some() {
                    self.max(&QUOTA_USE_RATIO, labels(), 1.0);
                }
                continue;
            }
            self.add(&QUOTA_USED, labels(), settled as f64);
            if let Some(held) = held {
                self.add(&QUOTA_HELD, labels(), held as f64);
            }
            if let Some(quota) = quota {
                self.add(&QUOTA_LIMIT, labels(), quota as f64);
            }
            let in_force = learned.into_iter().chain(quota).min();
            let Some(in_force) = in_force else { continue };
            if limit != Limit::TokensPerDay {
                self.add(&QUOTA_LEARNED_LIMIT, labels(), in_force as f64);
            }
            let used = settled.saturating_add(held.unwrap_or_default()) as f64;
            let mut ratio = used / in_force.max(1) as f64;
            if limit == Limit::TokensPerDay && snapshot.closed_for.is_some() {
                ratio = ratio.max(1.0);
            }
            self.max(&QUOTA_USE_RATIO, labels(), ratio);
        }
        self.add(&QUOTA_WAITING, [key.clone()], snapshot.waiting as f64);
        self.count(&TOKENS_HELD, [key.clone()], snapshot.total_tokens_held);
        self.count(&TOKENS_SETTLED, [key], snapshot.total_tokens_settled);
    }

    fn listing(&mut self, listing: &Listing) {
        for (region, read_at) in listing.times() {
            let region = self.metrics.labels().region(Some(region));
            let age = Instant::now().saturating_duration_since(read_at);
            self.max(&QUOTA_READING_AGE, [region], age.as_secs_f64());
        }
    }

    fn circuits(&mut self, breakers: &CircuitBreakers) {
        for snapshot in breakers.snapshot() {
            let labels = self.metrics.labels();
            let route = &snapshot.route;
            let labels = [
                labels.model(route.model.as_ref()),
                labels.region(route.region.as_ref()),
            ];
            let state = match snapshot.state {
                CircuitState::Closed => 0.0,
                CircuitState::HalfOpen => 1.0,
                CircuitState::Open => 2.0,
            };
            // Of several tiers, or of several models beyond the bound, the sickest counts.
            self.max(&CIRCUIT_STATE, labels, state);
        }
    }

    fn pools(&mut self, pools: &Pools) {
        for snapshot in pools.snapshot() {
            let pool = self.metrics.labels().pool(&snapshot.key);
            let labels = || [pool.clone()];
            self.add(&POOL_IN_FLIGHT, labels(), snapshot.in_flight as f64);
            self.add(&POOL_LIMIT, labels(), snapshot.limit as f64);
            self.add(&POOL_WAITING, labels(), snapshot.waiting as f64);
            self.max(&POOL_SATURATION_RATIO, labels(), snapshot.saturation());
        }
    }

    fn add<const N: usize>(&mut self, metric: &Metric, values: [SharedString; N], value: f64) {
        let labels = self.metrics.labels().of(metric, values);
        *self.gauges.entry((metric.name, labels)).or_default() += value;
    }

    fn max<const N: usize>(&mut self, metric: &Metric, values: [SharedString; N], value: f64) {
        let labels = self.metrics.labels().of(metric, values);
        let highest = self.gauges.entry((metric.name, labels)).or_default();
        *highest = highest.max(value);
    }

    fn count<const N: usize>(
        &mut self,
        metric: &'static Metric,
        values: [SharedString; N],
        value: u64,
    ) {
        let labels = self.metrics.labels().of(metric, values);
        let entry = self.counters.entry((metric.name, labels));
        let (_, sum) = entry.or_insert((metric, 0));
        *sum = sum.saturating_add(value);
    }
}

impl fmt::Debug for MetricsReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsReporter")
            .field("metrics", &self.metrics)
            .field("quotas", &self.quotas.is_some())
            .field("breakers", &self.breakers.is_some())
            .field("pools", &self.pools.is_some())
            .field("retry_budget", &self.retry_budget.is_some())
            .finish_non_exhaustive()
    }
}
