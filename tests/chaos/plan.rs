//! What a seed stands for.

use std::{ops::Range, time::Duration};

use bedrock_sim::{
    DownAnswer, ErrorSpec, ErrorText, FaultKind, FaultSpec, ModelSpec, QuotaOptions, Recording,
    RecordingEnd, RetryAfterHint, Scenario, WhenFull, Window,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tower_bedrock::{
    CircuitBreakers, CircuitPolicy, FallbackLayer, Jitter, Ladder, Pools, Quota, QuotaWindow,
    Quotas, RetryLayer, Route, Rung, StackBuilder, StackLayer, TokenBudgetLayer,
};
use tower_bedrock_tests::{
    MODEL,
    face::{Ask, FaceKind},
};

use crate::turn::{Turn, part};

pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "us-east-2"];

/// How long things go wrong.
pub(crate) const CHAOS: Duration = Duration::from_secs(90);

/// The longest pause of a circuit.
pub(crate) const MAX_COOLDOWN: Duration = Duration::from_secs(20);

/// A service, its faults, a stack, callers, and what is done meanwhile.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) kind: FaceKind,
    pub(crate) scenario: Scenario,
    pub(crate) callers: Vec<Caller>,
    /// What is done when, in order.
    pub(crate) turns: Vec<(Duration, Turn)>,
    /// How long the machine sleeps in all.
    pub(crate) sleeps: Duration,
    pub(crate) places: usize,
    pub(crate) probes: u32,
    /// Whether the layers know the service's quotas.
    pub(crate) knows_quotas: bool,
    /// Whether what streams say is what they are charged for. A recording plays one answer, and is
    /// charged for another.
    pub(crate) is_charged_as_told: bool,
    /// Whether one of the faults closes a day's quota, for an hour.
    pub(crate) closes_the_day: bool,
    requests_per_minute: u64,
    tokens_per_minute: u64,
    window: QuotaWindow,
    learns: bool,
    ladder: Ladder,
    patience: Duration,
    max_waiting: usize,
    policy: CircuitPolicy,
}

/// Somebody who makes a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) at: Duration,
    pub(crate) ask: Ask,
    /// When they go away, whatever becomes of it.
    pub(crate) stays: Option<Duration>,
}

pub(crate) fn route(region: &str) -> Route {
    Route::to(MODEL.parse().expect("a model id")).in_region(region)
}

struct Dice(StdRng);

impl Dice {
    fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.0.random_range(range))
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.random_range(0..all.len())]
    }

    fn chance(&mut self, chance: f64) -> bool {
        self.0.random_bool(chance)
    }

    fn upto(&mut self, range: Range<u64>) -> u64 {
        self.0.random_range(range)
    }
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let dice = &mut Dice(StdRng::seed_from_u64(seed));
        let requests_per_minute = dice.upto(8..90);
        let tokens_per_minute = requests_per_minute * dice.upto(40..150);
        let faults: Vec<_> = (0..dice.upto(2..9)).map(|_| fault(dice)).collect();
        let closes_the_day = faults.iter().any(|fault| match &fault.what {
            FaultKind::Error(error) => *error == ErrorText::TokensPerDay.into(),
            _ => false,
        });
        let is_charged_as_told = !faults
            .iter()
            .any(|fault| matches!(fault.what, FaultKind::Recording(_)));
        let counting = dice.of(&[
            Window::TokenBucket { burst_seconds: 60 },
            Window::SlidingWindow,
            Window::FixedMinute,
        ]);
        let knows_quotas = dice.chance(0.7);
        let window = match counting {
            Window::TokenBucket { .. } if dice.chance(0.3) => QuotaWindow::TokenBucket {
                burst: Duration::from_secs(60),
            },
            _ => QuotaWindow::Sliding,
        };
        let model = model(dice).rpm(requests_per_minute).tpm(tokens_per_minute);
        let scenario = Scenario::builder()
            .seed(seed)
            .quota(QuotaOptions::new().window(counting))
            .model(model);
        let scenario = faults.into_iter().fold(scenario, |all, one| all.fault(one));
        let places = dice.upto(1..20) as usize;
        let probes = dice.upto(1..4) as u32;
        let turns = turns(dice);
        let sleeps = turns.iter().map(|(_, turn)| match turn {
            Turn::Sleep(time) => *time,
            _ => Duration::ZERO,
        });
        Self {
            sleeps: sleeps.sum(),
            seed,
            kind: dice.of(&FaceKind::ALL),
            scenario: scenario.build().expect("a sound scenario"),
            callers: callers(dice),
            turns,
            places,
            probes,
            knows_quotas,
            is_charged_as_told,
            closes_the_day,
            requests_per_minute,
            tokens_per_minute,
            window,
            learns: dice.chance(0.5),
            ladder: ladder(dice),
            patience: dice.millis(0..3000),
            max_waiting: dice.of(&[0, 3, 50]),
            policy: policy(dice, probes),
        }
    }

    /// This part of the service's quota, if the layers know of it.
    pub(crate) fn quota(&self, share: f64) -> Option<Quota> {
        if !self.knows_quotas {
            return None;
        }
        let quota = part(self.requests_per_minute, self.tokens_per_minute, share);
        let quota = quota.with_window(self.window);
        Some(if self.learns {
            quota
        } else {
            quota.without_learning()
        })
    }

    pub(crate) fn stack(&self) -> StackBuilder<()> {
        let jitter = |salt: u64| Jitter::seeded(self.seed ^ salt);
        let home = REGIONS[0];
        let breakers = CircuitBreakers::new()
            .with_home_region(home)
            .with_policy(self.policy)
            .expect("a sound policy")
            .with_jitter(jitter(1));
        let pools = Pools::new()
            .with_home_region(home)
            .with_max_in_flight(self.places)
            .with_max_waiting(self.max_waiting);
        let quotas = Quotas::new().with_home_region(home);
        if let Some(quota) = self.quota(1.0) {
            for region in REGIONS {
                let set = quotas.set(&route(region), quota.clone());
                set.expect("a sound quota");
            }
        }
        let fallback = FallbackLayer::new(self.ladder.clone())
            .expect("a sound ladder")
            .with_patience(self.patience)
            .with_jitter(jitter(2));
        StackLayer::builder(home)
            .fallback(fallback)
            .retry(RetryLayer::new().with_jitter(jitter(3)))
            .circuit_breaker(breakers)
            .token_budget(TokenBudgetLayer::new(quotas))
            .pool(pools)
    }
}

