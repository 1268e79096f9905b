use std::fmt;

use crate::{
    route::{Region, Route},
    token_budget::InvalidQuota,
};

/// A stack that cannot be meant.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidStack {
    /// A part that the stack was given does not count calls without a region as calls to the stack's
    /// home region, so that such calls would be counted apart from those that name it. Give it the
    /// stack's region with its `with_home_region`.
    #[non_exhaustive]
    HomeRegion {
        /// The part: `"quotas"`, `"circuit breakers"` or `"pools"`.
        part: &'static str,
        /// The region that it counts them for.
        region: Option<Region>,
        /// The stack's.
        home: Region,
    },
    /// A quota that cannot be meant.
    #[non_exhaustive]
    Quota {
        /// Of which route.
        route: Route,
        /// Why.
        invalid: InvalidQuota,
    },
    /// A quota was set, and there is no token budget to keep it.
    #[non_exhaustive]
    NoTokenBudget {
        /// Of which route.
        route: Route,
    },
    /// The account's quotas were given, and there is no token budget to keep them.
    NoTokenBudgetForListing,
}

impl fmt::Display for InvalidStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HomeRegion { part, region, home } => {
                write!(f, "the {part} count calls without a region ")?;
                match region {
                    Some(region) => write!(f, "for {region}, and they go to {home}"),
                    None => write!(f, "apart from those to {home}, where they go"),
                }?;
                write!(f, ": give them with_home_region(\"{home}\")")
            }
            Self::Quota { route, .. } => write!(f, "the quota of {route} cannot be meant"),
            Self::NoTokenBudget { route } => write!(
                f,
                "the stack has a quota of {route} and no token budget to keep it"
            ),
            Self::NoTokenBudgetForListing => {
                f.write_str("the stack has the account's quotas and no token budget to keep them")
            }
        }
    }
}

impl std::error::Error for InvalidStack {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Quota { invalid, .. } => Some(invalid),
            Self::HomeRegion { .. }
            | Self::NoTokenBudget { .. }
            | Self::NoTokenBudgetForListing => None,
        }
    }
}
