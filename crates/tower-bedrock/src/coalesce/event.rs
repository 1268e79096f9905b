//! What a layer that shares attempts tells those who listen.

use crate::call::CallContext;

/// Something that a [`CoalesceLayer`](crate::CoalesceLayer) did.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CoalesceEvent<'a> {
    /// A call began an attempt that others may join.
    #[non_exhaustive]
    Led {
        /// The call.
        call: &'a CallContext,
    },
    /// A call joined an attempt that was under way.
    #[non_exhaustive]
    Joined {
        /// The call.
        call: &'a CallContext,
    },
}
