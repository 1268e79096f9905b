//! What refreshes tell.

use super::report::Discovery;
use crate::quotas::Adoption;

/// What came of a refresh.
#[derive(Debug)]
#[non_exhaustive]
pub enum DiscoveryEvent<'a> {
    /// Everything was read.
    #[non_exhaustive]
    Read {
        /// What is known now.
        discovery: &'a Discovery,
        /// What became of the ledgers.
        adoption: &'a Adoption,
    },
    /// Something was not read: what was known of it stays.
    #[non_exhaustive]
    ReadInPart {
        /// What is known now; its [failures](Discovery::failures) say what was not read.
        discovery: &'a Discovery,
        /// What became of the ledgers.
        adoption: &'a Adoption,
    },
}
