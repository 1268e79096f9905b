//! Handles that were asked for before.

use std::{collections::HashMap, hash::Hash};

use crate::sync::{Arc, OnceLock, PoisonError, RwLock, table_of};

/// Entries that are found by comparing, without a lock. They are never forgotten.
const FIRST: usize = table_of(8);
/// Entries beside them; beyond it they are forgotten, and asked for anew.
const MAX_OTHERS: usize = table_of(1024);

/// What is asked for by key, made once and shared. Finding what is there does not allocate.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    first: [OnceLock<(K, Arc<V>)>; FIRST],
    others: RwLock<HashMap<K, Arc<V>>>,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// The value whose key `is_it`, which `key` tells in full; made by `make` if it is not there.
    #[inline]
    pub(super) fn get(
        &self,
        is_it: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        make: impl FnOnce() -> V,
    ) -> Arc<V> {
        for (known, value) in self.first.iter().map_while(OnceLock::get) {
            if is_it(known) {
                return Arc::clone(value);
            }
        }
        self.get_other(key(), make)
    }

    fn get_other(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = others.get(&key) {
            return Arc::clone(value);
        }
        drop(others);

        let value = Arc::new(make());
        let mut entry = (key, Arc::clone(&value));
        for slot in &self.first {
            match slot.set(entry) {
                Ok(()) => return value,
                Err(not_set) => entry = not_set,
            }
            // Somebody else may have come first with the same.
            if let Some((known, value)) = slot.get()
                && *known == entry.0
            {
                return Arc::clone(value);
            }
        }
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MAX_OTHERS {
            others.clear();
        }
        let (key, value) = entry;
        Arc::clone(others.entry(key).or_insert(value))
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self {
            first: Default::default(),
            others: RwLock::default(),
        }
    }
}