fn model(dice: &mut Dice) -> ModelSpec {
    let model = ModelSpec::new(MODEL)
        .regions(REGIONS)
        .latency(dice.millis(0..1500))
        .latency_jitter(dice.of(&[0.0, 0.5]))
        .output_tokens((1, 60));
    let model = match dice.of(&[None, Some(20), Some(200)]) {
        Some(speed) => model.tokens_per_second(speed),
        None => model,
    };
    match dice.of(&[
        None,
        Some((2, WhenFull::ServiceUnavailable)),
        Some((5, WhenFull::Overloaded)),
    ]) {
        Some((slots, answer)) => model.concurrency(slots).when_full(answer),
        None => model,
    }
}

fn ladder(dice: &mut Dice) -> Ladder {
    let mut ladder = Ladder::new();
    for region in REGIONS[1..].iter().take(dice.upto(0..3) as usize) {
        let rung = Rung::in_region(*region);
        ladder = ladder.then(if dice.chance(0.3) {
            rung.with_max_per_second(0.5)
        } else {
            rung
        });
    }
    let is_empty = ladder.rungs().is_empty();
    ladder.with_warm_share(if dice.chance(0.3) && !is_empty {
        0.1
    } else {
        0.0
    })
}

fn policy(dice: &mut Dice, probes: u32) -> CircuitPolicy {
    let policy = CircuitPolicy::new()
        .with_min_calls(dice.upto(3..15) as u32)
        .with_consecutive_failures(dice.upto(2..8) as u32)
        .with_cooldown(dice.millis(500..5000), MAX_COOLDOWN)
        .with_max_server_hint(MAX_COOLDOWN)
        .with_probe_limit(dice.millis(2_000..20_000))
        .with_probes(probes)
        .with_successes_to_close(dice.upto(1..3) as u32);
    if dice.chance(0.4) {
        policy.with_slow_calls(dice.millis(5_000..15_000), 0.5)
    } else {
        policy
    }
}

fn callers(dice: &mut Dice) -> Vec<Caller> {
    let mut at = Duration::ZERO;
    let mut callers = Vec::new();
    let pace = dice.of(&[500, 1200, 3000]);
    while at < CHAOS {
        let burst = if dice.chance(0.05) { 15 } else { 1 };
        for _ in 0..burst {
            let is_stream = dice.chance(0.5);
            let ask = Ask {
                is_stream,
                timeout: Some(dice.millis(1_000..60_000)),
                tenant: Some(dice.of(&["a", "b", "c"]).to_owned()),
                leaves_after: dice.chance(0.2).then(|| dice.upto(1..10) as usize),
                reads_for: if dice.chance(0.2) {
                    dice.millis(0..800)
                } else {
                    Duration::ZERO
                },
                ..Ask::default()
            };
            let stays = dice.chance(0.2).then(|| dice.millis(0..8_000));
            callers.push(Caller { at, ask, stays });
        }
        at += dice.millis(0..2 * pace);
    }
    callers
}

