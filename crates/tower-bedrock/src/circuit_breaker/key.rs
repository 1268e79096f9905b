//! What there is one circuit for.

use crate::route::{Region, Route, ServiceTier};

/// What there is one circuit for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitKey {
    /// Model, region and tier: what can be sick by itself.
    #[default]
    Route,
    /// Model and region, whatever the tier.
    Model,
    /// The region: one circuit for all of its models, as for an endpoint behind one gateway.
    Region,
}

impl CircuitKey {
    /// What the circuit of `route` stands for.
    pub(super) fn of(self, route: &Route, home: Option<&Region>) -> Route {
        Route {
            model: match self {
                Self::Route | Self::Model => route.model.clone(),
                Self::Region => None,
            },
            region: route.region.as_ref().or(home).cloned(),
            tier: match self {
                Self::Route => route.tier,
                Self::Model | Self::Region => ServiceTier::Default,
            },
        }
    }

    /// Whether the circuit that stands for `key` is the one of `route`.
    #[inline]
    pub(super) fn matches(self, key: &Route, route: &Route, home: Option<&Region>) -> bool {
        (self == Self::Region || key.model == route.model)
            && (self != Self::Route || key.tier == route.tier)
            && key.region.as_ref() == route.region.as_ref().or(home)
    }
}
