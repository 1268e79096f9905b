use proptest::prelude::*;
use tokio::time::Instant;

use super::super::lifecycle::{Lifecycle, Silence};
use super::*;

const LIMITS: StreamLimits = StreamLimits::none()
    .with_first_event(Duration::from_secs(30))
    .with_between_events(Duration::from_secs(10));

/// A stream that was sent at the start of time, and a clock in milliseconds.
struct Rig {
    lifecycle: Lifecycle,
    start: Instant,
}

impl Rig {
    fn new(limits: StreamLimits) -> Self {
        Self::until(limits, None)
    }

    fn until(limits: StreamLimits, deadline: Option<u64>) -> Self {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut lifecycle = Lifecycle::new(start, deadline.map(at));
        lifecycle.set_limits(limits);
        lifecycle.set_hold_back(HoldBack::until_first_event());
        Self { lifecycle, start }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn event(&mut self, millis: u64, event: &Event) {
        let now = self.at(millis);
        self.lifecycle.event(&event.facts(), now);
        self.lifecycle.release_held();
    }

    fn silence(&mut self, millis: u64) -> Silence {
        let now = self.at(millis);
        self.lifecycle.silence(now)
    }

    fn waits_until(&self, millis: u64) -> Silence {
        Silence::Wait(Some(self.at(millis)))
    }
}

fn stalled(limit: StreamLimit, seconds: u64, received: u64) -> Silence {
    let after = Duration::from_secs(seconds);
    Silence::Stalled(StreamStalled::new(limit, after, received))
}

/// The first event is waited for since the call was sent, each later one since it was asked for.
#[tokio::test(start_paused = true)]
async fn each_wait_has_its_own_limit() {
    let mut rig = Rig::new(LIMITS);
    assert_eq!(rig.silence(4_000), rig.waits_until(30_000));
    assert_eq!(rig.silence(29_999), rig.waits_until(30_000));
    rig.event(29_999, &Event::Start);
    assert_eq!(rig.silence(30_000), rig.waits_until(40_000));
    rig.event(39_000, &Event::Text("a"));
    assert_eq!(rig.silence(39_500), rig.waits_until(49_500));
    assert_eq!(
        rig.silence(49_500),
        stalled(StreamLimit::BetweenEvents, 10, 2)
    );

    let mut rig = Rig::new(LIMITS);
    assert_eq!(rig.silence(30_000), stalled(StreamLimit::FirstEvent, 30, 0));
}

/// A caller who takes an hour over an event has not waited for the service.
#[tokio::test(start_paused = true)]
async fn a_slow_caller_is_no_stall() {
    let mut rig = Rig::new(LIMITS.with_whole(Duration::from_secs(15)));
    rig.event(1_000, &Event::Start);
    assert_eq!(rig.silence(3_600_000), rig.waits_until(3_610_000));
    rig.event(3_605_000, &Event::Text("a"));
    // One second before the first event and five before the second are waited: nine are left.
    assert_eq!(rig.silence(7_200_000), rig.waits_until(7_209_000));
    assert_eq!(rig.silence(7_209_000), stalled(StreamLimit::Whole, 15, 2));
}

/// A caller who asks, goes away and comes back after the limit was not there to see an event come:
/// the wait begins anew. One who is a little late was.
#[tokio::test(start_paused = true)]
async fn a_caller_who_was_away_waits_anew() {
    let mut rig = Rig::new(LIMITS);
    rig.event(0, &Event::Start);
    assert_eq!(rig.silence(0), rig.waits_until(10_000));
    assert_eq!(rig.silence(11_001), rig.waits_until(21_001));
    assert_eq!(
        rig.silence(22_001),
        stalled(StreamLimit::BetweenEvents, 10, 1)
    );
}

/// Nor has one who finds an event when it comes back: nobody knows how long that has lain there, and
/// what is left of the whole is left.
#[tokio::test(start_paused = true)]
async fn a_caller_who_was_away_uses_up_nothing() {
    let mut rig = Rig::new(LIMITS.with_whole(Duration::from_secs(15)));
    rig.event(1_000, &Event::Start);
    assert_eq!(rig.silence(1_000), rig.waits_until(11_000));
    rig.event(3_600_000, &Event::Text("a"));
    assert_eq!(rig.silence(3_600_000), rig.waits_until(3_610_000));
    rig.event(3_609_000, &Event::Text("b"));
    // One second, and nine.
    assert_eq!(rig.silence(3_609_000), rig.waits_until(3_614_000));
}

/// The deadline counts whoever is slow, and comes first if it is first.
#[tokio::test(start_paused = true)]
async fn the_deadline_counts_whoever_is_slow() {
    let mut rig = Rig::until(LIMITS, Some(5_000));
    assert_eq!(rig.silence(0), rig.waits_until(5_000));
    rig.event(1_000, &Event::Start);
    assert!(!rig.lifecycle.is_past_deadline(rig.at(4_999)));
    assert!(rig.lifecycle.is_past_deadline(rig.at(5_000)));
    assert_eq!(rig.silence(3_600_000), Silence::DeadlineExceeded);
}

/// A whole answer waits for its usage for as long as it may, and neither stalls nor is late.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_only_waits_for_its_usage() {
    let mut rig = Rig::until(LIMITS.with_usage(Duration::from_secs(3)), Some(5_000));
    rig.event(1_000, &Event::Stop);
    assert_eq!(rig.silence(1_000), rig.waits_until(4_000));
    assert_eq!(rig.silence(4_000), Silence::Finish);
    assert!(!rig.lifecycle.is_past_deadline(rig.at(6_000)));
    assert_eq!(rig.silence(9_000_000), Silence::Finish);