fn turns(dice: &mut Dice) -> Vec<(Duration, Turn)> {
    let mut turns: Vec<_> = (0..dice.upto(0..12))
        .flat_map(|_| {
            let at = dice.millis(0..CHAOS.as_millis() as u64);
            let region = dice.of(&REGIONS);
            let turn = match dice.upto(0..12) {
                0..4 => Turn::Quota(region, dice.of(&[0.05, 0.3, 0.6, 1.0])),
                4..7 => Turn::Places(region, dice.of(&[0, 1, 3, 30])),
                7 => Turn::ForceOpen(region),
                8 => Turn::ForceClosed(region),
                9 | 10 => Turn::Reset(region),
                _ => Turn::Sleep(dice.millis(0..20_000)),
            };
            // Whoever turns a circuit by hand lets it go after a while.
            let forced = matches!(turn, Turn::ForceOpen(_) | Turn::ForceClosed(_));
            let reset = forced.then(|| (at + dice.millis(0..10_000), Turn::Reset(region)));
            [(at, turn)].into_iter().chain(reset)
        })
        .collect();
    turns.sort_by_key(|(at, _)| *at);
    turns
}

const ERRORS: [ErrorText; 19] = [
    ErrorText::TokensPerDay,
    ErrorText::TokensPerMinute,
    ErrorText::RequestsPerMinute,
    ErrorText::RequestRate,
    ErrorText::Overloaded,
    ErrorText::ModelNotReady,
    ErrorText::TooManyConnections,
    ErrorText::ServiceUnavailable,
    ErrorText::ModelThrottled,
    ErrorText::InternalServer,
    ErrorText::InternalServer,
    ErrorText::ModelTimeout,
    ErrorText::ModelError,
    ErrorText::ServiceQuota,
    ErrorText::InputTooLong,
    ErrorText::DataRetention,
    ErrorText::AccessDenied,
    ErrorText::ExpiredToken,
    ErrorText::UnknownModel,
];

fn error(dice: &mut Dice) -> ErrorSpec {
    let error = ErrorSpec::from(dice.of(&ERRORS)).delay(dice.millis(0..3000));
    match dice.upto(0..6) {
        0 => error.retry_after(RetryAfterHint::Seconds(dice.upto(0..40))),
        1 => error.retry_after(RetryAfterHint::AmzMillis(dice.upto(0..4000))),
        _ => error,
    }
}

const DELTA: &str = r#"{"contentBlockIndex":0,"delta":{"text":"Hello"}}"#;

/// A fault of any kind, over by the end of the chaos.
fn fault(dice: &mut Dice) -> FaultSpec {
    let after_events = dice.upto(0..6) as u32;
    let what = match dice.upto(0..16) {
        0..4 => FaultKind::Error(error(dice)),
        4 => FaultKind::Reset,
        5 => FaultKind::NoAnswer,
        6 => FaultKind::SlowFirstToken {
            delay: dice.millis(1_000..30_000),
        },
        7 => FaultKind::Down {
            answer: dice.of(&[
                DownAnswer::ServiceUnavailable,
                DownAnswer::Reset,
                DownAnswer::NoAnswer,
            ]),
        },
        8 => FaultKind::StreamCut { after_events },
        9 => FaultKind::StreamStall {
            after_events,
            lasts: dice.chance(0.5).then(|| dice.millis(0..30_000)),
        },
        10 => FaultKind::StreamException {
            after_events,
            error: ErrorSpec::from(dice.of(&[
                ErrorText::InternalServer,
                ErrorText::ServiceUnavailable,
                ErrorText::ModelStreamError,
                ErrorText::TokensPerMinute,
            ])),
        },
        11 => FaultKind::BadCrc { after_events },
        12 => FaultKind::InvalidJson { after_events },
        13 => FaultKind::NoMessageStop,
        14 => FaultKind::CloseInsideFrame { after_events },
        _ => FaultKind::Recording(
            Recording::new()
                .event("messageStart", r#"{"role":"assistant"}"#)
                .event("contentBlockDelta", DELTA)
                .pause(dice.millis(0..20_000))
                .event("contentBlockDelta", DELTA)
                .end(dice.of(&[RecordingEnd::Close, RecordingEnd::Cut, RecordingEnd::Stall])),
        ),
    };
    let from = dice.millis(0..70_000);
    let fault = FaultSpec::new(what)
        .from(from)
        .until((from + dice.millis(1_000..30_000)).min(CHAOS))
        .probability(dice.of(&[0.05, 0.2, 0.5, 1.0]));
    if dice.chance(0.6) {
        fault.region(dice.of(&REGIONS))
    } else {
        fault
    }
}
