//! What pools tell those who listen.

use std::time::Duration;

use super::{error::PoolSaturated, key::PoolKey};
use crate::call::CallContext;

/// Something that happened in a pool.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PoolEvent<'a> {
    /// A call got a place that it had to wait for.
    #[non_exhaustive]
    Waited {
        /// The call.
        call: &'a CallContext,
        /// How long it waited.
        waited: Duration,
    },
    /// A call was refused.
    #[non_exhaustive]
    Refused {
        /// The call.
        call: &'a CallContext,
        /// Why.
        refusal: &'a PoolSaturated,
    },
    /// An [`AdaptiveLimit`](crate::AdaptiveLimit) has changed.
    #[non_exhaustive]
    LimitChanged {
        /// The pool.
        key: &'a PoolKey,
        /// How many calls might be in flight.
        from: usize,
        /// How many may be from now on.
        to: usize,
    },
}
