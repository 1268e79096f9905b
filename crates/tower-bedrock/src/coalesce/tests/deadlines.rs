use tokio::time::{Instant, advance};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn within(timeout: Duration) -> Request<Question> {
    ask("hello").with_timeout(timeout)
}

fn cause(result: Result<Response<Answer>, Error>) -> Cause {
    result.unwrap_err().cause()
}

/// The attempt has a tenth more time than the call that begins it, so that a burst of calls with the same
/// timeout is one attempt, though each has a later deadline than the one before.
#[tokio::test(start_paused = true)]
async fn calls_with_the_same_timeout_share() {
    let (_, service, backend) = service();
    let start = Instant::now();
    let first = waiting(&service, within(MINUTE));
    let deadline = backend.call(0).deadline.unwrap();
    assert_eq!(deadline - start, Duration::from_secs(66));
    advance(Duration::from_secs(6)).await;
    let last = waiting(&service, within(MINUTE));
    assert_eq!(backend.calls(), 1);
    // One whose deadline is later than the attempt's is an attempt of its own, for others to join.
    advance(Duration::from_millis(1)).await;
    let own = waiting(&service, within(MINUTE));
    let joins = waiting(&service, within(MINUTE));
    assert_eq!(backend.calls(), 2);
    drop((first, last, own, joins));
}

/// Calls without a deadline do not join one that has one; all others join one that has none.
#[tokio::test(start_paused = true)]
async fn no_deadline_is_the_latest() {
    let (_, service, backend) = service();
    let _bounded = waiting(&service, within(MINUTE));
    let _free = waiting(&service, ask("hello"));
    assert_eq!(backend.calls(), 2);
    assert_eq!(backend.call(1).deadline, None);
    let _joins = waiting(&service, within(MINUTE * 1000));
    assert_eq!(backend.calls(), 2);
}

/// Who joins with less time leaves when it is over; the attempt goes on.
#[tokio::test(start_paused = true)]
async fn a_follower_leaves_at_its_own_deadline() {
    let (_, service, backend) = service();
    let mut first = waiting(&service, within(MINUTE));
    let mut hasty = waiting(&service, within(MINUTE / 2));
    advance(MINUTE / 2).await;
    let error = answer(&mut hasty).unwrap_err();
    assert_eq!(error.cause(), Cause::DeadlineExceeded);
    assert_eq!(error.operation(), Some(crate::Operation::Converse));
    assert!(!backend.is_dropped(0));
    backend.answer(0, says("one"));
    assert_eq!(answer(&mut first).unwrap().output().text, "one");
}

/// Who began the attempt leaves at its own deadline too, not at the attempt's, and takes nothing from those
/// who have more time.
#[tokio::test(start_paused = true)]
async fn a_leader_leaves_the_attempt_to_the_others() {
    let (_, service, backend) = service();
    let mut first = waiting(&service, within(MINUTE));
    advance(Duration::from_secs(3)).await;
    let mut patient = waiting(&service, within(MINUTE));
    advance(Duration::from_secs(57)).await;
    assert_eq!(cause(answer(&mut first)), Cause::DeadlineExceeded);
    drop(first);
    assert_pending!(patient.poll());
    backend.answer(0, says("one"));
    let response = answer(&mut patient).unwrap();
    assert_eq!(response.usage(), Some(&USAGE), "nobody else took it");
    assert!(!response.served().coalesced);
}

/// A call that is alone with its attempt takes it along at its own deadline.
#[tokio::test(start_paused = true)]
async fn nobody_waits_past_its_own_deadline() {
    let (layer, service, backend) = service();
    let mut only = waiting(&service, within(MINUTE));
    advance(MINUTE).await;
    assert_eq!(cause(answer(&mut only)), Cause::DeadlineExceeded);
    assert!(backend.is_dropped(0));
    assert_eq!(layer.under_way(), 0);
}

/// A call whose deadline has passed is not made, and joins nothing.
#[tokio::test(start_paused = true)]
async fn what_comes_too_late_is_not_sent() {
    let (layer, service, backend) = service();
    let mut late = spawn(service.clone().oneshot(within(Duration::ZERO)));
    assert_eq!(cause(assert_ready!(late.poll())), Cause::DeadlineExceeded);
    assert_eq!((backend.calls(), layer.under_way()), (0, 0));
}

/// Polled for the first time after its deadline, a call sends nothing; what is there already it takes.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_deadline() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let tell = sent.clone();
    let inner = tower::service_fn(move |_: Request<Question>| {
        let tell = tell.clone();
        async move {
            tell.store(true, std::sync::atomic::Ordering::SeqCst);
            says("one")
        }
    });
    let mut service = CoalesceLayer::new().layer(inner);
    let late = service.call(within(MINUTE));
    advance(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(cause(late.await), Cause::DeadlineExceeded);
    assert!(!sent.load(std::sync::atomic::Ordering::SeqCst));

    let (_, service, backend) = super::service();
    let mut late = waiting(&service, within(MINUTE));
    let mut other = waiting(&service, within(MINUTE));
    backend.answer(0, says("one"));
    answer(&mut other).unwrap();
    advance(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(answer(&mut late).unwrap().output().text, "one");
}

/// The last instant of the clock is a deadline like any other.
#[tokio::test(start_paused = true)]
async fn a_deadline_at_the_end_of_time_is_none() {
    let (_, service, backend) = service();
    let mut far = Instant::now();
    for shift in (0..63).rev() {
        far = far
            .checked_add(Duration::from_secs(1 << shift))
            .unwrap_or(far);
    }
    let mut call = waiting(&service, ask("hello").with_deadline(far));
    backend.answer(0, says("one"));
    answer(&mut call).unwrap();
}