    // The deadline shortens the wait.
    let mut rig = Rig::until(LIMITS, Some(2_000));
    rig.event(1_000, &Event::Stop);
    assert_eq!(rig.silence(1_000), rig.waits_until(2_000));
}

/// What else comes after the end does not prolong the wait for the usage.
#[tokio::test(start_paused = true)]
async fn events_after_the_end_do_not_prolong_the_wait() {
    let mut rig = Rig::new(LIMITS.with_usage(Duration::from_secs(3)));
    rig.event(1_000, &Event::Stop);
    for millis in [1_000, 2_000, 3_000] {
        assert_eq!(rig.silence(millis), rig.waits_until(4_000));
        rig.event(millis + 500, &Event::Foreign);
    }
    assert_eq!(rig.silence(4_000), Silence::Finish);
}

/// Without limits a stream is waited for as long as it takes; limits beyond the clock are none.
#[tokio::test(start_paused = true)]
async fn no_limit_is_none() {
    let mut rig = Rig::new(StreamLimits::none());
    assert_eq!(rig.silence(0), Silence::Wait(None));
    let mut rig = Rig::new(
        StreamLimits::none()
            .with_first_event(Duration::MAX)
            .with_whole(Duration::MAX),
    );
    assert_eq!(rig.silence(0), Silence::Wait(None));
}

/// A limit of nothing at all is no endless loop.
#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_stalls_at_once() {
    let mut rig = Rig::new(StreamLimits::none().with_between_events(Duration::ZERO));
    rig.event(0, &Event::Start);
    assert_eq!(rig.silence(77), stalled(StreamLimit::BetweenEvents, 0, 1));
}

proptest! {
    /// Whatever a caller does between events, a stream stalls exactly if the service lets it wait
    /// for the limit: between two events, or all together.
    #[test]
    fn a_stream_stalls_exactly_if_it_is_waited_for_too_long(
        turns in prop::collection::vec((0..20_000u64, 0..12_000u64), 1..12),
        whole in 10_000..60_000u64,
    ) {
        let limits = StreamLimits::none()
            .with_between_events(Duration::from_millis(10_000))
            .with_whole(Duration::from_millis(whole));
        let mut rig = Rig::new(limits);
        rig.event(0, &Event::Start);
        let (mut now, mut waited) = (0, 0);
        for (away, wait) in turns {
            now += away;
            let limit = 10_000.min(whole - waited);
            prop_assert_eq!(rig.silence(now), rig.waits_until(now + limit));
            if wait >= limit {
                let silence = rig.silence(now + limit);
                prop_assert!(matches!(silence, Silence::Stalled(_)), "{:?}", silence);
                return Ok(());
            }
            now += wait;
            waited += wait;
            prop_assert_eq!(rig.silence(now), rig.waits_until(now - wait + limit));
            rig.event(now, &Event::Text("a"));
        }
    }
}

/// That all was told is not taken back by an event that says nothing of it, though no counts came.
#[tokio::test(start_paused = true)]
async fn what_is_counted_stays_counted() {
    let mut rig = Rig::new(LIMITS);
    let last = EventFacts {
        is_end: true,
        counts_are_final: true,
        ..EventFacts::default()
    };
    let now = rig.at(1_000);
    rig.lifecycle.event(&last, now);
    assert!(rig.lifecycle.is_counted());
    rig.lifecycle.event(&EventFacts::default(), now);
    assert!(rig.lifecycle.is_counted());
}
