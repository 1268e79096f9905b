//! The values of labels, of which there is a bounded number.

use std::collections::HashMap;

use ::metrics::{Label, SharedString};

use super::names::Metric;
use crate::{
    model_id::ModelId,
    route::{QuotaKey, Region, Route, ServiceTier},
    sync::{Arc, PoisonError, RwLock},
};

/// What stands for all values beyond the bound.
const OTHER: SharedString = SharedString::const_str("other");
/// What stands for no value.
const NONE: SharedString = SharedString::const_str("none");

/// The values that a label has had, up to a number.
#[derive(Debug)]
pub(super) struct Bounded {
    most: usize,
    known: RwLock<HashMap<Box<str>, SharedString>>,
}

impl Bounded {
    pub(super) fn to(most: usize) -> Self {
        Self {
            most,
            known: RwLock::default(),
        }
    }

    /// The value itself, or `other` if there are as many already as there may be.
    pub(super) fn value(&self, value: &str) -> SharedString {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(value) {
            return value.clone();
        }
        if known.len() >= self.most {
            return OTHER;
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most && !known.contains_key(value) {
            return OTHER;
        }
        let shared = || SharedString::from_shared(Arc::from(value));
        known.entry(value.into()).or_insert_with(shared).clone()
    }
}

/// The labels of models, regions, quota keys, pools and tenants, and those that stand on everything.
#[derive(Debug)]
pub(super) struct Labels {
    home: Option<Region>,
    models: Bounded,
    regions: Bounded,
    keys: Bounded,
    pools: Bounded,
    tenants: Option<Bounded>,
    own: Vec<Label>,
}

/// How many values a label may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) models: usize,
    pub(super) regions: usize,
    pub(super) keys: usize,
    pub(super) tenants: usize,
}

impl Labels {
    pub(super) fn new(home: Option<Region>, bounds: Bounds, own: Vec<Label>) -> Self {
        Self {
            home,
            models: Bounded::to(bounds.models),
            regions: Bounded::to(bounds.regions),
            keys: Bounded::to(bounds.keys),
            pools: Bounded::to(bounds.keys),
            tenants: (bounds.tenants > 0).then(|| Bounded::to(bounds.tenants)),
            own,
        }
    }

    /// The labels of `metric` with their values; those without a value are left out.
    pub(super) fn of<const N: usize>(
        &self,
        metric: &Metric,
        values: [SharedString; N],
    ) -> Vec<Label> {
        debug_assert_eq!(metric.labels.len(), N, "the labels of {}", metric.name);
        let pairs = metric.labels.iter().zip(values);
        pairs
            .filter(|(_, value)| !value.is_empty())
            .map(|(&name, value)| Label::new(name, value))
            .chain(self.own.iter().cloned())
            .collect()
    }

    /// The same with the tenant, if tenants are labelled.
    pub(super) fn of_tenant<const N: usize>(
        &self,
        metric: &Metric,
        values: [SharedString; N],
        tenant: Option<&str>,
    ) -> Vec<Label> {
        let mut labels = self.of(metric, values);
        if let Some(tenants) = &self.tenants {
            let tenant = tenant.map_or(NONE, |tenant| tenants.value(tenant));
            labels.push(Label::new("tenant", tenant));
        }
        labels
    }

    pub(super) fn model(&self, model: Option<&ModelId>) -> SharedString {
        model.map_or(NONE, |model| self.models.value(model.without_account()))
    }

    /// The region, or the home region in the place of none.
    pub(super) fn region(&self, region: Option<&Region>) -> SharedString {
        let region = region.or(self.home.as_ref());
        region.map_or(SharedString::const_str("home"), |region| {
            self.regions.value(region.as_str())
        })
    }

    /// `model/tier`, without the default tier.
    pub(super) fn model_on_tier(&self, route: &Route) -> SharedString {
        let model = self.model(route.model.as_ref());
        match route.tier {
            ServiceTier::Default => model,
            tier => format!("{model}/{tier}").into(),
        }
    }

    /// `model@region/tier`, without the default tier.
    pub(super) fn route(&self, route: &Route) -> SharedString {
        let model = self.model(route.model.as_ref());
        let region = self.region(route.region.as_ref());
        match route.tier {
            ServiceTier::Default => format!("{model}@{region}").into(),
            tier => format!("{model}@{region}/{tier}").into(),
        }
    }

    /// `region/path/model`: the key without its account.
    pub(super) fn key(&self, key: &QuotaKey) -> SharedString {
        let region = key.region.as_ref().map_or("-", Region::as_str);
        let model = key.model.as_deref().unwrap_or("-");
        let model = ModelId::new(model);
        let model = model.as_ref().map_or("-", |model| model.without_account());
        self.keys.value(&format!("{region}/{}/{model}", key.path))
    }

    /// A pool by its region, and by what else it is kept by.
    pub(super) fn pool(&self, key: &crate::PoolKey) -> SharedString {
        match (&key.name, &key.model) {
            (None, None) => self.region(key.region.as_ref()),
            (name, model) => {
                let mut value = String::new();
                if let Some(name) = name {
                    value.push_str(name);
                }
                if let Some(model) = model {
                    value.push('/');
                    value.push_str(model.without_account());
                }
                if let Some(region) = &key.region {
                    value.push('@');
                    value.push_str(region.as_str());
                }
                self.pools.value(&value)
            }
        }
    }

    pub(super) const fn has_tenants(&self) -> bool {
        self.tenants.is_some()
    }
}
