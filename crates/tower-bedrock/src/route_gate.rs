//! What a layer that picks routes asks of the layers below.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{call::CallContext, cause::Cause, route::Route};

/// Tells whether a call would get through on a route, before it is sent there.
///
/// What circuit breakers and quotas know is asked for, not guessed: the layers below share their
/// state with whoever picks routes above. An answer is good for the moment; it reserves nothing.
///
/// # Example
///
/// ```
/// use tokio::time::Instant;
/// use tower_bedrock::{CallContext, Cause, Passage, Route, RouteGate};
///
/// /// Keeps calls off a region that is under maintenance.
/// struct Maintenance;
///
/// impl RouteGate for Maintenance {
///     fn ask(&self, _: &CallContext, route: &Route, _: Instant) -> Passage {
///         match &route.region {
///             Some(region) if region.as_str() == "eu-south-2" => Passage::Closed {
///                 cause: Cause::ServiceUnavailable,
///                 retry_in: None,
///             },
///             _ => Passage::Open,
///         }
///     }
/// }
/// ```
pub trait RouteGate: Send + Sync + 'static {
    /// Whether `call` would get through on `route` at `now`. The route that the call names itself
    /// does not matter here.
    fn ask(&self, call: &CallContext, route: &Route, now: Instant) -> Passage;

    /// Whether it is certain that `call` would go through at once on whatever route, so that none need
    /// be asked for. `false` by default, and wherever that is not known without looking at routes.
    ///
    /// Asked for every call: while all is well, it is all that a gate costs.
    fn is_open_everywhere(&self, call: &CallContext) -> bool {
        let _ = call;
        false
    }
}

/// Whether a call would get through on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passage {
    /// It would go through at once.
    Open,
    /// It would wait about this long for its turn.
    After(Duration),
    /// It would be refused.
    Closed {
        /// With what.
        cause: Cause,
        /// When it is worth asking again, if that is known.
        retry_in: Option<Duration>,
    },
}

impl<G: RouteGate + ?Sized> RouteGate for Arc<G> {
    fn ask(&self, call: &CallContext, route: &Route, now: Instant) -> Passage {
        (**self).ask(call, route, now)
    }

    fn is_open_everywhere(&self, call: &CallContext) -> bool {
        (**self).is_open_everywhere(call)
    }
}
