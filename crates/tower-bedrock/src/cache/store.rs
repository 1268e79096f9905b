use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::{notification::RemovalCause, sync::Cache};
use tokio::time::Instant;

use super::error::InvalidCache;
use crate::{call_key::CallKey, clock, replay::Kept};

/// More than a process lives, and less than moka refuses.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// What an entry weighs beside its input and its answer: key, route, and moka's own book-keeping.
const OVERHEAD: usize = 512;

/// The answers that a [`CacheLayer`](crate::CacheLayer) keeps, to be looked at and thrown away.
///
/// # Shared state
///
/// Clones are the same store.
#[derive(Clone)]
pub struct CacheStore {
    entries: Cache<CallKey, Entry>,
    ttl: Duration,
    evicted: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Entry {
    /// A `Kept` answer, of the type that the call's service gives.
    answer: Arc<dyn Any + Send + Sync>,
    kept_at: Instant,
    bytes: u32,
}

/// An answer that was found.
pub(super) struct Found<A> {
    pub(super) answer: Arc<Kept<A>>,
    pub(super) age: Duration,
}

impl CacheStore {
    pub(super) fn new(max_bytes: u64, ttl: Duration) -> Result<Self, InvalidCache> {
        if max_bytes == 0 {
            return Err(InvalidCache::ZeroCapacity);
        }
        if ttl.is_zero() {
            return Err(InvalidCache::ZeroTimeToLive);
        }
        let evicted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&evicted);
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_: &CallKey, entry: &Entry| entry.bytes)
            // By the clock on the wall, to free the room; by ours an answer is too old for all.
            .time_to_live(ttl.min(LONGEST))
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        Ok(Self {
            entries,
            ttl,
            evicted,
        })
    }

    /// How many answers are kept.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    /// What they weigh together, with their inputs, in bytes. An estimate: of what is in them by its
    /// length, and of the rest roughly.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.weighted_size()
    }

    /// The most that they may weigh together.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.entries.policy().max_capacity().unwrap_or(u64::MAX)
    }

    /// How long an answer is kept.
    #[must_use]
    pub const fn time_to_live(&self) -> Duration {
        self.ttl
    }

    /// How many answers were given up so far for want of room, those included that were not let in for
    /// others that are asked for more often.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Throws everything away, when the guardrail, the prompt or the model behind a name has changed,
    /// say. What is under way is kept all the same.
    pub fn clear(&self) {
        self.entries.invalidate_all();
    }

    /// The answer to the call of `key`, if there is one of this type.
    pub(super) fn get<A: Send + Sync + 'static>(&self, key: &CallKey) -> Option<Found<A>> {
        let entry = self.entries.get(key)?;
        let age = clock::now().saturating_duration_since(entry.kept_at);
        if age >= self.ttl {
            self.entries.invalidate(key);
            return None;
        }
        let answer = entry.answer.downcast().ok()?;
        Some(Found { answer, age })
    }

    /// The most bytes that an answer to the call of `key` may hold.
    pub(super) fn room_for(&self, key: &CallKey) -> usize {
        let room = usize::try_from(self.max_bytes()).unwrap_or(usize::MAX);
        room.saturating_sub(weight_of(key))
    }

    /// Keeps an answer, and says what it weighs.
    pub(super) fn put<A: Send + Sync + 'static>(&self, key: CallKey, answer: Kept<A>) -> u64 {
        let bytes = weight_of(&key).saturating_add(answer.bytes);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let entry = Entry {
            answer: Arc::new(answer),
            kept_at: Instant::now(),
            bytes,
        };
        self.entries.insert(key, entry);
        bytes.into()
    }
}

fn weight_of(key: &CallKey) -> usize {
    key.bytes().saturating_add(OVERHEAD)
}

impl fmt::Debug for CacheStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheStore")
            .field("entries", &self.entries.entry_count())
            .field("bytes", &self.entries.weighted_size())
            .field("max_bytes", &self.max_bytes())
            .field("time_to_live", &self.ttl)
            .finish_non_exhaustive()
    }
}
