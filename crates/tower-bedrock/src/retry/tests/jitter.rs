use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::Backoff;

/// The critical value of the one-sample Kolmogorov-Smirnov test for 10 000 draws at 1 %.
const CRITICAL_D: f64 = 0.0163;
const DRAWS: usize = 10_000;

fn distance_from_uniform(mut draws: Vec<f64>) -> f64 {
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let distance = |(i, x): (usize, &f64)| {
        let below = x - i as f64 / n;
        let above = (i + 1) as f64 / n - x;
        below.max(above)
    };
    draws.iter().enumerate().map(distance).fold(0.0, f64::max)
}

/// Waits are spread evenly over the whole range at every attempt, at the cap as well.
#[test]
fn jitter_is_full_at_every_attempt() {
    let backoff = Backoff::new(secs(1), secs(20));
    let mut rng = StdRng::seed_from_u64(11);
    for retry in 0..12 {
        let ceiling = backoff.ceiling(retry).as_secs_f64();
        let draws: Vec<_> = (0..DRAWS)
            .map(|_| backoff.draw(retry, &mut rng).as_secs_f64() / ceiling)
            .collect();
        let mean = draws.iter().sum::<f64>() / DRAWS as f64;
        assert!((mean - 0.5).abs() < 0.01, "retry {retry}: mean {mean}");
        let distance = distance_from_uniform(draws);
        assert!(distance < CRITICAL_D, "retry {retry}: D = {distance}");
    }
}

/// The test above can fail: additive jitter, whole seconds and a dead cap do not pass it.
#[test]
fn the_uniformity_test_tells_other_jitter_apart() {
    let full: Vec<f64> = {
        let mut rng = StdRng::seed_from_u64(11);
        let backoff = Backoff::new(secs(1), secs(1));
        (0..DRAWS)
            .map(|_| backoff.draw(0, &mut rng).as_secs_f64())
            .collect()
    };
    let equal = full.iter().map(|x| 0.5 + x / 2.0).collect();
    let whole = full.iter().map(|x| (x * 10.0).floor() / 10.0).collect();
    let capped = full.iter().map(|x| (x * 2.0).min(1.0)).collect();
    for draws in [equal, whole, capped] {
        assert!(distance_from_uniform(draws) > CRITICAL_D);
    }
}

/// Waits double up to the cap and stay there, however many retries there were.
#[test]
fn ceilings_double_up_to_the_cap() {
    let backoff = Backoff::new(Duration::from_millis(50), secs(20));
    let ceilings: Vec<_> = (0..10)
        .map(|retry| backoff.ceiling(retry).as_millis())
        .collect();
    assert_eq!(
        ceilings,
        [50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 20_000]
    );
    assert_eq!(backoff.ceiling(31), secs(20));
    assert_eq!(backoff.ceiling(u32::MAX), secs(20));
    assert_eq!(Backoff::new(secs(30), secs(20)).ceiling(0), secs(20));
    assert_eq!(
        Backoff::new(Duration::MAX, Duration::MAX).ceiling(9),
        Duration::MAX
    );
}

/// A thousand calls that fail together at the same instant through clones of one service do not come
/// back together, and no two of them wait alike.
#[tokio::test(start_paused = true)]
async fn calls_that_fail_together_do_not_retry_together() {
    let layer = seeded().with_budget(crate::RetryBudget::with_capacity(1_000_000));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let layer = layer.clone();
        calls.spawn(async move {
            run(
                &layer,
                request(),
                vec![request_rate, request_rate, answered],
            )
            .await
        });
    }
    let mut sessions = Vec::new();
    let mut bins = vec![0; 100];
    while let Some(run) = calls.join_next().await {
        let sent = run.unwrap().sent;
        let first_retry = sent[1].0;
        bins[usize::try_from(first_retry.as_millis() / 10)
            .unwrap()
            .min(99)] += 1;
        sessions.push((first_retry, sent[2].0));
    }
    // 1000 calls over 100 bins of 10 ms: more than 27 in one has a chance below 2 in 10 000.
    assert!(bins.iter().max().unwrap() <= &27, "{bins:?}");
    sessions.sort();
    sessions.dedup();
    assert!(
        sessions.len() >= 998,
        "tokio's timers tick in milliseconds: {}",
        sessions.len()
    );
}

/// One seed, one sequence; another seed, another.
#[test]
fn chance_is_seedable() {
    let backoff = Backoff::new(secs(1), secs(60));
    let draws = |jitter: Jitter| -> Vec<_> {
        (0..20)
            .map(|retry| jitter.with(|rng| backoff.draw(retry, rng)))
            .collect()
    };
    assert_eq!(draws(Jitter::seeded(3)), draws(Jitter::seeded(3)));
    assert_ne!(draws(Jitter::seeded(3)), draws(Jitter::seeded(4)));
    assert_ne!(draws(Jitter::new()), draws(Jitter::new()));
}
