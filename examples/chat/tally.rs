//! What happened lately, as the layers tell it: what the page draws beside the gauges.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;
use tower_bedrock::{
    Cause, CircuitEvent, Error, FallbackEvent, PoolEvent, RetryEvent, Served, TokenBudgetEvent,
};

/// How many seconds are remembered.
const SECONDS: usize = 90;
/// What shares and waits are told of.
const LATELY: u64 = 30;
/// How many remarks are kept.
const NOTES: usize = 8;

/// Counts what the layers tell. One lock for all: it is held for an addition or two.
#[derive(Debug)]
pub(crate) struct Tally {
    start: Instant,
    lately: Mutex<Lately>,
}

#[derive(Debug, Default)]
struct Lately {
    seconds: VecDeque<Second>,
    notes: VecDeque<Note>,
    totals: Counts,
}

/// Something worth a line.
#[derive(Debug)]
struct Note {
    at: Duration,
    /// What it is about, if a later note about the same takes its place.
    about: Option<String>,
    text: String,
}

/// What happened within one second.
#[derive(Debug, Default)]
struct Second {
    number: u64,
    counts: Counts,
    routes: BTreeMap<String, u64>,
    waits: Waits,
}

/// Attempts by what came back, and what the layers refused themselves.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// Calls that were answered.
    pub(crate) answered: u64,
    /// Attempts that the service refused for want of quota: 429.
    pub(crate) throttled: u64,
    /// Attempts that the service refused for want of capacity: 503.
    pub(crate) unavailable: u64,
    /// Attempts that failed otherwise.
    pub(crate) broken: u64,
    /// Refusals by our own layers; nothing was sent.
    pub(crate) refused: u64,
    /// Calls that moved to another route.
    pub(crate) moved: u64,
    /// Calls that failed in the end.
    pub(crate) failed: u64,
}

/// Waits by what was waited for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Waits {
    pub(crate) quota: Wait,
    pub(crate) pool: Wait,
    pub(crate) retry: Wait,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Wait {
    pub(crate) calls: u64,
    pub(crate) total_ms: u64,
    pub(crate) longest_ms: u64,
}

/// What the page is told.
#[derive(Debug, Serialize)]
pub(crate) struct History {
    /// Since the start, so that the page knows where the series ends.
    pub(crate) second: u64,
    /// The last seconds, oldest first, those without events left out: the second, then the counts in
    /// their order.
    pub(crate) series: Vec<[u64; 8]>,
    pub(crate) totals: Counts,
    /// Answers by route, of the last half minute.
    pub(crate) routes: BTreeMap<String, u64>,
    /// Of the last half minute.
    pub(crate) waits: Waits,
    /// The latest first, with how many seconds ago.
    pub(crate) notes: Vec<(u64, String)>,
}

