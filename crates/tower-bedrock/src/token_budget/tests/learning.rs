use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::super::{
    allowance::Allowance,
    ledger::{Ledger, Sent},
    window::{MINUTE, Meter, SECOND, Sliding, UNLIMITED},
};
use crate::cause::Limit;

const TICK: u64 = SECOND / 20;

/// The service's quota of tokens: a token bucket, or a sliding log.
enum Service {
    Bucket {
        quota: u64,
        level: f64,
        at: u64,
    },
    Log {
        quota: u64,
        log: VecDeque<(u64, u64)>,
        sum: u64,
    },
}

impl Service {
    fn admits(&mut self, now: u64, tokens: u64) -> bool {
        match self {
            Self::Bucket { quota, level, at } => {
                let refill = *quota as f64 * (now - *at) as f64 / MINUTE as f64;
                *level = (*level + refill).min(*quota as f64);
                *at = now;
                let fits = *level >= tokens as f64;
                if fits {
                    *level -= tokens as f64;
                }
                fits
            }
            Self::Log { quota, log, sum } => {
                while log.front().is_some_and(|(at, _)| now - at >= MINUTE) {
                    *sum -= log.pop_front().unwrap().1;
                }
                let fits = *sum + tokens <= *quota;
                if fits {
                    log.push_back((now, tokens));
                    *sum += tokens;
                }
                fits
            }
        }
    }
}

/// A process with more to send than it may: as many callers as there are, each of which asks again
/// after a backoff when it was refused.
struct Process {
    ledger: Ledger,
    waiting: usize,
    sleeping: BinaryHeap<Reverse<u64>>,
    running: BinaryHeap<Reverse<(u64, u64)>>,
    sent: Vec<(Sent, u64)>,
    sizes: (u64, u64),
    accepted: Vec<(u64, u64)>,
    refusals: Vec<u64>,
}

impl Process {
    fn new(quota: u64, sizes: (u64, u64)) -> Self {
        let tokens = Allowance::new(
            quota,
            Meter::Sliding(Sliding::new(MINUTE + SECOND / 4)),
            None,
            true,
        );
        let requests = Allowance::new(
            UNLIMITED,
            Meter::Sliding(Sliding::new(MINUTE + SECOND / 4)),
            None,
            true,
        );
        Self {
            ledger: Ledger::new(requests, tokens),
            waiting: 200,
            sleeping: BinaryHeap::new(),
            running: BinaryHeap::new(),
            sent: Vec::new(),
            sizes,
            accepted: Vec::new(),
            refusals: Vec::new(),
        }
    }

    fn tick(&mut self, now: u64, service: &mut Service, rng: &mut StdRng) {
        self.ledger.advance(now);
        while self.sleeping.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.sleeping.pop();
            self.waiting += 1;
        }
        while self
            .running
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= now)
        {
            let Reverse((_, call)) = self.running.pop().unwrap();
            let (sent, held) = self.sent[call as usize];
            self.ledger.settle(sent, held, held);
            self.waiting += 1;
        }
        while self.waiting > 0 {
            let tokens = rng.random_range(self.sizes.0..=self.sizes.1);
            if !self.ledger.fits(tokens) {
                self.ledger.not_before(tokens);
                break;
            }
            self.waiting -= 1;
            self.ledger.reserve(tokens);
            let sent = self.ledger.send(tokens);
            if service.admits(now, tokens) {
                self.accepted.push((now, tokens));
                self.sent.push((sent, tokens));
                let end = now + rng.random_range(2 * SECOND..8 * SECOND);
                self.running
                    .push(Reverse((end, self.sent.len() as u64 - 1)));
            } else {
                self.refusals.push(now);
                self.ledger.refused(sent, tokens, Limit::TokensPerMinute);
                self.sleeping
                    .push(Reverse(now + rng.random_range(0..4 * SECOND)));
            }
        }
    }

    fn goodput(&self, from: u64, to: u64) -> f64 {
        let within = self
            .accepted
            .iter()
            .filter(|(at, _)| (from..to).contains(at));
        let sum: u64 = within.map(|(_, tokens)| tokens).sum();
        sum as f64 * MINUTE as f64 / (to - from) as f64
    }

    fn refused(&self, from: u64, to: u64) -> usize {
        self.refusals
            .iter()
            .filter(|at| (from..to).contains(at))
            .count()
    }
}

/// Two processes on one quota: the second joins after `joins` minutes and leaves ten minutes later.
/// Returns them after as many minutes again.
fn compete(
    service: Service,
    ceiling: u64,
    joins: u64,
    sizes: (u64, u64),
    seed: u64,
) -> [Process; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut service = service;
    let mut processes = [Process::new(ceiling, sizes), Process::new(ceiling, sizes)];
    let (joins, leaves) = (joins * MINUTE, (joins + 10) * MINUTE);
    let mut now = 0;
    while now < leaves + 10 * MINUTE {
        let goes_first = rng.random_range(0..2);
        for index in [goes_first, 1 - goes_first] {
            if index == 0 || (joins..leaves).contains(&now) {
                processes[index].tick(now, &mut service, &mut rng);
            }
        }
        now += TICK;
    }
    processes
}

