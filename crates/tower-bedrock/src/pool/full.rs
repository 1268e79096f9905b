//! How many pools are full: while none is, nobody has to look for one.

use crate::sync::atomic::{AtomicU32, Ordering};

/// How many of the pools have no place that is free at once.
#[derive(Debug, Default)]
pub(super) struct Full(AtomicU32);

impl Full {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    pub(super) fn remove(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// Other pools begin with none.
impl Clone for Full {
    fn clone(&self) -> Self {
        Self::default()
    }
}
