//! What a batch yields, and what is left of one that is broken off.

use std::fmt;

/// What became of one request of a [`Batch`](crate::Batch).
///
/// `Debug` shows key and request only: answers are private.
#[derive(Clone)]
#[non_exhaustive]
pub struct BatchItem<K, R, T, E> {
    /// The caller's own key.
    pub key: K,
    /// The request as the caller gave it, to be made again if it failed.
    pub request: R,
    /// The answer, or why there is none.
    pub result: Result<T, E>,
}

/// What is left of a batch that is broken off, so that it can be gone on with.
///
/// `Debug` shows counts only.
#[non_exhaustive]
pub struct BatchRemains<K, R, T, E, I> {
    /// What had finished and was not yielded yet: results that waited for one before them, where the
    /// batch yields them in order.
    pub finished: Vec<BatchItem<K, R, T, E>>,
    /// What had been started and has no result, in the order in which it was pulled. The calls are
    /// dropped; the service may have done, and billed, their work.
    pub unfinished: Vec<(K, R)>,
    /// What was never pulled.
    pub input: I,
}

impl<K: fmt::Debug, R: fmt::Debug, T, E> fmt::Debug for BatchItem<K, R, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchItem")
            .field("key", &self.key)
            .field("request", &self.request)
            .field("is_ok", &self.result.is_ok())
            .finish_non_exhaustive()
    }
}

impl<K, R, T, E, I> fmt::Debug for BatchRemains<K, R, T, E, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchRemains")
            .field("finished", &self.finished.len())
            .field("unfinished", &self.unfinished.len())
            .finish_non_exhaustive()
    }
}
