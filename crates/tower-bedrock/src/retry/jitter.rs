//! Where the randomness of waits comes from.

use std::fmt;

use rand::{Rng, SeedableRng, rngs::StdRng, rngs::SysRng};

use crate::sync::{Arc, Mutex, PoisonError};

/// The source of all jitter of a layer, seeded by the operating system or by hand.
///
/// # Shared state
///
/// Clones draw from one sequence, so no two calls ever get the same waits.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Jitter, RetryLayer};
///
/// // A test that wants to see the same waits each time.
/// let layer = RetryLayer::new().with_jitter(Jitter::seeded(7));
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct Jitter(Arc<Mutex<StdRng>>);

impl Jitter {
    /// Seeded by the operating system; by the time of day if it has no randomness to give.
    #[must_use]
    pub fn new() -> Self {
        let rng = StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| {
            #[allow(clippy::disallowed_methods)]
            let now = std::time::SystemTime::now();
            let since = now
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            StdRng::seed_from_u64(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
        });
        Self(Arc::new(Mutex::new(rng)))
    }

    /// The same sequence for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    pub(crate) fn with<T>(&self, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        draw(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jitter").finish_non_exhaustive()
    }
}
