//! A primary that goes and comes, with real layers below.

use super::*;
use crate::{CircuitBreakerLayer, CircuitBreakers, Jitter, RetryLayer};

const EAST: &str = "m.x@us-east-1";
const WEST: &str = "m.x@us-west-2";

/// A primary that is down for a minute, up for a minute and so on: every call is answered, while it is
/// down hardly any is sent there, and once it is up again the calls are back within 30 s.
#[tokio::test(start_paused = true)]
async fn a_flapping_primary_is_left_and_returned_to() {
    let start = Instant::now();
    let is_down = |at: Duration| at.as_secs() / 60 % 2 == 1;
    let bed =
        Bed::new(
            move |call| match call.route.to_string() == EAST && is_down(start.elapsed()) {
                true => Err(Error::new(Cause::ServiceUnavailable)),
                false => Ok(()),
            },
        );
    let breakers = CircuitBreakers::new().with_jitter(Jitter::seeded(7));
    let service = tower::ServiceBuilder::new()
        .layer(layer(&[WEST]).with_gate(breakers.clone()))
        .layer(RetryLayer::new().with_jitter(Jitter::seeded(7)))
        .layer(CircuitBreakerLayer::new(breakers))
        .service(bed.clone());

    let mut served = Vec::new();
    while start.elapsed() < secs(600) {
        let response = service.clone().oneshot(request(EAST)).await.unwrap();
        served.push((start.elapsed(), response.served().route_index));
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    for minute in 0..10 {
        let of_minute = |from: u64| {
            served
                .iter()
                .filter(move |(at, _)| at.as_secs() / 60 == minute && at.as_secs() % 60 >= from)
        };
        let is_down = minute % 2 == 1;
        if is_down {
            assert!(
                of_minute(0).all(|&(_, index)| index == 1),
                "minute {minute}"
            );
        } else {
            assert!(
                of_minute(30).all(|&(_, index)| index == 0),
                "minute {minute}"
            );
        }
    }
    // Each outage cost the primary what it takes to open the circuit, and probes.
    let came = bed.came.lock().unwrap();
    let wasted = came
        .iter()
        .filter(|(at, call)| is_down(*at) && call.route.to_string() == EAST)
        .count();
    assert!(wasted <= 5 * 20, "{wasted} calls in five outages of 600");
    assert_eq!(
        came.len(),
        served.len() + wasted,
        "no call was made for nothing"
    );
}

/// One probe at a time goes to a primary that may have healed; all others keep to the fallback.
#[tokio::test(start_paused = true)]
async fn only_a_probe_goes_to_a_sick_primary() {
    let bed = Bed::failing(Cause::ServiceUnavailable, &["us-east-1"]);
    let breakers = CircuitBreakers::new().with_jitter(Jitter::seeded(7));
    let service = tower::ServiceBuilder::new()
        .layer(layer(&[WEST]).with_gate(breakers.clone()))
        .layer(CircuitBreakerLayer::new(breakers))
        .service(bed.clone());
    for _ in 0..20 {
        service.clone().oneshot(request(EAST)).await.unwrap();
    }
    let opened = bed.count(EAST);
    assert_eq!(opened, 10, "ten failures open the circuit");

    for _ in 0..200 {
        service.clone().oneshot(request(EAST)).await.unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    // In twenty seconds, after 2.5 to 5, then 5 to 10, then 10 to 20 s.
    let probes = bed.count(EAST) - opened;
    assert!((1..=3).contains(&probes), "{probes} probes");
}
