//! Where a call goes, and what Bedrock counts it by.

use std::{cmp::Ordering, fmt, sync::Arc};

use crate::model_id::{ModelId, QuotaPath, area::KnownRegion};

/// An AWS region, such as `eu-west-1`. Cheap to clone.
#[derive(PartialEq, Eq, Hash)]
pub struct Region {
    known: Option<KnownRegion>,
    /// The name of one that is not known. Behind one more pointer, since every route has room for it.
    other: Option<Arc<Box<str>>>,
}

/// The service tier of a call (BEDROCK.md §3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceTier {
    /// On demand, what Bedrock does when nothing is asked.
    #[default]
    Default,
    /// Served before the default tier under load; the same quota.
    Priority,
    /// Best effort, refused first under load; the same quota.
    Flex,
    /// Purchased capacity; overflow runs in the default tier.
    Reserved,
}

/// Where an attempt goes: model × region × service tier.
///
/// Every part may be left open: a call without a model is one whose operation has none
/// (ApplyGuardrail), one without a region goes to the home region of the service that sends it.
///
/// # Example
///
/// ```
/// use tower_bedrock::{ModelId, Route};
///
/// let route = Route::to("us.amazon.nova-lite-v1:0".parse::<ModelId>()?).in_region("us-west-2");
/// assert_eq!(route.to_string(), "us.amazon.nova-lite-v1:0@us-west-2");
/// # Ok::<(), tower_bedrock::InvalidModelId>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Route {
    /// The model, by whatever form of id.
    pub model: Option<ModelId>,
    /// The source region: the one whose endpoint is called. `None` is the home region of whatever
    /// sends the call; where calls name it as well as leave it open, tell it to
    /// [`Quotas::with_home_region`](crate::Quotas::with_home_region), so that both count together.
    pub region: Option<Region>,
    /// The service tier.
    pub tier: ServiceTier,
}

/// What Bedrock counts a call by: account × source region × path × base model (BEDROCK.md §3.1).
///
/// All geographic prefixes of a model share one key, the global profile has its own, and so has the
/// model in-region.
///
/// # Example
///
/// ```
/// use tower_bedrock::{ModelId, QuotaKey, Route};
///
/// let key = |id: &str| {
///     let route = Route::to(id.parse::<ModelId>().unwrap()).in_region("us-east-1");
///     QuotaKey::of("123456789012", &route)
/// };
/// assert_eq!(key("us.amazon.nova-lite-v1:0"), key("ca.amazon.nova-lite-v1:0"));
/// assert_ne!(key("us.amazon.nova-lite-v1:0"), key("amazon.nova-lite-v1:0"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QuotaKey {
    /// The account, or a name of the caller's own where the account is not known.
    pub account: Arc<str>,
    /// The region that is called; Bedrock counts there wherever the call is processed.
    pub region: Option<Region>,
    /// In-region, geographic, global, or capacity of the account's own.
    pub path: QuotaPath,
    /// The base model; the whole id where it does not tell one, `None` for a call without a model.
    pub model: Option<Arc<str>>,
}

// === impl Region ===

impl Region {
    /// A region by its name.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        let known = KnownRegion::of(name);
        let other = known.is_none().then(|| Arc::new(name.into()));
        Self { known, other }
    }

    /// The region's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.other {
            Some(name) => name,
            None => self.known.map_or("", KnownRegion::name),
        }
    }

    /// What is known of where it lies.
    pub(crate) const fn known(&self) -> Option<KnownRegion> {
        self.known
    }
}

/// By name.
impl Ord for Region {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Region {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Clone for Region {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            known: self.known,
            other: self.other.clone(),
        }
    }
}

impl From<&str> for Region {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Region {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

impl AsRef<str> for Region {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Region").field(&self.as_str()).finish()
    }
}

// === impl ServiceTier ===

impl ServiceTier {
    /// The tier as the service spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Priority => "priority",
            Self::Flex => "flex",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for ServiceTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Route ===

impl Route {
    /// A route to `model` in the home region, on the default tier.
    #[must_use]
    pub fn to(model: ModelId) -> Self {
        Self {
            model: Some(model),
            ..Self::default()
        }
    }

