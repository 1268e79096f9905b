//! APIs that refuse to be asked so often, in virtual time.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use tower_bedrock::quotas::ReadFailureReason;

/// A reading that is throttled a few times is whole in the end.
#[tokio::test(start_paused = true)]
async fn throttled_requests_are_made_again() {
    let service = in_process(account().throttle_first(4).page_size(50));
    let start = Instant::now();
    let found = discovery(&over_memory(&service)).discover().await;
    assert!(found.is_complete(), "{found}");
    assert_eq!(tokens(&found, NOVA), Some(1_000));
    assert!(start.elapsed() > Duration::ZERO, "it waited in between");
    let requests = service.control_plane_requests();
    assert!(requests.iter().all(|request| request.answered == 1));
    let throttled: u64 = requests.iter().map(|request| request.throttled).sum();
    assert_eq!(throttled, 3 * 4);
}

/// One that is throttled at every attempt says so, and that the limit is not Bedrock's.
#[tokio::test(start_paused = true)]
async fn attempts_come_to_an_end() {
    let service = in_process(account().throttle_first(u64::MAX));
    let found = discovery(&over_memory(&service))
        .max_attempts(3)
        .discover()
        .await;
    let reasons: Vec<_> = found
        .failures()
        .map(|failure| failure.reason.clone())
        .collect();
    assert_eq!(
        reasons,
        vec![ReadFailureReason::Throttled { attempts: 3 }; 3]
    );
    let said = found.failures().next().unwrap().to_string();
    assert!(
        said.contains("3 times at most") && said.contains("limits of its own"),
        "{said}"
    );
    let requests = service.control_plane_requests();
    assert!(
        requests.iter().all(|request| request.throttled == 3),
        "{requests:?}"
    );
}

/// What was not read in time is told; what was, counts.
#[tokio::test(start_paused = true)]
async fn the_time_limit_holds() {
    let service = in_process(account().throttle_first(u64::MAX));
    let limit = Duration::from_secs(5);
    let start = Instant::now();
    let found = discovery(&over_memory(&service))
        .max_attempts(1_000)
        .time_limit(limit)
        .discover()
        .await;
    assert!(
        start.elapsed() <= limit + Duration::from_millis(1),
        "{:?}",
        start.elapsed()
    );
    let reasons: Vec<_> = found
        .failures()
        .map(|failure| failure.reason.clone())
        .collect();
    assert_eq!(reasons, vec![ReadFailureReason::TimedOut { limit }; 3]);
}
