//! Prompt caching: which prefixes a model has seen lately, and what that makes of a prompt's tokens.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    time::Duration,
};

use super::content::{Content, Scale};

/// How many prefixes are kept before the one nearest its end makes room: some ten megabytes.
const CAPACITY: usize = 1 << 16;

/// A prompt's tokens by how they are charged (BEDROCK.md §1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InputTokens {
    /// Neither read from the cache nor written to it.
    pub(crate) plain: u64,
    /// Read from the cache.
    pub(crate) cache_read: u64,
    /// Written to the cache, for five minutes and for an hour.
    pub(crate) cache_write_5m: u64,
    pub(crate) cache_write_1h: u64,
}

impl InputTokens {
    pub(crate) fn cache_write(self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    pub(crate) fn total(self) -> u64 {
        self.plain + self.cache_read + self.cache_write()
    }
}

/// How long a cache point lasts when it names no time (BEDROCK.md §5.2).
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(5 * 60);

/// The other time that a cache point may name.
pub(crate) const LONG_TTL: Duration = Duration::from_secs(60 * 60);

/// The prefixes that models have seen; `K` is what keeps caches apart, a model in a region.
#[derive(Debug)]
pub(crate) struct PromptCache<K> {
    entries: HashMap<(K, u64), Entry>,
    by_expiry: BTreeMap<(Duration, Serial), (K, u64)>,
    next_serial: Serial,
    capacity: usize,
}

/// Tells entries apart that expire together.
type Serial = u64;

#[derive(Clone, Copy, Debug)]
struct Entry {
    ttl: Duration,
    expires: Duration,
    serial: Serial,
}

impl<K: Copy + Eq + Hash> Default for PromptCache<K> {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl<K: Copy + Eq + Hash> PromptCache<K> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_expiry: BTreeMap::new(),
            next_serial: 0,
            capacity,
        }
    }

    /// Splits a prompt's tokens by what the cache holds. Changes nothing: a refused call caches
    /// nothing.
    pub(crate) fn lookup(
        &self,
        now: Duration,
        key: K,
        content: &Content,
        scale: Scale,
    ) -> InputTokens {
        let total = scale.tokens(content.size);
        let Some(last_point) = content.prefixes.iter().rposition(|p| p.ttl.is_some()) else {
            return InputTokens {
                plain: total,
                ..InputTokens::default()
            };
        };
        let hit = self.longest_hit(now, key, content, last_point);
        let cache_read = hit.map_or(0, |hit| scale.tokens(content.prefixes[hit].size));
        let mut tokens = InputTokens {
            cache_read,
            ..InputTokens::default()
        };
        let mut covered = cache_read;
        let unread = hit.map_or(0, |hit| hit + 1)..=last_point;
        for prefix in &content.prefixes[unread] {
            let Some(ttl) = prefix.ttl else { continue };
            let end = scale.tokens(prefix.size);
            let written = end.saturating_sub(covered);
            if ttl > DEFAULT_TTL {
                tokens.cache_write_1h += written;
            } else {
                tokens.cache_write_5m += written;
            }
            covered = covered.max(end);
        }
        tokens.plain = total.saturating_sub(covered);
        tokens
    }

    /// Keeps what an admitted call's cache points ask for, and renews what it read.
    pub(crate) fn store(&mut self, now: Duration, key: K, content: &Content) {
        let Some(last_point) = content.prefixes.iter().rposition(|p| p.ttl.is_some()) else {
            return;
        };
        if let Some(hit) = self.longest_hit(now, key, content, last_point) {
            let hash = content.prefixes[hit].hash;
            if let Some(entry) = self.entries.get(&(key, hash)) {
                self.insert(now, key, hash, entry.ttl);
            }
        }
        for prefix in &content.prefixes {
            if let Some(ttl) = prefix.ttl {
                self.insert(now, key, prefix.hash, ttl);
            }
        }
    }

    /// How many prefixes are kept.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.by_expiry.len());
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.by_expiry.clear();
    }

    fn longest_hit(
        &self,
        now: Duration,
        key: K,
        content: &Content,
        last_point: usize,
    ) -> Option<usize> {
        (0..=last_point).rev().find(|&index| {
            let entry = self.entries.get(&(key, content.prefixes[index].hash));
            entry.is_some_and(|entry| now < entry.expires)
        })
    }

    fn insert(&mut self, now: Duration, key: K, hash: u64, ttl: Duration) {
        let entry = Entry {
            ttl,
            expires: now.saturating_add(ttl),
            serial: self.next_serial,
        };
        self.next_serial += 1;
        if let Some(old) = self.entries.insert((key, hash), entry) {
            self.by_expiry.remove(&(old.expires, old.serial));
        }
        self.by_expiry
            .insert((entry.expires, entry.serial), (key, hash));
        while let Some(soonest) = self.by_expiry.first_entry() {
            let (expires, _) = *soonest.key();
            if expires > now && self.entries.len() <= self.capacity {
                break;
            }
            self.entries.remove(&soonest.remove());
        }
    }
}
