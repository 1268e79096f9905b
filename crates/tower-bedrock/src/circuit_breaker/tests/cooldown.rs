//! How long it stays open.

use super::*;
use crate::{
    circuit_breaker::{breaker::Breaker, outcome::Outcome},
    retry::uniform,
};

const PLAIN: Outcome = failure(None);

const fn failure(hint: Option<Duration>) -> Outcome {
    Outcome::Failure {
        is_slow: false,
        hint,
    }
}

/// A circuit that one failure opens.
struct OneStrike {
    breaker: Breaker,
    now: Instant,
}

impl OneStrike {
    fn new(policy: CircuitPolicy) -> Self {
        let now = Instant::now();
        let policy = policy.with_consecutive_failures(1);
        Self {
            breaker: Breaker::new(now, policy),
            now,
        }
    }

    /// A call that ends so: for how long the circuit opens, if it does.
    fn end(
        &mut self,
        outcome: Outcome,
        draw: impl FnOnce(Duration) -> Duration,
    ) -> Option<Duration> {
        let ticket = self.breaker.admit(self.now).0.unwrap();
        let change = self.breaker.settle(self.now, ticket, outcome, draw);
        change.and_then(|change| change.cooldown)
    }

    /// A failure, and the wait until the circuit is half-open.
    fn fail(&mut self, outcome: Outcome) -> Duration {
        let cooldown = self.end(outcome, |most| most).unwrap();
        self.now += cooldown;
        cooldown
    }

    fn succeed(&mut self) {
        let end = self.end(Outcome::Success { is_slow: false }, |most| most);
        assert_eq!(end, None);
        assert_eq!(self.breaker.state(), CircuitState::Closed);
    }
}

fn exact() -> CircuitPolicy {
    let policy = CircuitPolicy::new().with_cooldown(secs(5), secs(20));
    policy.without_cooldown_jitter()
}

/// Each probe that fails doubles the cooldown, up to the longest, however often.
#[test]
fn cooldowns_double_up_to_the_longest() {
    let mut circuit = OneStrike::new(exact());
    let cooldowns: Vec<_> = (0..6).map(|_| circuit.fail(PLAIN)).collect();
    assert_eq!(cooldowns, [5, 10, 20, 20, 20, 20].map(secs));

    let mut circuit = OneStrike::new(exact().with_cooldown(secs(3), secs(10)));
    let cooldowns: Vec<_> = (0..1000).map(|_| circuit.fail(PLAIN)).collect();
    assert_eq!(cooldowns[..4], [3, 6, 10, 10].map(secs));
    assert!(cooldowns[4..].iter().all(|cooldown| *cooldown == secs(10)));
}

/// A route that fails again soon after it recovered stays open for longer, not as if it were new;
/// each minute of health takes a doubling back, and no more than there were.
#[test]
fn health_takes_doublings_back() {
    for (healthy, next) in [
        (0, 20),
        (59, 20),
        (60, 10),
        (119, 10),
        (120, 5),
        (100_000, 5),
    ] {
        let mut circuit = OneStrike::new(exact());
        // A long outage is remembered no longer than a short one.
        for _ in 0..50 {
            circuit.fail(PLAIN);
        }
        circuit.succeed();
        circuit.now += secs(healthy);
        assert_eq!(
            circuit.fail(PLAIN),
            secs(next),
            "after {healthy} s of health"
        );
    }
}

/// With jitter, cooldowns are spread evenly between half and the whole, at the longest too. Judged by
/// a Kolmogorov-Smirnov test at 1 %.
#[test]
fn jitter_is_even_between_half_and_the_whole() {
    const DRAWS: usize = 10_000;
    let policy = CircuitPolicy::new().with_cooldown(secs(5), secs(20));
    let jitter = Jitter::seeded(3);
    for (doublings, whole) in [(0, 5.0), (1, 10.0), (2, 20.0), (9, 20.0)] {
        let mut draws: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let mut circuit = OneStrike::new(policy);
                for _ in 0..doublings {
                    circuit.fail(PLAIN);
                }
                let cooldown = circuit
                    .end(PLAIN, |most| jitter.with(|rng| uniform(most, rng)))
                    .unwrap();
                (cooldown.as_secs_f64() - whole / 2.0) / (whole / 2.0)
            })
            .collect();
        draws.sort_by(f64::total_cmp);
        assert!(draws[0] >= 0.0 && draws[DRAWS - 1] <= 1.0);
        let n = DRAWS as f64;
        let distance = draws.iter().enumerate().map(|(i, draw)| {
            let below = draw - i as f64 / n;
            below.max((i + 1) as f64 / n - draw)
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 0.0163, "{whole} s: D = {distance}");
    }
}

/// What a server asks for is a floor of the cooldown, up to the longest hint that is followed; jitter
/// comes on top, so that those who were told the same do not come back together.
#[test]
fn a_hint_is_a_floor() {
    let policy = exact().with_max_server_hint(secs(60));
    for (hint, cooldown) in [(0, 5), (3, 5), (5, 5), (17, 17), (60, 60), (100_000, 60)] {
        let mut circuit = OneStrike::new(policy);
        let hint = Some(secs(hint));
        assert_eq!(circuit.fail(failure(hint)), secs(cooldown), "{hint:?}");
        // It is followed once.
        assert_eq!(circuit.fail(PLAIN), secs(10));
    }
    let jittered = CircuitPolicy::new().with_cooldown(secs(5), secs(20));
    for (hint, least, most) in [(1, 2.5, 5.0), (17, 17.0, 19.5)] {
        let hint = Some(secs(hint));
        let mut circuit = OneStrike::new(jittered);
        let cooldown = circuit.end(failure(hint), |_| Duration::ZERO).unwrap();
        assert_eq!(cooldown.as_secs_f64(), least);
        let mut circuit = OneStrike::new(jittered);
        let cooldown = circuit.end(failure(hint), |most| most).unwrap();
        assert_eq!(cooldown.as_secs_f64(), most);
    }
}

/// The hint of any failure that led to the opening counts, from when it came.
#[test]
fn an_earlier_hint_counts_too() {
    let now = Instant::now();
    let mut breaker = Breaker::new(now, exact().with_consecutive_failures(2));
    let ticket = breaker.admit(now).0.unwrap();
    breaker.settle(now, ticket, failure(Some(secs(30))), |most| most);
    let later = now + secs(10);
    let change = breaker.settle(later, ticket, PLAIN, |most| most).unwrap();
    assert_eq!(change.cooldown, Some(secs(20)));
}

/// Two processes that were told nothing do not come back in step: no two cooldowns are the same.
#[tokio::test(start_paused = true)]
async fn circuits_do_not_come_back_together() {
    let mut cooldowns = Vec::new();
    for _ in 0..100 {
        let breakers = CircuitBreakers::new();
        let model = Model::new(millis(1), || failed(Cause::Internal));
        trip(&breakers, &model).await;
        cooldowns.push(breakers.snapshot_of(&route()).retry_in.unwrap());
    }
    cooldowns.sort();
    cooldowns.dedup();
    assert_eq!(cooldowns.len(), 100);
}
