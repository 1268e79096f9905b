//! How fast those who waited for a circuit come back to it.

use std::time::Duration;

use tokio::time::Instant;

/// The last answers that are compared with the quickest: with fewer, what looks slow may be a long
/// answer.
const LATEST: usize = 8;
/// If the quickest of the last answers took so many times as long as the quickest of all, there is a
/// line in front of the service: more calls would only make it longer.
const BUSY: u32 = 3;
/// If nothing comes back for so long, one more may go: answers may take a minute.
const SILENCE: Duration = Duration::from_secs(1);

/// How many of those who waited may be under way at a time.
///
/// One at first. Each answer brings another one, so that their number doubles from round to round,
/// until something fails: that halves it, and from there on it grows by one a round. While answers
/// take longer than they did at first, it stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Ramp {
    most: u32,
    is_doubling: bool,
    /// Answers of this round, when it grows by one a round.
    of_round: u32,
    quickest: Duration,
    latest: [Duration; LATEST],
    answers: usize,
    last_sign: Instant,
}

impl Ramp {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            most: 1,
            is_doubling: true,
            of_round: 0,
            quickest: Duration::MAX,
            latest: [Duration::MAX; LATEST],
            answers: 0,
            last_sign: now,
        }
    }

    /// How many may be under way at `now`, and when that may be more by itself.
    pub(super) fn most(&mut self, now: Instant) -> (u32, Instant) {
        let silence = now.saturating_duration_since(self.last_sign);
        if silence >= SILENCE {
            self.most = self.most.saturating_add(1);
            self.last_sign = now;
        }
        let next = self.last_sign.checked_add(SILENCE).unwrap_or(now);
        (self.most, next)
    }

    /// One of them was answered, after `took`.
    pub(super) fn answered(&mut self, now: Instant, took: Duration) {
        self.last_sign = now;
        self.quickest = self.quickest.min(took);
        self.latest[self.answers % LATEST] = took;
        self.answers = self.answers.wrapping_add(1);
        self.of_round += 1;
        let is_busy = self.is_busy();
        self.is_doubling &= !is_busy;
        if self.is_doubling || self.of_round >= self.most {
            self.of_round = 0;
            self.most = if is_busy {
                (self.most - 1).max(1)
            } else {
                self.most.saturating_add(1)
            };
        }
    }

    /// One of them failed.
    pub(super) fn failed(&mut self, now: Instant) {
        self.last_sign = now;
        self.is_doubling = false;
        self.of_round = 0;
        self.most = (self.most / 2).max(1);
    }

    fn is_busy(&self) -> bool {
        let latest = self.latest.iter().min().copied().unwrap_or_default();
        self.answers >= LATEST && latest > self.quickest.saturating_mul(BUSY)
    }
}