fn bucket(quota: u64) -> Service {
    Service::Bucket {
        quota,
        level: quota as f64,
        at: 0,
    }
}

const QUOTA: u64 = 1_000_000;

/// Two processes that are told the same quota come within 10 % of half of it each within three
/// minutes of the second one's start, whether they start together or not, and the first one has the
/// whole within five minutes after the second has left.
#[test]
fn processes_that_compete_for_a_quota_learn_their_shares() {
    for seed in 0..10 {
        for joins in [0, 4] {
            for sizes in [(1000, 5000), (5000, 20_000)] {
                let [one, other] = compete(bucket(QUOTA), QUOTA, joins, sizes, seed);
                let start = joins * MINUTE;
                let case = format!("seed {seed}, joins after {joins} min, calls of {sizes:?}");
                for process in [&one, &other] {
                    let share = process.goodput(start + 3 * MINUTE, start + 9 * MINUTE);
                    assert!((450_000.0..550_000.0).contains(&share), "{case}: {share}");
                }
                let regrown = start + 15 * MINUTE;
                let whole = one.goodput(regrown, regrown + 4 * MINUTE);
                assert!(whole > 930_000.0, "{case}: {whole}");
            }
        }
    }
}

/// The same against a sliding log, whose refusals come in other patterns.
#[test]
fn shares_are_learned_however_the_service_counts() {
    for seed in 0..10 {
        let log = Service::Log {
            quota: QUOTA,
            log: VecDeque::new(),
            sum: 0,
        };
        let [one, other] = compete(log, QUOTA, 0, (1000, 5000), seed);
        for process in [&one, &other] {
            let share = process.goodput(3 * MINUTE, 9 * MINUTE);
            assert!(
                (450_000.0..550_000.0).contains(&share),
                "seed {seed}: {share}"
            );
        }
    }
}

/// A process alone with its quota, or with nobody to tell it, ends up using what there is; refusals
/// stay a small part of what it sends.
#[test]
fn an_unknown_quota_is_found_out() {
    for seed in 0..10 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut service = bucket(QUOTA);
        let mut process = Process::new(UNLIMITED, (1000, 5000));
        for tick in 0..20 * MINUTE / TICK {
            process.tick(tick * TICK, &mut service, &mut rng);
        }
        let (from, to) = (10 * MINUTE, 20 * MINUTE);
        assert!(process.goodput(from, to) > 950_000.0, "seed {seed}");
        let sent = process
            .accepted
            .iter()
            .filter(|(at, _)| *at >= from)
            .count();
        let refused = process.refused(from, to);
        assert!(
            refused * 20 < sent,
            "seed {seed}: {refused} refused of {sent}"
        );
    }
}

/// Refusals that never end leave a trickle, and end when the service recovers.
#[test]
fn ten_thousand_refusals_leave_a_trickle() {
    let mut ledger = Process::new(QUOTA, (1000, 1000)).ledger;
    let mut now = 0;
    let mut tries = 0;
    while tries < 10_000 {
        ledger.advance(now);
        if ledger.fits(1000) {
            ledger.reserve(1000);
            let sent = ledger.send(1000);
            ledger.refused(sent, 1000, Limit::TokensPerMinute);
            tries += 1;
        }
        now = ledger
            .not_before(1000)
            .map_or(now + TICK, |(at, _)| at.max(now + 1));
    }
    let floor = ledger.tokens.learned();
    assert_eq!(floor, QUOTA / 100);
    let outage = now;
    while ledger.tokens.learned() < UNLIMITED {
        ledger.advance(now);
        if ledger.fits(1000) {
            ledger.reserve(1000);
            ledger.send(1000);
        }
        now = ledger
            .not_before(1000)
            .map_or(now + TICK, |(at, _)| at.max(now + 1));
        assert!(
            now < outage + 5 * MINUTE,
            "still at {}",
            ledger.tokens.learned()
        );
    }
}

/// A limit that nobody needs does not grow: there is nothing to learn from silence.
#[test]
fn an_idle_limit_does_not_grow() {
    let mut ledger = Process::new(QUOTA, (1000, 1000)).ledger;
    ledger.advance(0);
    ledger.reserve(1000);
    let sent = ledger.send(1000);
    ledger.refused(sent, 1000, Limit::TokensPerMinute);
    let learned = ledger.tokens.learned();
    assert!(learned < QUOTA);
    ledger.advance(2 * MINUTE);
    let soon = ledger.tokens.learned();
    ledger.advance(600 * MINUTE);
    assert_eq!(ledger.tokens.learned(), soon);
}
