use std::time::Duration;

use bedrock_sim::{ErrorSpec, ErrorText, FaultSpec, RetryAfterHint};
use tokio::{task::JoinSet, time::Instant};
use tower_bedrock::{Cause, Ladder, Quota, Route};
use tower_bedrock_tests::{
    MODEL,
    verifying::{Objection, VirtualTime},
};

use super::{Place, always, answered, host, retrying};
use crate::suite::{Call, Face};

/// Requests wait in a layer for up to ten minutes, twice as long as a signature is good for, and none
/// is more than a minute old when it arrives. One that waited for less goes as the SDK signed it. The
/// SDK's own check of stalled uploads, which is on, sees none.
#[tokio::test(start_paused = true)]
async fn what_waited_long_is_signed_anew() {
    let place = Place::new([]);
    let rig = retrying().budgeted(
        &Route::to(MODEL.parse().expect("an id")),
        Quota::new().with_requests_per_minute(1),
        |layer| layer.with_max_wait(Duration::from_secs(3_600)),
    );
    let face = Face::fluent(place.config(), &rig);
    answered(&face.make(&Call::converse()).await);
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let face = face.clone();
        calls.spawn(async move { face.make(&Call::converse()).await });
    }
    let start = Instant::now();
    for told in calls.join_all().await {
        answered(&told);
    }
    assert!(
        start.elapsed() > Duration::from_secs(600),
        "{:?}",
        start.elapsed()
    );
    for arrival in place.door.admitted() {
        assert!(arrival.age_secs.abs() <= 1, "{}", arrival.age_secs);
    }

    tokio::time::sleep(Duration::from_secs(20)).await;
    answered(&face.make(&Call::converse()).await);
    let last = place.door.admitted().pop().expect("it was sent");
    assert!((39..=41).contains(&last.age_secs), "{}", last.age_secs);
}

/// Long waits do not mislead the SDK about the service's clock: the next call is dated rightly.
#[tokio::test(start_paused = true)]
async fn waits_do_not_move_the_clock() {
    let hint = ErrorSpec::from(ErrorText::TokensPerMinute).retry_after(RetryAfterHint::Seconds(50));
    // Twenty-five seconds ahead is what the SDK would take the service to be.
    let place = Place::new([FaultSpec::error(hint).count(1)]);
    let face = Face::fluent(place.config(), &retrying());
    answered(&face.make(&Call::converse()).await);
    answered(&face.make(&Call::converse()).await);
    let arrivals = place.door.admitted();
    let last = arrivals.last().expect("it was sent");
    assert!(last.age_secs.abs() <= 1, "{}", last.age_secs);
}

/// A local clock that is ten minutes off, either way, is corrected by the service's within the first
/// attempt, and the calls after it are dated rightly at once; hops and retries too.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_corrected() {
    let ten_minutes = Duration::from_secs(600);
    let wrong: [fn(VirtualTime, Duration) -> VirtualTime; 2] =
        [VirtualTime::behind, VirtualTime::ahead];
    for wrong in wrong {
        let place = Place::new([always(ErrorText::Overloaded)
            .region("us-east-1")
            .skip(1)
            .count(1)]);
        let config = place
            .config()
            .time_source(wrong(place.clock.clone(), ten_minutes));
        let rig = retrying().falling_back(Ladder::regions(["us-west-2"]), |layer| layer);
        let face = Face::fluent(config, &rig);
        let first = face.make(&Call::converse()).await;
        let attempts = first.answer().map(|answer| answer.served.attempts);
        assert_eq!(
            attempts,
            Some(1),
            "the correction is part of the attempt: {first:?}"
        );
        answered(&face.make(&Call::converse()).await);
        let arrivals = place.door.arrivals();
        let objections: Vec<_> = arrivals
            .iter()
            .map(|arrival| arrival.objection.clone())
            .collect();
        assert_eq!(objections, [Some(Objection::Clock), None, None, None]);
        for arrival in &arrivals[1..] {
            assert!(arrival.age_secs.abs() <= 2, "{}", arrival.age_secs);
        }
        assert_eq!(arrivals[3].host, host("us-west-2"));
    }
}

/// A signature that is refused for another reason than the clock is not made again.
#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_not_corrected() {
    let place = Place::new([]);
    let wrong = aws_credential_types::Credentials::from_keys("AKIDEXAMPLE", "other", None);
    let face = Face::fluent(place.config().credentials_provider(wrong), &retrying());
    let told = face.make(&Call::converse()).await;
    let failure = told.failure().expect("it is refused");
    assert!(
        matches!(failure.cause, Cause::Credentials | Cause::AccessDenied),
        "{failure:?}"
    );
    assert_eq!(place.door.arrivals().len(), 1);
    assert_eq!(place.sim.ledger().totals.requests, 0);
}

/// With the correction of clocks switched off, a wrong clock stays wrong.
#[tokio::test(start_paused = true)]
async fn a_clock_that_may_not_be_corrected_is_not() {
    let place = Place::new([]);
    let behind = place.clock.clone().behind(Duration::from_secs(600));
    let config = place
        .config()
        .time_source(behind)
        .disable_clock_skew_correction(true);
    let face = Face::fluent(config, &retrying());
    for _ in 0..2 {
        assert!(face.make(&Call::converse()).await.failure().is_some());
    }
    let arrivals = place.door.arrivals();
    assert_eq!(arrivals.len(), 2);
    assert!(
        arrivals
            .iter()
            .all(|arrival| arrival.objection == Some(Objection::Clock))
    );
}
