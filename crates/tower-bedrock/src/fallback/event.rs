//! What a fallback layer tells those who listen.

use super::error::SkipReason;
use crate::{call::CallContext, cause::Cause, error::Error, route::Route};

/// Something that [`FallbackLayer`](crate::FallbackLayer) decided.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum FallbackEvent<'a> {
    /// A call moves on to another route.
    #[non_exhaustive]
    Moved {
        /// The call, as it was made.
        call: &'a CallContext,
        /// The route that it leaves: the one that failed, or its own.
        from: &'a Route,
        /// The route that it takes.
        to: &'a Route,
        /// Why. What would have refused it on the first route where nothing was sent yet; `None` if
        /// it would have waited there, or takes the other route to keep it warm.
        cause: Option<Cause>,
    },
    /// A call passes over a route. Told once for a call and a route.
    #[non_exhaustive]
    Skipped {
        /// The call, as it was made.
        call: &'a CallContext,
        /// The route.
        route: &'a Route,
        /// Why.
        why: SkipReason,
    },
    /// A call failed that another route might have answered, and there is none left.
    #[non_exhaustive]
    Exhausted {
        /// The call, as it was made.
        call: &'a CallContext,
        /// What the caller gets.
        error: &'a Error,
    },
}
