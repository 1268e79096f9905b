//! Probes.

use super::*;

/// Trips a circuit with 5 s of cooldown, and waits until it lets probes through.
async fn wait_for_probes(breakers: &CircuitBreakers, model: &Model) {
    model.becomes(millis(100), || failed(Cause::ServiceUnavailable));
    trip(breakers, model).await;
    let retry_in = breakers.snapshot_of(&route()).retry_in.unwrap();
    sleep(retry_in).await;
}

fn cause(result: Result<Response<()>, Error>) -> Option<Cause> {
    result.err().map(|error| error.cause())
}

/// Of two hundred calls at once to a half-open circuit exactly as many go as there are places, and
/// the others are refused.
#[tokio::test(start_paused = true)]
async fn exactly_so_many_probes_go() {
    for probes in [1, 3] {
        let policy = CircuitPolicy::new().with_probes(probes);
        let breakers = breakers(policy.with_successes_to_close(probes));
        let model = Model::healthy();
        wait_for_probes(&breakers, &model).await;
        model.becomes(secs(1), answered);
        let (before, start) = (model.calls(), Instant::now());
        let calls: Vec<_> = (0..200)
            .map(|_| tokio::spawn(model.send(&breakers, request())))
            .collect();
        let mut refused = 0;
        for call in calls {
            if let Some(cause) = cause(call.await.unwrap()) {
                assert_eq!(cause, Cause::CircuitOpen);
                refused += 1;
            }
        }
        assert_eq!(start.elapsed(), secs(1));
        assert_eq!((model.calls() - before, refused), (probes, 200 - probes));
        assert_eq!(model.most_in_flight.load(Ordering::SeqCst), probes);
        assert_eq!(breakers.state(&route()), CircuitState::Closed);
    }
}

/// A refusal while a probe is out says when its place is free at the latest.
#[tokio::test(start_paused = true)]
async fn a_refusal_beside_a_probe_says_when_to_come() {
    let breakers = breakers(CircuitPolicy::new().with_probe_limit(secs(10)));
    let model = Model::healthy();
    wait_for_probes(&breakers, &model).await;
    model.becomes(secs(8), answered);
    let probe = tokio::spawn(model.send(&breakers, request()));
    sleep(secs(3)).await;
    let error = model.send(&breakers, request()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(7)));
    probe.await.unwrap().unwrap();
}

/// A probe that is dropped gives its place back and decides nothing, though it were for ever: the
/// next that is answered closes the circuit.
#[tokio::test(start_paused = true)]
async fn a_dropped_probe_decides_nothing() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::healthy();
    wait_for_probes(&breakers, &model).await;
    let generation = breakers.snapshot_of(&route()).generation;
    model.becomes(secs(9), answered);
    for number in 1..=1000 {
        let probe = model.send(&breakers, request());
        let cut = tokio::time::timeout(secs(2), probe).await;
        assert!(cut.is_err(), "the probe is sent, not refused");
        let snapshot = breakers.snapshot_of(&route());
        assert_eq!(snapshot.state, CircuitState::HalfOpen);
        assert_eq!((snapshot.probes, snapshot.abandoned), (0, number));
        assert_eq!(snapshot.generation, generation + 1);
    }
    model.becomes(millis(100), answered);
    model.send(&breakers, request()).await.unwrap();
    assert_eq!(breakers.state(&route()), CircuitState::Closed);
}

/// A probe that hangs holds its place for its limit and no longer; then another goes beside it. What
/// comes of the first counts all the same.
#[tokio::test(start_paused = true)]
async fn a_hung_probe_does_not_wedge() {
    for late_answer in [true, false] {
        let breakers = breakers(CircuitPolicy::new().with_probe_limit(secs(10)));
        let model = Model::healthy();
        wait_for_probes(&breakers, &model).await;
        let hangs = if late_answer { secs(15) } else { secs(10_000) };
        model.becomes(hangs, answered);
        let _hung = tokio::spawn(model.send(&breakers, request()));
        sleep(secs(10) - millis(1)).await;
        let refused = model.send(&breakers, request()).await;
        assert_eq!(cause(refused), Some(Cause::CircuitOpen));
        sleep(millis(1)).await;
        if late_answer {
            let _second = tokio::spawn(model.send(&breakers, request()));
            sleep(secs(5) + millis(1)).await;
            assert_eq!(model.in_flight.load(Ordering::SeqCst), 1);
        } else {
            model.becomes(millis(100), answered);
            model.send(&breakers, request()).await.unwrap();
        }
        assert_eq!(breakers.state(&route()), CircuitState::Closed);
    }
}

/// The place of a probe that hung is another's by now: when the first is over at last, it frees no
/// place that is not its own.
#[tokio::test(start_paused = true)]
async fn a_late_end_frees_nobody_elses_place() {
    let breakers = breakers(CircuitPolicy::new().with_probe_limit(secs(10)));
    let model = Model::healthy();
    wait_for_probes(&breakers, &model).await;
    model.becomes(secs(15), || failed(Cause::InvalidRequest));
    let _first = tokio::spawn(model.send(&breakers, request()));
    sleep(secs(10)).await;
    let _second = tokio::spawn(model.send(&breakers, request()));
    sleep(secs(6)).await;
    // The first has ended, the second has its place until 20 s.
    assert_eq!(breakers.snapshot_of(&route()).probes, 1);
    let refused = model.send(&breakers, request()).await;
    assert_eq!(cause(refused), Some(Cause::CircuitOpen));
}

