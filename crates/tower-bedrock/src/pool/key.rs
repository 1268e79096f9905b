//! What there is one pool for.

use std::{fmt, sync::Arc};

use crate::{
    call::CallContext,
    model_id::ModelId,
    route::{Region, Route},
};

/// What calls share a pool by. Two calls share one if all parts are the same; a part that is `None`
/// is not looked at.
///
/// # Example
///
/// ```
/// use tower_bedrock::{CallContext, PoolKey, Pools};
///
/// /// A pool for each tenant, whatever it calls.
/// fn tenants(call: &CallContext) -> PoolKey {
///     let mut key = PoolKey::default();
///     key.name = call.tenant.clone();
///     key
/// }
///
/// let pools = Pools::new().with_key(tenants);
/// # let _ = pools;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PoolKey {
    /// The region that is called.
    pub region: Option<Region>,
    /// The model.
    pub model: Option<ModelId>,
    /// Anything else, by a name of the caller's own.
    pub name: Option<Arc<str>>,
}

/// A function that tells a call's key.
pub(super) type KeyOf = dyn Fn(&CallContext) -> PoolKey + Send + Sync;

impl PoolKey {
    /// The pool of a region.
    #[must_use]
    pub fn region(region: impl Into<Region>) -> Self {
        Self {
            region: Some(region.into()),
            ..Self::default()
        }
    }

    /// Whether this is the pool of a region, and of nothing narrower.
    #[inline]
    pub(super) fn is_of(&self, region: Option<&Region>) -> bool {
        self.region.as_ref() == region && self.model.is_none() && self.name.is_none()
    }

    /// The pool of a route's model in its region.
    #[must_use]
    pub fn route(route: &Route) -> Self {
        Self {
            region: route.region.clone(),
            model: route.model.clone(),
            name: None,
        }
    }

    /// A pool by a name of the caller's own.
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
}

/// `name/model@region`, without what is left open.
impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            f.write_str(name)?;
        }
        if let Some(model) = &self.model {
            write!(f, "/{model}")?;
        }
        match &self.region {
            Some(region) => write!(f, "@{region}"),
            None if self.name.is_none() && self.model.is_none() => f.write_str("-"),
            None => Ok(()),
        }
    }
}