// === impl Tally ===

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            lately: Mutex::default(),
        }
    }

    /// What became of a call in the end.
    pub(crate) fn outcome(&self, outcome: Result<&Served, &Error>) {
        self.change(|second| match outcome {
            Ok(served) => {
                second.counts.answered += 1;
                *second.routes.entry(served.route.to_string()).or_default() += 1;
            }
            Err(_) => second.counts.failed += 1,
        });
    }

    pub(crate) fn retry(&self, event: &RetryEvent<'_>) {
        match event {
            RetryEvent::Retrying { error, after, .. } => self.change(|second| {
                second.counts.attempt_failed(error.cause());
                second.waits.retry.add(*after);
            }),
            RetryEvent::GaveUp { error, .. } => {
                self.change(|second| second.counts.attempt_failed(error.cause()));
            }
            _ => {}
        }
    }

    pub(crate) fn fallback(&self, event: &FallbackEvent<'_>) {
        if let FallbackEvent::Moved { .. } = event {
            self.change(|second| second.counts.moved += 1);
        }
    }

    pub(crate) fn circuit(&self, event: &CircuitEvent<'_>) {
        if let CircuitEvent::Changed { transition, .. } = event {
            let (route, to) = (&transition.route, transition.to);
            let text = format!("{route} {to} ({})", transition.reason);
            tracing::info!("{text}");
            self.note(None, text);
        }
    }

    pub(crate) fn budget(&self, event: &TokenBudgetEvent<'_>) {
        match event {
            TokenBudgetEvent::Waited { waited, .. } => {
                self.change(|second| second.waits.quota.add(*waited));
            }
            TokenBudgetEvent::Learned {
                key,
                limit,
                learned,
                ..
            } => {
                let about = format!("{key}: {limit}");
                let text = format!("{about} learned, {learned}");
                self.note(Some(about), text);
            }
            TokenBudgetEvent::DayUsedUp { key, .. } => {
                let text = format!("{key}: the day's tokens are used up");
                tracing::warn!("{text}");
                self.note(None, text);
            }
            _ => {}
        }
    }

    pub(crate) fn pool(&self, event: &PoolEvent<'_>) {
        if let PoolEvent::Waited { waited, .. } = event {
            self.change(|second| second.waits.pool.add(*waited));
        }
    }

    pub(crate) fn history(&self) -> History {
        let now = self.start.elapsed();
        let second = now.as_secs();
        let mut lately = self.lock();
        lately.forget_before(second);
        let mut routes = BTreeMap::new();
        let mut waits = Waits::default();
        for second in lately
            .seconds
            .iter()
            .filter(|one| one.number + LATELY > second)
        {
            for (route, answers) in &second.routes {
                *routes.entry(route.clone()).or_default() += answers;
            }
            waits.add(&second.waits);
        }
        History {
            second,
            series: lately
                .seconds
                .iter()
                .map(|second| second.counts.in_row(second.number))
                .collect(),
            totals: lately.totals,
            routes,
            waits,
            notes: lately
                .notes
                .iter()
                .map(|note| (now.saturating_sub(note.at).as_secs(), note.text.clone()))
                .collect(),
        }
    }

    fn change(&self, change: impl Fn(&mut Second)) {
        let number = self.start.elapsed().as_secs();
        let mut lately = self.lock();
        if lately
            .seconds
            .back()
            .is_none_or(|last| last.number < number)
        {
            lately.forget_before(number);
            lately.seconds.push_back(Second {
                number,
                ..Second::default()
            });
        }
        let mut only = Second::default();
        change(&mut only);
        lately.totals.add(&only.counts);
        if let Some(second) = lately.seconds.back_mut() {
            change(second);
        }
    }

    fn note(&self, about: Option<String>, text: String) {
        let at = self.start.elapsed();
        let mut lately = self.lock();
        if about.is_some() {
            lately.notes.retain(|note| note.about != about);
        }
        lately.notes.push_front(Note { at, about, text });
        lately.notes.truncate(NOTES);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lately ===

impl Lately {
    fn forget_before(&mut self, now: u64) {
        let is_old = |second: &Second| second.number + SECONDS as u64 <= now;
        while self.seconds.front().is_some_and(is_old) {
            self.seconds.pop_front();
        }
    }
}

// === impl Counts ===

impl Counts {
    fn attempt_failed(&mut self, cause: Cause) {
        *match cause {
            cause if cause.is_own_refusal() => &mut self.refused,
            cause if cause.is_throttle() => &mut self.throttled,
            Cause::ModelNotReady => &mut self.throttled,
            Cause::ServiceUnavailable | Cause::CapacityExceeded => &mut self.unavailable,
            _ => &mut self.broken,
        } += 1;
    }

    const fn in_row(&self, second: u64) -> [u64; 8] {
        [
            second,
            self.answered,
            self.throttled,
            self.unavailable,
            self.broken,
            self.refused,
            self.moved,
            self.failed,
        ]
    }

    const fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.throttled += other.throttled;
        self.unavailable += other.unavailable;
        self.broken += other.broken;
        self.refused += other.refused;
        self.moved += other.moved;
        self.failed += other.failed;
    }
}

// === impl Wait ===

impl Waits {
    fn add(&mut self, other: &Self) {
        self.quota.merge(&other.quota);
        self.pool.merge(&other.pool);
        self.retry.merge(&other.retry);
    }
}

impl Wait {
    fn add(&mut self, waited: Duration) {
        let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.merge(&Self {
            calls: 1,
            total_ms: ms,
            longest_ms: ms,
        });
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.total_ms = self.total_ms.saturating_add(other.total_ms);
        self.longest_ms = self.longest_ms.max(other.longest_ms);
    }
}
