use std::fmt;

/// A cache that cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidCache {
    /// It has room for nothing.
    ZeroCapacity,
    /// It would give up at once what it keeps.
    ZeroTimeToLive,
}

impl fmt::Display for InvalidCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCapacity => "a cache of 0 bytes keeps nothing: give it room, or leave it out",
            Self::ZeroTimeToLive => {
                "a cache with a time to live of zero keeps nothing: give it time, or leave it out"
            }
        })
    }
}

impl std::error::Error for InvalidCache {}
