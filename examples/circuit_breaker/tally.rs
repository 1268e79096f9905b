//! What calls got.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use tower_bedrock::{Cause, CircuitOpen};

use crate::Outcome;

/// How often it is shown.
const PERIOD: Duration = Duration::from_millis(500);
/// Far above what any call of this example takes.
const LONGEST: Duration = Duration::from_secs(600);

/// What calls got so far.
#[derive(Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    answered: Times,
    refused: Times,
    failed: BTreeMap<Cause, Times>,
    /// As of when it was shown last: answered, failed, refused.
    shown: [u64; 3],
    periods: u32,
}

/// How many, and how long they took in microseconds.
struct Times(Histogram<u64>);

impl Tally {
    pub(crate) fn count(&self, outcome: &Outcome, took: Duration) {
        let mut counts = self.lock();
        let times = match outcome {
            Ok(()) => &mut counts.answered,
            Err(error) if CircuitOpen::of(error).is_some() => &mut counts.refused,
            Err(error) => counts.failed.entry(error.cause()).or_default(),
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        times.0.saturating_record(micros);
    }

    /// Whether it is time to show what happened since it was shown last.
    pub(crate) fn is_due(&self, elapsed: Duration) -> bool {
        let mut counts = self.lock();
        let is_due = elapsed >= PERIOD * (counts.periods + 1);
        counts.periods += u32::from(is_due);
        is_due
    }

    /// Calls that the circuit refused.
    pub(crate) fn refused(&self) -> u64 {
        self.lock().refused.0.len()
    }

    /// Calls that it let through.
    pub(crate) fn sent(&self) -> u64 {
        let counts = self.lock();
        counts.answered.0.len() + counts.failures()
    }

    pub(crate) fn summary(&self) -> String {
        let counts = self.lock();
        let mut lines = vec![format!("{:<28}{}", "answered", counts.answered)];
        for (cause, times) in &counts.failed {
            lines.push(format!("{:<28}{times}", format!("failed: {cause}")));
        }
        lines.push(format!(
            "{:<28}{}",
            "refused by the circuit", counts.refused
        ));
        lines.join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn failures(&self) -> u64 {
        self.failed.values().map(|times| times.0.len()).sum()
    }
}

/// What happened since it was shown last.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = self.lock();
        let now = [
            counts.answered.0.len(),
            counts.failures(),
            counts.refused.0.len(),
        ];
        let [answered, failed, refused] = [0, 1, 2].map(|i| now[i] - counts.shown[i]);
        counts.shown = now;
        write!(
            f,
            "{answered:>3} answered {failed:>3} failed {refused:>3} refused at once"
        )
    }
}

impl Default for Times {
    fn default() -> Self {
        let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
        Self(Histogram::new_with_max(longest, 3).expect("a range and a precision that exist"))
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = Duration::from_micros(self.0.value_at_quantile(0.5));
        write!(f, "{:>5}   half of them within {median:?}", self.0.len())
    }
}
