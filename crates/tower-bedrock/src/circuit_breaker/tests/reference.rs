//! A circuit that is written as plainly as it can be.
//!
//! It keeps a list of what came when, in milliseconds, and goes through all of it each time. It shares
//! no code with the state machine.

use super::*;
use crate::circuit_breaker::outcome::Outcome;

const WINDOW: u64 = 60_000;
const BUCKET: u64 = WINDOW / 60;
const DECAY: u64 = 30_000;
const MAX_HINT: u64 = 25_000;
const PROBE_LIMIT: u64 = 4_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) min_calls: usize,
    pub(super) failure_percent: Option<usize>,
    pub(super) in_a_row: Option<usize>,
    pub(super) slow_percent: Option<usize>,
    pub(super) cooldown: u64,
    pub(super) max_cooldown: u64,
    pub(super) jitter: bool,
    pub(super) probes: usize,
    pub(super) to_close: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Closed,
    Open {
        until: u64,
    },
    HalfOpen {
        places: Vec<(u64, u64)>,
        good: usize,
    },
    ForcedOpen,
    ForcedClosed,
}

pub(super) struct Reference {
    pub(super) terms: Terms,
    pub(super) now: u64,
    pub(super) phase: Phase,
    /// Every transition makes another era.
    pub(super) era: u64,
    /// When each outcome came, whether it failed, whether it was slow.
    pub(super) outcomes: Vec<(u64, bool, bool)>,
    pub(super) in_a_row: usize,
    /// Which calls are under way, and how many there were at each mark.
    pub(super) under_way: Vec<u64>,
    pub(super) marks: Vec<(u64, u64)>,
    pub(super) cooldowns: Vec<u64>,
    pub(super) closed_since: u64,
    pub(super) hints: Vec<u64>,
    pub(super) calls: u64,
    pub(super) abandoned: u64,
    pub(super) refused: u64,
}

/// A call under way: its number, the era that let it go.
pub(super) type Going = (u64, u64);

