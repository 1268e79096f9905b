//! A route of a ladder.

use std::{fmt, sync::Arc};

use super::{cap::Cap, invalid::InvalidLadder};
use crate::{
    model_id::ModelId,
    route::{Region, Route, ServiceTier},
};

/// A route of a [`Ladder`](crate::Ladder). What it leaves open is taken from the call's own route:
/// its model, its region, its tier.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Rung, ServiceTier};
///
/// // The same model and tier in another region, taken by at most ten calls a second.
/// let other_region = Rung::in_region("us-west-2").with_max_per_second(10.0);
/// // The same model and region, when even the flexible tier is better than none.
/// let flex = Rung::tier(ServiceTier::Flex);
/// assert_eq!(other_region.to_string(), "*@us-west-2");
/// assert_eq!(flex.to_string(), "*/flex");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rung {
    pub(super) model: Option<ModelId>,
    pub(super) region: Option<Region>,
    pub(super) tier: Option<ServiceTier>,
    max_per_second: Option<f64>,
}

/// A rung as the layer uses it: with the state of its cap.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) rung: Rung,
    pub(super) cap: Option<Arc<Cap>>,
}

// === impl Rung ===

impl Rung {
    /// Another model, in the call's region and tier; for an ARN, in the region that it names.
    #[must_use]
    pub fn model(model: ModelId) -> Self {
        Self {
            model: Some(model),
            ..Self::default()
        }
    }

    /// The call's model and tier in another region.
    #[must_use]
    pub fn in_region(region: impl Into<Region>) -> Self {
        Self::default().at(region)
    }

    /// The call's model and region on another tier.
    #[must_use]
    pub fn tier(tier: ServiceTier) -> Self {
        Self::default().on_tier(tier)
    }

    /// The rung through the endpoint of `region`.
    #[must_use]
    pub fn at(mut self, region: impl Into<Region>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The rung on `tier`, whatever the call's own.
    #[must_use]
    pub const fn on_tier(mut self, tier: ServiceTier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Moves at most this many calls per second to the rung, evenly spaced; what comes beyond takes
    /// the next one, or fails as if there were no such rung. No bound by default.
    ///
    /// What the application itself sends to a route is bounded by the route's own quota and circuit.
    /// This is for a route with traffic of its own that they do not see: a secondary that serves 40
    /// calls a second and could serve 50 is lost, too, when it gets 80 more, and keeps all of its
    /// own when it gets ten. Counted for each rung of each ladder, over all clones of the layer.
    #[must_use]
    pub const fn with_max_per_second(mut self, calls: f64) -> Self {
        self.max_per_second = Some(calls);
        self
    }

    /// Whether both are the same route for every call.
    pub(super) fn goes_like(&self, other: &Self) -> bool {
        self.model == other.model && self.region == other.region && self.tier == other.tier
    }

    pub(super) fn into_step(self, number: usize) -> Result<Step, InvalidLadder> {
        let mut rung = self;
        if let Some(named) = rung.model.as_ref().and_then(ModelId::region) {
            let region = rung.region.get_or_insert_with(|| Region::from(named));
            if region.as_str() != named {
                return Err(InvalidLadder::ArnRegion {
                    rung: number,
                    region: named.into(),
                });
            }
        }
        if rung.goes_like(&Self::default()) {
            return Err(InvalidLadder::Open { rung: number });
        }
        let cap = match rung.max_per_second {
            None => None,
            Some(rate) => {
                let cap = Cap::per_second(rate);
                Some(Arc::new(
                    cap.ok_or(InvalidLadder::MaxPerSecond { rung: number })?,
                ))
            }
        };
        Ok(Step { rung, cap })
    }

    /// Whether a call to `route` is one of these, as far as the rung says anything.
    pub(super) fn matches(&self, route: &Route, home: Option<&Region>) -> bool {
        let is_model = self.model.is_none() || self.model == route.model;
        let region = route.region.as_ref().or(home);
        let is_region = self.region.is_none() || self.region.as_ref() == region;
        is_model && is_region && self.tier.is_none_or(|tier| tier == route.tier)
    }
}

impl From<Route> for Rung {
    fn from(route: Route) -> Self {
        Self {
            model: route.model,
            region: route.region,
            tier: (route.tier != ServiceTier::Default).then_some(route.tier),
            max_per_second: None,
        }
    }
}

impl From<ModelId> for Rung {
    fn from(model: ModelId) -> Self {
        Self::model(model)
    }
}

impl From<Region> for Rung {
    fn from(region: Region) -> Self {
        Self::in_region(region)
    }
}

/// `model@region/tier`, with `*` for a model that is left open.
impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => f.write_str(model.as_str())?,
            None => f.write_str("*")?,
        }
        if let Some(region) = &self.region {
            write!(f, "@{region}")?;
        }
        match self.tier {
            Some(tier) => write!(f, "/{tier}"),
            None => Ok(()),
        }
    }
}
