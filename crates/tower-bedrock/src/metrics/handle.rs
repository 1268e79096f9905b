use std::{fmt, sync::Arc};

use ::metrics::Label;

use super::{
    attempts::Attempts,
    calls::Calls,
    labels::{Bounds, Labels},
};
use crate::route::Region;

/// Models that are told apart: more than any application calls.
const MODELS: usize = 64;
/// Regions that are told apart: more than Bedrock is in.
const REGIONS: usize = 64;
/// Quota keys, and pools by a key of their own, that are told apart.
const KEYS: usize = 128;

/// Where the layers record what they see and do: in whatever recorder of the
/// [`metrics`](::metrics) facade is installed.
///
/// A [`Stack`](crate::Stack) has one of its own. By hand, one handle goes to all parts of a stack:
///
/// * [`CallMetricsLayer`](super::CallMetricsLayer) on the outside and
///   [`AttemptMetricsLayer`](super::AttemptMetricsLayer) directly around
///   [`ClassifyLayer`](crate::ClassifyLayer),
/// * [`on_fallback`](Self::on_fallback), [`on_retry`](Self::on_retry),
///   [`on_circuit`](Self::on_circuit), [`on_token_budget`](Self::on_token_budget) and
///   [`on_pool`](Self::on_pool) to the layers' own `on_event`,
/// * a [`MetricsReporter`](super::MetricsReporter) for what is to be looked at.
///
/// # Bounds
///
/// Every label has a bounded number of values; those beyond are counted together as `other`: 64
/// models, 64 regions, 128 quota keys. Causes, operations, limits and reasons are those of the
/// crate. A label shows nothing of an ARN but its resource: no account. Tenants are a label only if
/// [asked for](Self::with_tenants).
///
/// # Recorders
///
/// Handles are asked for when a route is first called, and kept. Without a recorder nothing is looked
/// up or timed. One that is installed later is noticed with the next call; what happened before is
/// lost.
///
/// # Shared state
///
/// Clones share handles and bounds.
///
/// # Example
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_bedrock::{
///     ClassifyLayer, RetryLayer,
///     metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics},
/// };
///
/// # fn stack<S>(bedrock: S) {
/// let metrics = Metrics::new().with_home_region("eu-west-1");
/// let stack = ServiceBuilder::new()
///     .layer(CallMetricsLayer::new(metrics.clone()))
///     .layer(RetryLayer::new().on_event(metrics.on_retry()))
///     .layer(AttemptMetricsLayer::new(metrics))
///     .layer(ClassifyLayer::new())
///     .service(bedrock);
/// # let _ = stack;
/// # }
/// ```
#[derive(Clone)]
pub struct Metrics(pub(super) Arc<Shared>);

pub(super) struct Shared {
    settings: Settings,
    /// What handles keep: they are kept here themselves.
    pub(super) labels: Arc<Labels>,
    pub(super) attempts: Attempts,
    pub(super) calls: Calls,
}

#[derive(Clone, Debug)]
struct Settings {
    home: Option<Region>,
    bounds: Bounds,
    own_labels: Vec<Label>,
}

impl Metrics {
    /// Metrics without labels for tenants, of a home region that is not known.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Settings {
            home: None,
            bounds: Bounds {
                models: MODELS,
                regions: REGIONS,
                keys: KEYS,
                tenants: 0,
            },
            own_labels: Vec::new(),
        })
    }

    fn of(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            labels: Arc::new(Labels::new(
                settings.home.clone(),
                settings.bounds,
                settings.own_labels.clone(),
            )),
            settings,
            attempts: Attempts::default(),
            calls: Calls::default(),
        }))
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.0.settings.clone();
        change(&mut settings);
        Self::of(settings)
    }

    /// Shows calls whose route names no region under `region`; under `home` unless it is known.
    #[must_use]
    pub fn with_home_region(self, region: impl Into<Region>) -> Self {
        self.change(|settings| settings.home = Some(region.into()))
    }

    /// The region that calls without one are shown under, if it is known.
    #[must_use]
    pub fn home_region(&self) -> Option<&Region> {
        self.0.settings.home.as_ref()
    }

    /// Tells at most so many models apart; 64 by default.
    #[must_use]
    pub fn with_max_models(self, models: usize) -> Self {
        self.change(|settings| settings.bounds.models = models)
    }

    /// Tells at most so many quota keys, and pools by a key of their own, apart; 128 by default.
    #[must_use]
    pub fn with_max_keys(self, keys: usize) -> Self {
        self.change(|settings| settings.bounds.keys = keys)
    }

    /// Adds the label `tenant` to calls, tokens and refusals, for at most so many tenants; off by
    /// default, since every tenant is a set of time series of its own.
    #[must_use]
    pub fn with_tenants(self, most: usize) -> Self {
        self.change(|settings| settings.bounds.tenants = most)
    }

    /// Adds a label to everything that is recorded here. Two stacks of one process need one, for
    /// their gauges not to overwrite each other's.
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::metrics::Metrics;
    ///
    /// let metrics = Metrics::new().with_label("stack", "batch");
    /// # let _ = metrics;
    /// ```
    #[must_use]
    pub fn with_label(self, name: &'static str, value: impl Into<String>) -> Self {
        let label = Label::new(name, value.into());
        self.change(|settings| settings.own_labels.push(label))
    }

    pub(super) fn labels(&self) -> &Arc<Labels> {
        &self.0.labels
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
