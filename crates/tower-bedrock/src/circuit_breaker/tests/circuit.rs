//! A circuit from its first failure to its recovery.

use super::{
    super::state::{Probe, State},
    *,
};

/// Half of ten calls fail: it opens. While it is open nothing is sent, and every refusal says when to
/// come again. Then one call goes as a probe, and when it is answered the circuit is closed.
#[tokio::test(start_paused = true)]
async fn opens_probes_and_closes() {
    let breakers = breakers(CircuitPolicy::new().with_cooldown(secs(5), secs(20)));
    let model = Model::healthy();
    for _ in 0..5 {
        model.send(&breakers, request()).await.unwrap();
    }
    model.becomes(millis(100), || failed(Cause::ServiceUnavailable));
    assert_eq!(trip(&breakers, &model).await, 5);

    let opened = Instant::now();
    let sent = model.calls();
    while opened.elapsed() < secs(5) {
        let error = model.send(&breakers, request()).await.unwrap_err();
        assert_eq!(error.cause(), Cause::CircuitOpen);
        let refusal = CircuitOpen::of(&error).unwrap();
        assert_eq!(refusal.route(), &route());
        assert_eq!(refusal.retry_in(), Some(secs(5) - opened.elapsed()));
        assert_eq!(error.retry_after(), refusal.retry_in());
        assert_eq!(error.route(), Some(&route()));
        sleep(millis(100)).await;
    }
    assert_eq!(model.calls(), sent);

    model.becomes(millis(100), answered);
    model.send(&breakers, request()).await.unwrap();
    assert_eq!(breakers.state(&route()), CircuitState::Closed);
    assert_eq!(model.calls(), sent + 1);
}

/// A probe whose place has just become free is nobody to wait for.
#[test]
fn a_place_that_is_free_is_not_waited_for() {
    let now = Instant::now();
    let probe = |number, until| Probe { number, until };
    let state = State::HalfOpen {
        probes: vec![probe(1, now), probe(2, now + secs(3))],
        sent: 2,
        successes: 0,
    };
    assert_eq!(state.passage(now, 1), Err(Some(secs(3))));
    assert_eq!(state.passage(now, 2), Ok(()));
}
