//! What an account may do in all regions that were read.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use super::{AccountQuotas, NoAccountQuota};
use crate::{
    model_id::{ModelId, ProfilePrefix, QuotaPath},
    route::{QuotaKey, Region, Route},
    token_budget::Quota,
};

/// What an account may do, in each region that was read, and what its application profiles stand for.
///
/// [`Quotas::adopt`](crate::Quotas::adopt) makes ledgers go by it. The feature `quota-discovery` reads
/// one from AWS; without it, one can be made of lists that somebody else had.
///
/// # Example
///
/// ```
/// use tower_bedrock::{
///     Limit, Quotas, Route,
///     quotas::{AccountQuotas, Listing, ServiceQuota},
/// };
///
/// let name = "Cross-region model inference tokens per minute for Amazon Nova Lite";
/// let ireland = AccountQuotas::new([ServiceQuota::new("L-7C42E72A", name, 400_000.0)]);
/// let profile = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3d4e5f6";
/// let listing = Listing::new()
///     .with_region("eu-west-1", ireland)
///     .with_profile(profile.parse()?, "eu.amazon.nova-lite-v1:0".parse()?);
///
/// let quotas = Quotas::new();
/// quotas.adopt(listing);
/// let by_profile = Route::to(profile.parse()?).in_region("eu-west-1");
/// let by_id = Route::to("eu.amazon.nova-lite-v1:0".parse()?).in_region("eu-west-1");
/// assert_eq!(quotas.key(&by_profile), quotas.key(&by_id));
/// assert_eq!(quotas.snapshot_of(&by_profile).limit(Limit::TokensPerMinute), Some(400_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Listing {
    regions: HashMap<Region, RegionListing>,
    profiles: HashMap<ModelId, ModelId>,
    account: Option<Arc<str>>,
    template: Quota,
}

#[derive(Clone, Debug)]
struct RegionListing {
    quotas: AccountQuotas,
    read_at: Instant,
}

impl Listing {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the quotas of `region`, as read now.
    #[must_use]
    pub fn with_region(self, region: impl Into<Region>, quotas: AccountQuotas) -> Self {
        self.with_region_read_at(region, quotas, Instant::now())
    }

    pub(crate) fn with_region_read_at(
        mut self,
        region: impl Into<Region>,
        quotas: AccountQuotas,
        read_at: Instant,
    ) -> Self {
        let listing = RegionListing { quotas, read_at };
        self.regions.insert(region.into(), listing);
        self
    }

    /// Counts calls of `profile` as calls of `stands_for`: the profile that an application profile was
    /// made from, or its model. A profile whose id tells what it stands for is counted by that.
    #[must_use]
    pub fn with_profile(mut self, profile: ModelId, stands_for: ModelId) -> Self {
        if profile.quota_path() == QuotaPath::Unresolved
            && stands_for.quota_path() != QuotaPath::Unresolved
        {
            self.profiles.insert(profile, stands_for);
        }
        self
    }

    /// Says by what number ARNs name the account, so that they are counted with plain ids.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<Arc<str>>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Sets what all quotas have beside their limits: share, window, pace. Its own limits count where
    /// the account lists none.
    #[must_use]
    pub fn with_template(mut self, template: Quota) -> Self {
        self.template = template;
        self
    }

    /// What all quotas have beside their limits.
    #[must_use]
    pub const fn template(&self) -> &Quota {
        &self.template
    }

    /// The regions that were read, in no order.
    pub fn regions(&self) -> impl Iterator<Item = (&Region, &AccountQuotas)> {
        let regions = self.regions.iter();
        regions.map(|(region, listing)| (region, &listing.quotas))
    }

    /// The quotas of `region`, if it was read.
    #[must_use]
    pub fn region(&self, region: &Region) -> Option<&AccountQuotas> {
        self.regions.get(region).map(|listing| &listing.quotas)
    }

    /// When the quotas of `region` were read.
    #[must_use]
    pub fn read_at(&self, region: &Region) -> Option<Instant> {
        self.regions.get(region).map(|listing| listing.read_at)
    }

    /// When each region was read, in no order.
    #[cfg(feature = "metrics")]
    pub(crate) fn times(&self) -> impl Iterator<Item = (&Region, Instant)> {
        let regions = self.regions.iter();
        regions.map(|(region, listing)| (region, listing.read_at))
    }

    /// The application profiles and what they stand for, in no order.
    pub fn profiles(&self) -> impl Iterator<Item = (&ModelId, &ModelId)> {
        self.profiles.iter()
    }

    /// The number by which ARNs name the account, if it is known.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The model that calls of `model` are counted as: what a profile stands for, else the model
    /// itself.
    #[must_use]
    pub fn stands_for<'a>(&'a self, model: &'a ModelId) -> &'a ModelId {
        self.profiles.get(model).unwrap_or(model)
    }

    /// The quota of calls to `route`, which has to name its region.
    ///
    /// # Errors
    ///
    /// [`NoAccountQuota`] says why the list tells none.
    pub fn quota(&self, route: &Route) -> Result<Quota, NoAccountQuota> {
        let Some(model) = &route.model else {
            return Err(NoAccountQuota::NoModel);
        };
        let model = self.stands_for(model);
        let region = route.region.as_ref();
        let quotas = region.and_then(|region| self.region(region));
        let Some(quotas) = quotas else {
            return Err(NoAccountQuota::NotRead {
                model: model.clone(),
                region: region.cloned(),
            });
        };
        Ok(quotas.of(model)?.quota_like(&self.template))
    }

    pub(crate) fn is_account(&self, account: &str) -> bool {
        self.account() == Some(account)
    }

    /// The route that calls to `route` are counted as, if that is another, of an account that is
    /// called as the caller's.
    pub(crate) fn counted_as(&self, route: &Route) -> Option<Route> {
        let model = route.model.as_ref()?;
        let counted = match self.profiles.get(model) {
            Some(stands_for) => stands_for.clone(),
            // The ARN of a system-defined profile.
            None if self.is_account(model.account()?) => model.with_prefix(model.prefix())?,
            None => return None,
        };
        let mut route = route.clone();
        route.model = Some(counted);
        Some(route)
    }

    /// The same for the route of a key.
    pub(crate) fn route_of(key: &QuotaKey) -> Option<Route> {
        let base = key.model.as_deref()?;
        let id = match key.path {
            // All geographic prefixes share a quota.
            QuotaPath::Geo => format!("{}.{base}", ProfilePrefix::Us.as_str()),
            QuotaPath::Global => format!("{}.{base}", ProfilePrefix::Global.as_str()),
            QuotaPath::InRegion | QuotaPath::Provisioned | QuotaPath::Unresolved => base.to_owned(),
        };
        let mut route = Route::to(ModelId::new(id).ok()?);
        route.region.clone_from(&key.region);
        Some(route)
    }
}
