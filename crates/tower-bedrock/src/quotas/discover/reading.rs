//! What was read of a region, and how a newer reading completes or replaces it.

use std::collections::HashSet;

use tokio::time::Instant;

use super::{error::ReadFailure, profile::Profile};
use crate::quotas::{AccountQuotas, ServiceQuota};

/// A list as far as it was read.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) items: Vec<T>,
    /// Whether it was read to its end.
    pub(super) is_whole: bool,
}

/// What was read of a region.
#[derive(Clone, Debug)]
pub(super) struct RegionReading {
    /// The quotas in force.
    pub(super) applied: Part<ServiceQuota>,
    /// Those of any account.
    pub(super) defaults: Part<ServiceQuota>,
    pub(super) profiles: Part<Profile>,
    /// When the quotas in force were read to their end, or else as far as they are.
    pub(super) read_at: Instant,
    pub(super) failures: Vec<ReadFailure>,
}

/// What tells an item of a list from the others.
pub(super) trait Listed {
    fn key(&self) -> &str;
}

impl Listed for ServiceQuota {
    fn key(&self) -> &str {
        &self.code
    }
}

impl Listed for Profile {
    fn key(&self) -> &str {
        &self.arn
    }
}

impl<T: Listed> Part<T> {
    /// The newer list if it is whole; else the items of this one that the newer one does not have
    /// keep their places in it.
    fn updated_by(self, newer: Self) -> Self {
        if newer.is_whole {
            return newer;
        }
        let known: HashSet<_> = newer.items.iter().map(T::key).collect();
        let mut items = self.items;
        items.retain(|item| !known.contains(item.key()));
        drop(known);
        items.extend(newer.items);
        Self {
            items,
            is_whole: self.is_whole,
        }
    }
}

impl RegionReading {
    /// This, brought up to date. What the newer reading failed to read stays as it was.
    pub(super) fn updated_by(self, newer: Self) -> Self {
        let is_fresh = newer.applied.is_whole || !self.applied.is_whole;
        Self {
            read_at: if is_fresh {
                newer.read_at
            } else {
                self.read_at
            },
            applied: self.applied.updated_by(newer.applied),
            defaults: self.defaults.updated_by(newer.defaults),
            profiles: self.profiles.updated_by(newer.profiles),
            failures: newer.failures,
        }
    }

    /// Whether the value in force of `code` was read.
    pub(super) fn is_applied(&self, code: &str) -> bool {
        self.applied.items.iter().any(|row| row.code == code)
    }

    /// The quotas in force, and the defaults of those that the account has no value of its own for.
    pub(super) fn quotas(&self) -> AccountQuotas {
        let applied: HashSet<_> = self.applied.items.iter().map(Listed::key).collect();
        let defaults = self.defaults.items.iter();
        let defaults = defaults.filter(|row| !applied.contains(row.key()));
        AccountQuotas::new(self.applied.items.iter().chain(defaults).cloned())
    }
}
