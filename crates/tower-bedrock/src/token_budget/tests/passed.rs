//! Tenants that are passed in line by others, who come later and take their turns.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::token_budget::queue::{WaitQueue, Waiter};

/// A quota of one call a turn, for which a loud tenant and some quiet ones wait.
#[derive(Clone, Copy, Debug)]
struct Storm {
    seed: u64,
    /// Calls of the loud one, a turn.
    loud: f64,
    quiet: u32,
    /// Calls of all the quiet ones, a turn.
    quietly: f64,
    /// What the quiet ones' calls come with.
    priority: Priority,
    /// How many turns a call can wait.
    patience: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    loud_joined: u64,
    quiet_lost: u64,
    /// Turns in which somebody went, since nobody comes any more.
    used_after: u64,
}

impl Storm {
    /// Calls come for eight times their patience, and then none.
    fn play(self) -> Outcome {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let mut queue = WaitQueue::default();
        let mut outcome = Outcome::default();
        let loud: Arc<str> = "loud".into();
        let quiet: Vec<Arc<str>> = (0..self.quiet).map(|n| n.to_string().into()).collect();
        let end = 8 * self.patience;
        for now in 0..end + self.patience {
            while let Some((deadline, place)) = queue.first_deadline()
                && deadline <= now
            {
                let tokens = queue.leave(place).unwrap().tokens;
                outcome.quiet_lost += u64::from(tokens == QUIET);
            }
            if now < end {
                for _ in 0..whole(self.loud, &mut rng) {
                    let came = join(&mut queue, Priority::Normal, &loud, LOUD, now, self);
                    outcome.loud_joined += u64::from(came);
                }
                for _ in 0..whole(self.quietly, &mut rng) {
                    let tenant = &quiet[rng.random_range(0..quiet.len())];
                    let came = join(&mut queue, self.priority, tenant, QUIET, now, self);
                    outcome.quiet_lost += u64::from(!came);
                }
            }
            let goes = queue.take_next();
            if now >= end && goes.is_some() {
                outcome.used_after += 1;
            }
        }
        outcome
    }
}

/// All hold the same but for what tells them apart.
const LOUD: u64 = 1000;
const QUIET: u64 = 1001;

/// A whole number that is `mean` on average.
fn whole(mean: f64, rng: &mut StdRng) -> u64 {
    mean as u64 + u64::from(rng.random_bool(mean.fract()))
}

/// Joins if what is ahead goes in time, as a ledger of one call a turn expects it.
fn join(
    queue: &mut WaitQueue,
    priority: Priority,
    tenant: &Arc<str>,
    tokens: u64,
    now: u64,
    storm: Storm,
) -> bool {
    let is_in_time = queue.ahead(priority, Some(tenant), tokens).requests < storm.patience;
    if is_in_time {
        let waiter = Waiter {
            tokens,
            deadline: now + storm.patience,
            waker: None,
        };
        queue.join(priority, Some(tenant), waiter);
    }
    is_in_time
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A tenant asks for more than the whole quota while others, who ask for less than their share or
    /// have a higher priority, pass its calls. The others lose nothing; when nobody comes any more,
    /// next to no turn is unused until the last gives up, but for a few that stray; and no more of its calls join than the whole
    /// quota has turns for: the others are refused at once.
    #[test]
    fn whoever_is_passed_uses_what_is_left(
        seed in any::<u64>(),
        loud in 1.2..4.0_f64,
        (quiet, share) in (1..5_u32, 0.0..0.8_f64),
        is_urgent in any::<bool>(),
        patience in 200..500_u64,
    ) {
        let fair = f64::from(quiet) / f64::from(quiet + 1);
        let storm = Storm {
            seed,
            loud,
            quiet,
            quietly: if is_urgent { share } else { share * fair },
            priority: if is_urgent { Priority::High } else { Priority::Normal },
            patience,
        };
        let outcome = storm.play();
        prop_assert_eq!(outcome.quiet_lost, 0);
        prop_assert!((outcome.used_after + 10) * 100 >= patience * 97, "{:?}", outcome);
        let turns = 9 * patience;
        prop_assert!(outcome.loud_joined * 100 <= turns * 103, "{:?}", outcome);
    }

    /// Where nobody is passed, all that waits is ahead of whoever joins: of one tenant whose calls
    /// come, go, and leave.
    #[test]
    fn all_that_waits_is_ahead_of_a_tenant_alone(
        steps in prop::collection::vec((any::<u8>(), 1..900_u64), 1..100),
    ) {
        let mut queue = WaitQueue::default();
        let mut places = Vec::new();
        for (kind, size) in steps {
            match kind % 4 {
                0 | 1 => {
                    let waiter = Waiter { tokens: size, deadline: u64::MAX, waker: None };
                    places.push(queue.join(Priority::Normal, None, waiter));
                }
                2 => drop(queue.take_next()),
                _ if !places.is_empty() => {
                    drop(queue.leave(places[size as usize % places.len()]));
                }
                _ => {}
            }
            prop_assert_eq!(queue.ahead(Priority::Normal, None, size), queue.waiting());
        }
    }
}
