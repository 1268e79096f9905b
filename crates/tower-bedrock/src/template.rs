//! A service to take copies of, when a call goes on.

use crate::sync::{Mutex, OnceLock, PoisonError};

/// A service as it was when the first call was made by any of its clones.
///
/// A call that goes on, to be made again or elsewhere, needs an instance of its own, and most calls do
/// not go on. So they take one along with them only then: not a clone for each call, which is as many
/// counters written as there are layers below.
pub(crate) struct Template<S>(OnceLock<Mutex<S>>);

impl<S> Template<S> {
    /// Keeps `service`, unless one is kept.
    #[inline]
    pub(crate) fn keep(&self, service: &S)
    where
        S: Clone,
    {
        self.0.get_or_init(|| Mutex::new(service.clone()));
    }

    /// A service of one's own, which is not ready; `None` if none was kept.
    pub(crate) fn copy(&self) -> Option<S>
    where
        S: Clone,
    {
        let kept = self.0.get()?;
        Some(kept.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl<S> Default for Template<S> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}
