//! Handles that were asked for before.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

/// Entries that are found by comparing: for as few, that is quicker than hashing.
const FIRST: usize = 8;
/// Entries that are kept beside them; beyond it they are asked for anew.
const MAX_OTHERS: usize = 1024;

/// What is asked for by key, made once and shared. Finding what is there does not allocate.
#[derive(Debug)]
pub(super) struct Cache<K, V>(RwLock<Entries<K, V>>);

#[derive(Debug)]
struct Entries<K, V> {
    first: Vec<(K, Arc<V>)>,
    others: HashMap<K, Arc<V>>,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// The value whose key `is_it`, which `key` tells in full; made by `make` if it is not there.
    pub(super) fn get(
        &self,
        is_it: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        make: impl FnOnce() -> V,
    ) -> Arc<V> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = entries.first.iter().find(|(known, _)| is_it(known)) {
            return Arc::clone(value);
        }
        let key = key();
        if let Some(value) = entries.others.get(&key) {
            return Arc::clone(value);
        }
        drop(entries);

        let value = Arc::new(make());
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.others.len() >= MAX_OTHERS {
            *entries = Entries::default();
        }
        if entries.first.len() < FIRST {
            entries.first.push((key, Arc::clone(&value)));
        } else {
            entries.others.insert(key, Arc::clone(&value));
        }
        value
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RwLock::new(Entries::default()))
    }
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            others: HashMap::new(),
        }
    }
}
