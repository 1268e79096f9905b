//! The state machine against one that is written as plainly as it can be.
//!
//! The reference keeps a list of what came when, in milliseconds, and goes through all of it each
//! time. It shares no code with the state machine.

use proptest::prelude::*;

use super::*;
use crate::circuit_breaker::breaker::{Breaker, Outcome, Refused, Ticket};

const WINDOW: u64 = 60_000;
const BUCKET: u64 = WINDOW / 60;
const DECAY: u64 = 30_000;
const MAX_HINT: u64 = 25_000;
const PROBE_LIMIT: u64 = 4_000;

/// What can happen to a circuit.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time goes on, or back a little.
    Wait(u64),
    Back(u64),
    Call,
    /// One of the calls under way ends.
    End(usize, Outcome),
    Drop(usize, Outcome),
    ForceOpen,
    ForceClosed,
    Reset,
}

#[derive(Clone, Copy, Debug)]
struct Terms {
    min_calls: usize,
    failure_percent: Option<usize>,
    in_a_row: Option<usize>,
    slow_percent: Option<usize>,
    cooldown: u64,
    max_cooldown: u64,
    jitter: bool,
    probes: usize,
    to_close: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
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

struct Reference {
    terms: Terms,
    now: u64,
    phase: Phase,
    /// Every transition makes another era.
    era: u64,
    /// When each outcome came, whether it failed, whether it was slow.
    outcomes: Vec<(u64, bool, bool)>,
    in_a_row: usize,
    /// Which calls are under way, and how many there were at each mark.
    under_way: Vec<u64>,
    marks: Vec<(u64, u64)>,
    cooldowns: Vec<u64>,
    closed_since: u64,
    hints: Vec<u64>,
    calls: u64,
    abandoned: u64,
    refused: u64,
}

/// A call under way: its number, the era that let it go.
type Going = (u64, u64);

impl Reference {
    fn new(terms: Terms) -> Self {
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

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
        self.outcomes.clear();
        self.in_a_row = 0;
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
    fn is_recent(&self, number: u64) -> bool {
        let before = self.marks.len().saturating_sub(2);
        number > self.marks[before].1
    }

    fn call(&mut self) -> Result<Going, Option<u64>> {
        let admitted = self.ask();
        if admitted.is_ok() {
            self.calls += 1;
            self.under_way.push(self.calls);
        }
        admitted
    }

    fn ask(&mut self) -> Result<Going, Option<u64>> {
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

    fn hint(&mut self, hint: Option<Duration>) {
        let hint = hint.map(|hint| hint.as_millis() as u64);
        self.hints
            .extend(hint.map(|hint| self.now + hint.min(MAX_HINT)));
    }

    fn end(&mut self, (number, era): Going, outcome: Outcome, permille: u64) {
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

    fn counts(&self) -> (usize, usize, usize) {
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
    fn is_sick(&self, number: u64) -> bool {
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

    fn open(&mut self, permille: u64) {
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

    fn begin_anew(&mut self) {
        self.cooldowns.clear();
        self.hints.clear();
        self.closed_since = self.now;
        self.turn(Phase::Closed);
    }

    fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed | Phase::ForcedClosed => CircuitState::Closed,
            Phase::Open { .. } | Phase::ForcedOpen => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    fn places(&self) -> usize {
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
    fn policy(self) -> CircuitPolicy {
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

/// A step from three numbers: drawn like that, a case costs a tenth of what strategies for each kind
/// of step cost.
fn step((kind, size, more): (u8, u16, u16)) -> Step {
    let size = u64::from(size);
    let hint = (more % 5 == 0).then(|| millis(u64::from(more)));
    let is_slow = more % 3 == 0;
    let outcome = match more % 20 {
        0..6 => Outcome::Success { is_slow },
        6..14 => Outcome::Failure { is_slow, hint },
        14..16 => Outcome::Slow { hint },
        16..18 => Outcome::Throttled { hint },
        _ => Outcome::Nothing,
    };
    match kind % 40 {
        0..6 => Step::Wait(size % 3_000),
        6 => Step::Wait(size * 2),
        7 => Step::Wait(60 * 24 * 3_600_000),
        8 => Step::Back(size % 5_000),
        9..23 => Step::Call,
        23..36 => Step::End(usize::from(more), outcome),
        36..39 => Step::Drop(usize::from(more), outcome),
        _ => match size % 3 {
            0 => Step::ForceOpen,
            1 => Step::ForceClosed,
            _ => Step::Reset,
        },
    }
}

prop_compose! {
    fn terms()(
        min_calls in 1_usize..8,
        failure_percent in prop::option::of(1_usize..=100),
        in_a_row in 1_usize..8,
        has_row in any::<bool>(),
        slow_percent in prop::option::of(1_usize..=100),
        cooldown in 1_u64..8,
        longer in 0_u64..12,
        jitter in any::<bool>(),
        probes in 1_usize..4,
        to_close in 1_usize..4,
    ) -> Terms {
        // So that a thousandth of half of it is a whole millisecond.
        let cooldown = cooldown * 2_000;
        Terms {
            min_calls,
            failure_percent,
            in_a_row: (has_row || failure_percent.is_none()).then_some(in_a_row),
            slow_percent,
            cooldown,
            max_cooldown: cooldown + longer * 2_000,
            jitter,
            probes,
            to_close,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12_000))]

    /// Whatever happens, in whatever order: who is admitted, who is refused and for how long, what is
    /// counted, and the state are the same as of the reference. Nobody is admitted while it is open,
    /// and no more probes have a place than may.
    #[test]
    fn behaves_like_the_reference(
        terms in terms(),
        steps in prop::collection::vec(any::<(u8, u16, u16)>(), 1..80),
    ) {
        let policy = terms.policy();
        policy.check().unwrap();
        let start = Instant::now();
        let mut breaker = Breaker::new(start, policy);
        let mut reference = Reference::new(terms);
        let mut going: Vec<(Ticket, Going)> = Vec::new();
        let mut clock = 0;
        for numbers in steps {
            let (step, permille) = (step(numbers), u64::from(numbers.1 % 1001));
            let draw = |most: Duration| most * permille as u32 / 1000;
            match step {
                Step::Wait(millis) => clock += millis,
                Step::Back(millis) => clock = clock.saturating_sub(millis),
                _ => {}
            }
            let now = start + millis(clock);
            let is_end = matches!(step, Step::End(..) | Step::Drop(..));
            if matches!(step, Step::Wait(_) | Step::Back(_)) || (is_end && going.is_empty()) {
                continue;
            }
            // A clock that goes back stands still for the circuit.
            reference.now = reference.now.max(clock);
            reference.mark();
            match step {
                Step::Wait(_) | Step::Back(_) => {}
                Step::Call => {
                    let was_closed = breaker.passes().is_some();
                    let (admitted, _) = breaker.admit(now);
                    let expected = reference.call();
                    match (admitted, expected) {
                        (Ok(ticket), Ok(expected)) => {
                            prop_assert!(was_closed || breaker.state() == CircuitState::HalfOpen);
                            going.push((ticket, expected));
                        }
                        (Err(Refused::Open { retry_in }), Err(expected)) => {
                            prop_assert!(!was_closed);
                            prop_assert_eq!(retry_in, expected.map(millis));
                        }
                        (admitted, expected) => {
                            prop_assert!(false, "{admitted:?} is not {expected:?}");
                        }
                    }
                }
                Step::End(which, outcome) | Step::Drop(which, outcome) => {
                    let (ticket, expected) = going.swap_remove(which % going.len());
                    if let Step::Drop(..) = step {
                        breaker.abandon(now, ticket, outcome, draw);
                        reference.abandoned += 1;
                    } else {
                        breaker.settle(now, ticket, outcome, draw);
                    }
                    reference.end(expected, outcome, permille);
                }
                Step::ForceOpen => {
                    breaker.force_open(now);
                    if reference.phase != Phase::ForcedOpen {
                        reference.turn(Phase::ForcedOpen);
                    }
                }
                Step::ForceClosed => {
                    breaker.force_closed(now);
                    if reference.phase != Phase::ForcedClosed {
                        reference.turn(Phase::ForcedClosed);
                    }
                }
                Step::Reset => {
                    breaker.reset(now);
                    reference.begin_anew();
                }
            }
            let view = breaker.view(now);
            let counts = (view.counts.calls, view.counts.failures, view.counts.slow);
            let expected = reference.counts();
            prop_assert_eq!(
                counts,
                (expected.0 as u32, expected.1 as u32, expected.2 as u32)
            );
            prop_assert_eq!(view.state, reference.state());
            prop_assert_eq!(view.generation, reference.era);
            prop_assert_eq!(view.consecutive_failures as usize, reference.in_a_row);
            prop_assert_eq!(view.probes, reference.places());
            prop_assert!(view.probes <= terms.probes);
            prop_assert_eq!(view.abandoned, reference.abandoned);
            prop_assert_eq!(view.refused, reference.refused);
        }
    }
}
