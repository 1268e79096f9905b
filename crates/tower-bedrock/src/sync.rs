//! The locks and atomics that calls share: the standard library's, or a model checker's in their place.
//!
//! `cargo xtask loom` builds this crate, and no other, with `--cfg loom_cores` or `--cfg
//! shuttle_cores`, and runs what is in `interleavings`. `Arc` is the standard library's everywhere:
//! the models' ones cannot be the receiver of a method.

pub(crate) use std::sync::{Arc, PoisonError};

#[cfg(loom_cores)]
use loom::sync as primitives;
#[cfg(shuttle_cores)]
use shuttle::sync as primitives;
#[cfg(not(any(loom_cores, shuttle_cores)))]
use std::sync as primitives;

#[cfg(not(any(loom_cores, shuttle_cores)))]
pub(crate) use std::sync::OnceLock;

#[cfg(all(test, loom_cores))]
pub(crate) use primitives::Condvar;
pub(crate) use primitives::{Mutex, MutexGuard, RwLock};

/// What is read and written without a lock.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::Ordering;

    pub(crate) use super::primitives::atomic::{AtomicBool, AtomicU32, AtomicU64};
}

/// A table, whose entries are gone through in the same order by each run of a model.
#[cfg(any(loom_cores, shuttle_cores))]
pub(crate) type Map<K, V> =
    std::collections::HashMap<K, V, std::hash::BuildHasherDefault<std::hash::DefaultHasher>>;
#[cfg(not(any(loom_cores, shuttle_cores)))]
pub(crate) type Map<K, V> = std::collections::HashMap<K, V>;

/// How large a table is: with one entry each, the models see what happens when tables are full.
pub(crate) const fn table_of(entries: usize) -> usize {
    if cfg!(any(loom_cores, shuttle_cores)) {
        1
    } else {
        entries
    }
}

/// The models have no `OnceLock`. This one has the standard library's hold the value, and theirs tell
/// who sees it: a load that is not ordered after the store finds nothing.
#[cfg(any(loom_cores, shuttle_cores))]
mod once_lock {
    use std::{fmt, sync};

    use super::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    };

    pub(crate) struct OnceLock<T> {
        value: sync::OnceLock<T>,
        is_set: AtomicBool,
        setting: Mutex<()>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self {
                value: sync::OnceLock::new(),
                is_set: AtomicBool::new(false),
                setting: Mutex::new(()),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            let is_set = self.is_set.load(Ordering::Acquire);
            self.value.get().filter(|_| is_set)
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            if let Some(value) = self.get() {
                return value;
            }
            let _setting = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
            let value = self.value.get_or_init(make);
            self.is_set.store(true, Ordering::Release);
            value
        }

        #[cfg(feature = "metrics")]
        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let _setting = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
            let result = self.value.set(value);
            self.is_set.store(true, Ordering::Release);
            result
        }
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T: Clone> Clone for OnceLock<T> {
        fn clone(&self) -> Self {
            let clone = Self::new();
            if let Some(value) = self.get() {
                clone.get_or_init(|| value.clone());
            }
            clone
        }
    }

    impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_tuple("OnceLock").field(&self.get()).finish()
        }
    }
}
#[cfg(any(loom_cores, shuttle_cores))]
pub(crate) use once_lock::OnceLock;
