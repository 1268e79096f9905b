//! What a cache tells those who listen.

use std::{fmt, time::Duration};

use crate::{call::CallContext, reply::Usage};

/// Something that a [`CacheLayer`](crate::CacheLayer) did.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CacheEvent<'a> {
    /// A call was answered out of the cache.
    #[non_exhaustive]
    Hit {
        /// The call.
        call: &'a CallContext,
        /// How long ago the service gave the answer.
        age: Duration,
        /// What the answer used then, and this call did not; `None` if the service did not say.
        saved: Option<Usage>,
    },
    /// The cache had no answer for a call, or the call wanted a new one.
    #[non_exhaustive]
    Miss {
        /// The call.
        call: &'a CallContext,
    },
    /// An answer is kept.
    #[non_exhaustive]
    Kept {
        /// The call that it was given to.
        call: &'a CallContext,
        /// What it weighs, with its key.
        bytes: u64,
    },
    /// An answer is not kept, though its call might have been answered out of the cache. Of answers that
    /// are not whole, or too large, nothing is told.
    #[non_exhaustive]
    NotKept {
        /// The call that it was given to.
        call: &'a CallContext,
        /// Why.
        why: NotKept,
    },
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotKept {
    /// Another model, or a lower tier, gave it.
    Degraded,
    /// The call that it was made for keeps it.
    Coalesced,
}

impl NotKept {
    /// The reason in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Coalesced => "coalesced",
        }
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