impl Reference {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            now: 0,
            phase: Phase::Closed,
            era: 0,
            outcomes: Vec::new(),
            in_a_row: 0,
            under_way: Vec::new(),
            marks: vec![(0, 0)],
            cooldowns: Vec::new(),
            closed_since: 0,
            hints: Vec::new(),
            calls: 0,
            abandoned: 0,
            refused: 0,
        }
    }

    pub(super) fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
        self.outcomes.clear();
        self.in_a_row = 0;
    }

    /// Time goes on to `clock`, if it is not further: one that goes back stands still.
    pub(super) fn is_told(&mut self, clock: u64) {
        self.now = self.now.max(clock);
        self.mark();
    }

    /// A mark each ten seconds, when anything happens; two when nothing did for as long again.
    fn mark(&mut self) {
        let (last, _) = self.marks[self.marks.len() - 1];
        if self.now >= last + 20_000 {
            self.marks.push((self.now, self.calls));
        }
        if self.now >= last + 10_000 {
            self.marks.push((self.now, self.calls));
        }
    }

    /// Whether a call was made after the last mark but one.
    pub(super) fn is_recent(&self, number: u64) -> bool {
        let before = self.marks.len().saturating_sub(2);
        number > self.marks[before].1
    }

    pub(super) fn call(&mut self) -> Result<Going, Option<u64>> {
        let admitted = self.ask();
        if admitted.is_ok() {
            self.calls += 1;
            self.under_way.push(self.calls);
        }
        admitted
    }

    pub(super) fn ask(&mut self) -> Result<Going, Option<u64>> {
        let number = self.calls + 1;
        if let Phase::Open { until } = self.phase
            && self.now >= until
        {
            self.turn(Phase::HalfOpen {
                places: Vec::new(),
                good: 0,
            });
        }
        let now = self.now;
        let refusal = match &mut self.phase {
            Phase::Closed | Phase::ForcedClosed => return Ok((number, self.era)),
            Phase::Open { until } => Some(*until - now),
            Phase::ForcedOpen => None,
            Phase::HalfOpen { places, .. } => {
                places.retain(|(_, since)| now - since < PROBE_LIMIT);
                if places.len() < self.terms.probes {
                    places.push((number, now));
                    return Ok((number, self.era));
                }
                let oldest = places.iter().map(|(_, since)| *since).min();
                oldest.map(|since| since + PROBE_LIMIT - now)
            }
        };
        self.refused += 1;
        Err(refusal)
    }

    pub(super) fn hint(&mut self, hint: Option<Duration>) {
        let hint = hint.map(|hint| hint.as_millis() as u64);
        self.hints
            .extend(hint.map(|hint| self.now + hint.min(MAX_HINT)));
    }

    pub(super) fn end(&mut self, (number, era): Going, outcome: Outcome, permille: u64) {
        self.under_way.retain(|going| *going != number);
        if era != self.era {
            return;
        }
        let (failed, slow, hint) = match outcome {
            Outcome::Success { is_slow } => (false, is_slow, None),
            Outcome::Failure { is_slow, hint } => (true, is_slow, hint),
            Outcome::Slow { hint } => (false, true, hint),
            Outcome::Throttled { hint } => (false, false, hint),
            Outcome::Nothing => (false, false, None),
        };
        let is_success = matches!(outcome, Outcome::Success { .. });
        match &mut self.phase {
            Phase::Closed => {
                if matches!(outcome, Outcome::Throttled { .. } | Outcome::Nothing) {
                    return;
                }
                self.hint(hint);
                self.outcomes.push((self.now, failed, slow));
                if failed {
                    self.in_a_row += 1;
                } else if is_success {
                    self.in_a_row = 0;
                }
                if self.is_sick(number) {
                    let healthy = ((self.now - self.closed_since) / DECAY) as usize;
                    let left = self.cooldowns.len().saturating_sub(healthy);
                    self.cooldowns.truncate(left);
                    self.open(permille);
                }
            }
            Phase::HalfOpen { places, good } => {
                places.retain(|(taken, _)| *taken != number);
                let is_bad = failed || slow || matches!(outcome, Outcome::Throttled { .. });
                if is_bad {
                    self.hint(hint);
                    self.open(permille);
                } else if is_success {
                    *good += 1;
                    if *good >= self.terms.to_close {
                        self.closed_since = self.now;
                        self.hints.clear();
                        self.turn(Phase::Closed);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let oldest = (self.now / BUCKET).saturating_sub(59);
        let in_window = self
            .outcomes
            .iter()
            .filter(|(at, ..)| at / BUCKET >= oldest);
        (
            in_window.clone().count(),
            in_window.clone().filter(|(_, failed, _)| *failed).count(),
            in_window.filter(|(_, _, slow)| *slow).count(),
        )
    }

    /// After the call of `number` is over.
    pub(super) fn is_sick(&self, number: u64) -> bool {
        let (calls, failed, slow) = self.counts();
        let under_way = match self.is_recent(number) {
            true => (self.under_way.iter())
                .filter(|going| self.is_recent(**going))
                .count(),
            false => 0,
        };
        let enough = calls >= self.terms.min_calls;
        let over = |part: usize, of: usize, percent: Option<usize>| {
            percent.is_some_and(|percent| enough && part > 0 && part * 100 >= of * percent)
        };
        over(failed, calls + under_way, self.terms.failure_percent)
            || over(slow, calls, self.terms.slow_percent)
            || (self.terms.in_a_row)
                .is_some_and(|most| self.in_a_row >= most && self.in_a_row >= under_way)
    }

    pub(super) fn open(&mut self, permille: u64) {
        let mut whole = self.terms.cooldown;
        for _ in &self.cooldowns {
            whole = (whole * 2).min(self.terms.max_cooldown);
        }
        if whole < self.terms.max_cooldown {
            self.cooldowns.push(whole);
        }
        let hinted = self.hints.iter().max().copied().unwrap_or(0);
        let floor = hinted.saturating_sub(self.now);
        self.hints.clear();
        let until = if self.terms.jitter {
            self.now + floor.max(whole / 2) + (whole / 2) * permille / 1000
        } else {
            self.now + floor.max(whole)
        };
        self.turn(Phase::Open { until });
    }

    pub(super) fn begin_anew(&mut self) {
        self.cooldowns.clear();
        self.hints.clear();
        self.closed_since = self.now;
        self.turn(Phase::Closed);
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed | Phase::ForcedClosed => CircuitState::Closed,
            Phase::Open { .. } | Phase::ForcedOpen => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    pub(super) fn places(&self) -> usize {
        match &self.phase {
            Phase::HalfOpen { places, .. } => {
                let taken = places
                    .iter()
                    .filter(|(_, since)| self.now - since < PROBE_LIMIT);
                taken.count()
            }
            _ => 0,
        }
    }
}

impl Terms {
    pub(super) fn policy(self) -> CircuitPolicy {
        let rate = |percent: usize| percent as f64 / 100.0;
        let mut policy = CircuitPolicy::new()
            .with_window(millis(WINDOW))
            .with_min_calls(self.min_calls as u32)
            .without_failure_rate()
            .without_consecutive_failures()
            .with_cooldown(millis(self.cooldown), millis(self.max_cooldown))
            .with_cooldown_decay(millis(DECAY))
            .with_max_server_hint(millis(MAX_HINT))
            .with_probes(self.probes as u32)
            .with_successes_to_close(self.to_close as u32)
            .with_probe_limit(millis(PROBE_LIMIT));
        if !self.jitter {
            policy = policy.without_cooldown_jitter();
        }
        if let Some(percent) = self.failure_percent {
            policy = policy.with_failure_rate(rate(percent));
        }
        if let Some(most) = self.in_a_row {
            policy = policy.with_consecutive_failures(most as u32);
        }
        if let Some(percent) = self.slow_percent {
            policy = policy.with_slow_calls(secs(1), rate(percent));
        }
        policy
    }
}