    /// The same route through the endpoint of `region`.
    #[must_use]
    pub fn in_region(mut self, region: impl Into<Region>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The same route on another service tier.
    #[must_use]
    pub const fn on_tier(mut self, tier: ServiceTier) -> Self {
        self.tier = tier;
        self
    }
}

/// `model@region/tier`, without what is left open.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => f.write_str(model.as_str())?,
            None => f.write_str("-")?,
        }
        if let Some(region) = &self.region {
            write!(f, "@{region}")?;
        }
        if self.tier != ServiceTier::Default {
            write!(f, "/{}", self.tier)?;
        }
        Ok(())
    }
}

// === impl QuotaKey ===

impl QuotaKey {
    /// The key that `route` is counted by in `account`.
    ///
    /// Allocates: resolve a key once per route, not once per call.
    #[must_use]
    pub fn of(account: impl Into<Arc<str>>, route: &Route) -> Self {
        let model = route.model.as_ref();
        Self {
            account: model
                .and_then(ModelId::account)
                .map_or_else(|| account.into(), Arc::from),
            region: route.region.clone(),
            path: model.map_or(QuotaPath::Unresolved, ModelId::quota_path),
            model: model.map(|model| model.base_model().unwrap_or(model.as_str()).into()),
        }
    }
}

/// `account/region/path/model`, with `-` for what is not known.
impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.region.as_ref().map_or("-", Region::as_str);
        let model = self.model.as_deref().unwrap_or("-");
        write!(f, "{}/{region}/{}/{model}", self.account, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, region: &str) -> QuotaKey {
        let route = Route::to(id.parse().unwrap()).in_region(region);
        QuotaKey::of("111111111111", &route)
    }

    /// Geographic prefixes share a quota; global, in-region and every source region have their own.
    #[test]
    fn keys_follow_what_the_service_counts_by() {
        let id = "anthropic.claude-sonnet-4-6";
        let geo = key(&format!("us.{id}"), "us-east-1");
        assert_eq!(geo, key(&format!("ca.{id}"), "us-east-1"));
        assert_ne!(geo, key(&format!("global.{id}"), "us-east-1"));
        assert_ne!(geo, key(id, "us-east-1"));
        assert_ne!(geo, key(&format!("us.{id}"), "us-west-2"));
        assert_eq!(
            geo.to_string(),
            "111111111111/us-east-1/geo/anthropic.claude-sonnet-4-6"
        );
    }

    /// An ARN names its own account, and draws on the same quota as the id it holds.
    #[test]
    fn an_arn_is_counted_like_the_id_in_it() {
        let arn =
            "arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.amazon.nova-lite-v1:0";
        assert_eq!(
            key(arn, "us-east-1"),
            key("us.amazon.nova-lite-v1:0", "us-east-1")
        );
        let other = arn.replace("111111111111", "222222222222");
        assert_ne!(key(&other, "us-east-1"), key(arn, "us-east-1"));
    }

    /// Regions are told apart and sorted by name, whether they are known or not.
    #[test]
    fn regions_go_by_their_names() {
        let names = [
            "us-west-2",
            "us-east-1",
            "us-farther-1",
            "zz-new-1",
            "aa-old-1",
        ];
        let mut regions = names.map(Region::from);
        regions.sort();
        let sorted = regions.each_ref().map(Region::as_str);
        assert_eq!(
            sorted,
            [
                "aa-old-1",
                "us-east-1",
                "us-farther-1",
                "us-west-2",
                "zz-new-1"
            ]
        );
        assert_eq!(Region::from("zz-new-1"), regions[4]);
        assert_eq!(Region::from("us-east-1"), regions[1]);
        assert_ne!(regions[0], regions[4]);
    }

    /// The tier is part of the route but not of the quota: all tiers draw on the same one.
    #[test]
    fn tiers_share_a_quota() {
        let route = Route::to("amazon.nova-lite-v1:0".parse().unwrap());
        let flex = route.clone().on_tier(ServiceTier::Flex);
        assert_ne!(route, flex);
        assert_eq!(QuotaKey::of("a", &route), QuotaKey::of("a", &flex));
        assert_eq!(flex.to_string(), "amazon.nova-lite-v1:0/flex");
    }
}