/// A throttled probe is a failed one: the circuit opens again, at least for as long as the server
/// asks for. Other causes that say nothing of the route free the place and decide nothing.
#[tokio::test(start_paused = true)]
async fn a_throttled_probe_fails_and_others_decide_nothing() {
    for &probe in Cause::ALL {
        let breakers = breakers(CircuitPolicy::new());
        let model = Model::healthy();
        wait_for_probes(&breakers, &model).await;
        model.becomes(millis(100), move || {
            Err(Error::new(probe).with_retry_after(secs(40)))
        });
        assert_eq!(cause(model.send(&breakers, request()).await), Some(probe));
        let counts = probe.reaction().breaker != crate::BreakerReaction::Ignore;
        let fails = counts && probe != Cause::ModelFailed
            || probe.is_throttle()
            || probe == Cause::DeadlineExceeded;
        let snapshot = breakers.snapshot_of(&route());
        if fails {
            assert_eq!(snapshot.state, CircuitState::Open, "{probe}");
            assert_eq!(snapshot.retry_in, Some(secs(40)), "{probe}");
        } else {
            assert_eq!(snapshot.state, CircuitState::HalfOpen, "{probe}");
            assert_eq!(snapshot.probes, 0, "{probe}");
        }
    }
}

/// What was admitted before the outage says nothing after it: a slow answer does not close the
/// half-open circuit, a slow failure does not open it, and neither takes or frees a place.
#[tokio::test(start_paused = true)]
async fn outcomes_of_before_the_outage_are_stale() {
    for stale in [answered, || failed(Cause::Internal)] {
        let breakers = breakers(CircuitPolicy::new());
        let model = Model::new(secs(20), stale);
        for _ in 0..50 {
            tokio::spawn(model.send(&breakers, request()));
        }
        sleep(millis(1)).await;
        wait_for_probes(&breakers, &model).await;
        model.becomes(secs(60), answered);
        let probe = tokio::spawn(model.send(&breakers, request()));
        sleep(secs(1)).await;
        let before = breakers.snapshot_of(&route());
        assert_eq!((before.state, before.probes), (CircuitState::HalfOpen, 1));
        sleep(secs(8)).await;
        let after = breakers.snapshot_of(&route());
        assert_eq!((after.generation, after.probes), (before.generation, 1));
        sleep(secs(10)).await;
        assert_eq!(
            model.in_flight.load(Ordering::SeqCst),
            1,
            "all stale calls are over"
        );
        assert_eq!(breakers.snapshot_of(&route()).state, CircuitState::HalfOpen);
        probe.abort();
    }
}

/// Nor do they count after the recovery: a hundred late failures do not open what has healed.
#[tokio::test(start_paused = true)]
async fn outcomes_of_before_the_outage_do_not_count_after_it() {
    let breakers = breakers(CircuitPolicy::new());
    let model = Model::new(secs(60), || failed(Cause::Internal));
    let late: Vec<_> = (0..100)
        .map(|_| tokio::spawn(model.send(&breakers, request())))
        .collect();
    sleep(millis(1)).await;
    wait_for_probes(&breakers, &model).await;
    model.becomes(millis(100), answered);
    model.send(&breakers, request()).await.unwrap();
    for call in late {
        assert_eq!(cause(call.await.unwrap()), Some(Cause::Internal));
    }
    let snapshot = breakers.snapshot_of(&route());
    assert_eq!((snapshot.state, snapshot.calls), (CircuitState::Closed, 0));
}

/// It closes only when as many probes were good as are asked for; one that fails opens it again.
#[tokio::test(start_paused = true)]
async fn so_many_good_probes_close_it() {
    let breakers = breakers(CircuitPolicy::new().with_successes_to_close(3));
    let model = Model::healthy();
    wait_for_probes(&breakers, &model).await;
    model.becomes(millis(100), answered);
    for _ in 0..2 {
        model.send(&breakers, request()).await.unwrap();
        assert_eq!(breakers.state(&route()), CircuitState::HalfOpen);
    }
    model.becomes(millis(100), || failed(Cause::Internal));
    drop(model.send(&breakers, request()).await);
    assert_eq!(breakers.state(&route()), CircuitState::Open);
}

/// However long the outage was, a caller that never stops asking finds the route open again within
/// the longest cooldown and one probe of its repair.
#[tokio::test(start_paused = true)]
async fn recovery_is_seen_within_a_cooldown_and_a_probe() {
    for outage in [1, 7, 30, 61, 601] {
        for seed in 0..5 {
            let breakers = CircuitBreakers::new().with_jitter(Jitter::seeded(seed));
            let model = Model::new(millis(300), || failed(Cause::ModelOverloaded));
            let start = Instant::now();
            let mut repaired = false;
            loop {
                if !repaired && start.elapsed() >= secs(outage) {
                    repaired = true;
                    model.becomes(millis(300), answered);
                }
                if model.send(&breakers, request()).await.is_ok() {
                    break;
                }
                sleep(millis(100)).await;
            }
            let closed_after = start.elapsed() - secs(outage);
            assert!(
                closed_after <= secs(10) + millis(800),
                "{outage} s, seed {seed}: {closed_after:?}"
            );
            assert_eq!(breakers.state(&route()), CircuitState::Closed);
        }
    }
}
