use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const QUOTA: u64 = 1000;

/// The service, counting one way: written from BEDROCK.md §3.4 alone, by keeping every event.
#[derive(Clone, Debug)]
enum Service {
    /// Full at the start, refilled evenly.
    TokenBucket { level: i128, at: u64 },
    /// At most the quota in any 60 s.
    SlidingLog(Vec<(u64, i128)>),
    /// At most the quota in each minute, minutes starting at an offset.
    FixedMinute { offset: u64, log: Vec<(u64, i128)> },
}

impl Service {
    fn all() -> Vec<Self> {
        let offsets = [0, 1, 17 * SECOND, 59 * SECOND + 999_999_999];
        let fixed = offsets.map(|offset| Self::FixedMinute {
            offset,
            log: Vec::new(),
        });
        let mut all = vec![
            Self::TokenBucket {
                level: i128::from(QUOTA) * i128::from(MINUTE),
                at: 0,
            },
            Self::SlidingLog(Vec::new()),
        ];
        all.extend(fixed);
        all
    }

    fn left(&mut self, now: u64) -> i128 {
        let quota = i128::from(QUOTA);
        if let Self::SlidingLog(log) | Self::FixedMinute { log, .. } = self {
            log.retain(|(at, _)| now - at < MINUTE);
        }
        match self {
            Self::TokenBucket { level, at } => {
                let capacity = quota * i128::from(MINUTE);
                *level = capacity.min(*level + quota * i128::from(now - *at));
                *at = now;
                level.div_euclid(i128::from(MINUTE))
            }
            Self::SlidingLog(log) => quota - log.iter().map(|(_, amount)| amount).sum::<i128>(),
            Self::FixedMinute { offset, log } => {
                let minute = |at: u64| (at + *offset) / MINUTE;
                let current = log.iter().filter(|(at, _)| minute(*at) == minute(now));
                quota - current.map(|(_, amount)| amount).sum::<i128>()
            }
        }
    }

    /// Whether a call is admitted.
    fn admits(&mut self, now: u64, amount: u64) -> bool {
        if self.left(now) < i128::from(amount) {
            return false;
        }
        self.draw(now, amount.into());
        true
    }

    fn draw(&mut self, at: u64, amount: i128) {
        if let Self::TokenBucket { .. } = self {
            self.left(at);
        }
        match self {
            Self::TokenBucket { level, .. } => {
                let capacity = i128::from(QUOTA) * i128::from(MINUTE);
                *level = capacity.min(*level - amount * i128::from(MINUTE));
            }
            Self::SlidingLog(log) | Self::FixedMinute { log, .. } => log.push((at, amount)),
        }
    }

    /// What is over comes back to where it was drawn; what is lacking is drawn now.
    fn settle(&mut self, now: u64, sent: u64, held: u64, used: u64) {
        let change = i128::from(used) - i128::from(held);
        match self {
            Self::TokenBucket { .. } => self.draw(now, change),
            _ if change > 0 => self.draw(now, change),
            _ if now - sent < MINUTE => self.draw(sent, change),
            _ => {}
        }
    }
}

/// One thing that happens to the calls of a ledger.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// The clock that our side reads steps back; the service's does not.
    ClockBack(u64),
    Ask(u64),
    /// Sends the oldest call that has not been sent, if nothing has come between.
    Send,
    /// Cancels it instead.
    Cancel,
    /// Settles one of the calls in flight by a share of its hold, in percent.
    Settle(prop::sample::Index, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        4 => 0..SECOND,
        4 => 0..20 * SECOND,
        2 => (0..2000u64).prop_map(|off| MINUTE - 1000 + off),
        1 => 0..5 * MINUTE,
    ];
    prop_oneof![
        6 => wait.prop_map(Step::Wait),
        1 => (0..90 * SECOND).prop_map(Step::ClockBack),
        8 => prop_oneof![1..QUOTA / 8, 1..=QUOTA].prop_map(Step::Ask),
        6 => Just(Step::Send),
        1 => Just(Step::Cancel),
        5 => (any::<prop::sample::Index>(), prop_oneof![0..100u64, 100..700u64])
            .prop_map(|(call, percent)| Step::Settle(call, percent)),
    ]
}

/// Plays steps against a meter; asks every service whenever something is sent.
fn play(meter: &mut Meter, services: &mut [Service], steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut now, mut skew) = (0u64, 0u64);
    let mut reserved = VecDeque::new();
    let mut in_flight: Vec<(u64, Stamp, u64)> = Vec::new();
    for step in steps {
        match step {
            Step::Wait(time) => now += time,
            Step::ClockBack(time) => skew += time,
            _ => {}
        }
        meter.advance(now.saturating_sub(skew), QUOTA);
        match step {
            Step::Wait(_) | Step::ClockBack(_) => {}
            Step::Ask(amount) => {
                if meter.fits(*amount, QUOTA) {
                    meter.reserve(*amount);
                    reserved.push_back(*amount);
                }
            }
            Step::Send => {
                let amount = reserved.front().copied();
                if let Some(amount) = amount.filter(|&amount| meter.can_send(amount, QUOTA)) {
                    reserved.pop_front();
                    in_flight.push((now, meter.send(amount), amount));
                    for service in &mut *services {
                        let before = service.clone();
                        prop_assert!(
                            service.admits(now, amount),
                            "{amount} refused at {now}\n{before:?}\n{meter:?}"
                        );
                    }
                }
            }
            Step::Cancel => {
                if let Some(amount) = reserved.pop_front() {
                    meter.unreserve(amount, QUOTA);
                }
            }
            Step::Settle(call, percent) => {
                if !in_flight.is_empty() {
                    let (sent, stamp, held) = in_flight.swap_remove(call.index(in_flight.len()));
                    let used = held * percent / 100;
                    meter.settle(stamp, held, used, QUOTA);
                    for service in &mut *services {
                        service.settle(now, sent, held, used);
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    /// What the sliding window admits, a token bucket, a sliding log and fixed minutes of the same
    /// quota admit too: for any sizes, delays before sending, settlements below and above the hold,
    /// calls longer than the window, cancels, sleeps, and a clock that steps back.
    #[test]
    fn no_way_of_counting_refuses_what_the_sliding_window_admits(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut meter = Meter::Sliding(Sliding::new(MINUTE));
        play(&mut meter, &mut Service::all(), &steps)?;
    }

    /// What our token bucket admits, the service's admits too.
    #[test]
    fn a_token_bucket_does_not_refuse_what_a_token_bucket_admits(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut meter = Meter::Bucket(Bucket::full(QUOTA, MINUTE));
        play(&mut meter, &mut Service::all()[..1], &steps)?;
    }

    /// The wait that is told is exact to the nanosecond: refused just before it, admitted at its end.
    #[test]
    fn the_wait_is_exact(
        steps in prop::collection::vec(step(), 1..60),
        amount in 1..=QUOTA,
        sliding in any::<bool>(),
    ) {
        let mut meter = if sliding {
            Meter::Sliding(Sliding::new(MINUTE))
        } else {
            Meter::Bucket(Bucket::full(QUOTA, MINUTE))
        };
        play(&mut meter, &mut [], &steps)?;
        let Drawn { held, debt, .. } = meter.drawn(QUOTA);
        let one_window_pays = !sliding || debt == 0 || debt + amount + held <= QUOTA;
        if let Some(then) = meter.not_before(amount, QUOTA)
            && one_window_pays
            && !meter.fits(amount, QUOTA)
        {
            meter.advance(then - 1, QUOTA);
            prop_assert!(!meter.fits(amount, QUOTA), "admitted before {then}");
            meter.advance(then, QUOTA);
            prop_assert!(meter.fits(amount, QUOTA), "refused at {then}");
        }
    }

    /// When everything has been sent, settled and waited out, nothing is drawn: no token is lost,
    /// none is invented.
    #[test]
    fn everything_comes_back(steps in prop::collection::vec(step(), 1..100)) {
        for mut meter in [
            Meter::Sliding(Sliding::new(MINUTE)),
            Meter::Bucket(Bucket::full(QUOTA, MINUTE)),
        ] {
            let mut all = steps.clone();
            all.extend(vec![Step::Cancel; steps.len()]);
            play(&mut meter, &mut [], &all)?;
            meter.advance(DAY, QUOTA);
            prop_assert!(meter.is_idle(), "{meter:?}");
            prop_assert!(meter.fits(QUOTA, QUOTA));
        }
    }
}

/// Asks for `sizes` in turn whenever they fit, settles each by `used` percent when it is sent, and
/// returns what was used in `minutes`.
fn greedy(span: u64, sizes: &[u64], percent: u64, quota: u64, minutes: u64) -> u64 {
    let mut window = Sliding::new(span);
    let (mut now, mut used) = (0, 0);
    for &size in sizes.iter().cycle() {
        while !window.fits(size, quota) {
            now = window.not_before(size, quota).unwrap();
            window.advance(now, quota);
        }
        if now >= minutes * MINUTE {
            break;
        }
        window.reserve(size);
        let sent = window.send(size);
        window.settle(sent, size, size * percent / 100, quota);
        used += size * percent / 100;
    }
    used
}

/// A greedy load of calls that are small against the quota uses at least 99 % of it over a long run,
/// with the default allowance for the network, whatever part of their holds its calls use.
#[test]
fn a_greedy_load_uses_the_quota() {
    let quota = 1_000_000;
    let span = MINUTE + SECOND / 4;
    for sizes in [&[1000][..], &[1, 700, 1999], &[1500, 100, 1, 900, 40]] {
        for percent in [20, 100, 180] {
            let used = greedy(span, sizes, percent, quota, 600);
            assert!(
                used >= 99 * quota * 600 / 100,
                "{sizes:?} {percent}: {used}"
            );
        }
    }
}

/// Debt of many windows is paid by as many windows, also across a sleep that skips them.
#[test]
fn debt_is_paid_at_the_rate_of_the_quota() {
    for sleeps in [1, 7, 1000] {
        let mut window = Sliding::new(MINUTE);
        window.reserve(QUOTA);
        let sent = window.send(QUOTA);
        window.settle(sent, QUOTA, 51 * QUOTA, QUOTA);
        assert_eq!(window.drawn().debt, 50 * QUOTA);
        let free_again = 51 * (MINUTE + MINUTE / 511) + SECOND;
        let before = 50 * MINUTE;
        for sleep in 1..=sleeps {
            window.advance(before * sleep / sleeps, QUOTA);
        }
        assert!(!window.fits(1, QUOTA), "{sleeps}: {:?}", window.drawn());
        window.advance(free_again, QUOTA);
        assert!(window.fits(QUOTA, QUOTA), "{sleeps}: {:?}", window.drawn());
    }
}

/// A window takes memory as time goes beyond its slices, and no more than a ring of them.
#[test]
fn a_window_takes_memory_as_time_goes() {
    let mut window = Sliding::new(MINUTE);
    assert_eq!(window.allocated(), 0);
    for (second, slices) in [(0, 0), (1, 64), (8, 64), (30, 128), (300, 192)] {
        window.advance(second * SECOND, QUOTA);
        window.reserve(1);
        let sent = window.send(1);
        window.settle(sent, 1, 1, QUOTA);
        assert_eq!(window.allocated(), slices, "after {second} s");
    }
    for second in 301..500 {
        window.advance(second * SECOND, QUOTA);
        window.reserve(1);
        window.send(1);
    }
    assert_eq!(window.allocated(), 512);
}

/// An idle gap of any length does not wedge the window.
#[test]
fn a_long_idle_gap_leaves_an_empty_window() {
    let mut window = Sliding::new(MINUTE);
    window.reserve(QUOTA);
    window.send(QUOTA);
    window.advance(60 * DAY, QUOTA);
    assert!(window.is_idle());
    window.advance(u64::MAX, QUOTA);
    window.reserve(QUOTA);
    window.send(QUOTA);
    assert!(!window.fits(1, QUOTA));
}

/// What is reserved and not sent does not age: the service has not seen it yet.
#[test]
fn a_reservation_counts_until_it_is_sent() {
    let mut window = Sliding::new(MINUTE);
    window.reserve(QUOTA);
    window.advance(10 * MINUTE, QUOTA);
    assert!(!window.fits(1, QUOTA));
    assert_eq!(window.not_before(1, QUOTA), None);
    window.send(QUOTA);
    let free = window.not_before(1, QUOTA).unwrap();
    assert!((11 * MINUTE..11 * MINUTE + SECOND).contains(&free));
}

/// A full overdrawing bucket admits what is larger than itself, then makes up for it: even spacing.
#[test]
fn a_pace_spaces_calls_by_their_size() {
    // 600 tokens a minute are 10 a second, with a burst of one second.
    let mut pace = Bucket::full(600, SECOND).overdrawing();
    let mut times = Vec::new();
    let mut now = 0;
    for _ in 0..4 {
        if !pace.fits(50) {
            now = pace.not_before(50, 600).unwrap();
            pace.advance(now, 600);
        }
        pace.reserve(50);
        pace.send(50);
        times.push(now / SECOND);
    }
    assert_eq!(times, [0, 5, 10, 15]);
}

/// What is expected to come back early shortens the expected wait, and a queue ahead lengthens it.
#[test]
fn the_expected_wait_follows_usage_and_queue() {
    let mut window = Sliding::new(MINUTE);
    window.reserve(QUOTA);
    window.send(QUOTA);
    let half = UsedShare::of(1, 2);
    assert_eq!(window.expected(400, QUOTA, half), 0);
    let one = window.expected(600, QUOTA, half);
    assert!((MINUTE..MINUTE + SECOND).contains(&one), "{one}");
    let three = window.expected(3 * QUOTA, QUOTA, UsedShare::WHOLE);
    assert!(
        (3 * MINUTE..3 * MINUTE + SECOND).contains(&three),
        "{three}"
    );
}

/// Calls that hold half again what the service sets aside leave it full and this bucket not; what flows
/// in meanwhile is lost there, and must not be kept here.
#[test]
fn what_the_service_loses_is_not_kept() {
    let mut bucket = Bucket::full(QUOTA, MINUTE).of_estimates();
    let mut service = Service::all().swap_remove(0);
    for _ in 0..20 {
        bucket.reserve(15);
        bucket.send(15);
        assert!(service.admits(0, 10));
    }
    let now = 15 * SECOND;
    bucket.advance(now, QUOTA);
    bucket.reserve(500);
    bucket.send(500);
    assert!(service.admits(now, 500));
    for _ in 0..20 {
        bucket.settle(15, 0);
        service.draw(now, -10);
    }
    assert_eq!(service.left(now), 700);
    assert!(bucket.fits(700) && !bucket.fits(701), "{bucket:?}");
}

/// A call that holds more here than at the service.
#[derive(Clone, Copy, Debug)]
struct Estimated {
    after: u64,
    takes: u64,
    held_there: u64,
    /// Up to half of that.
    over: u64,
    used: u64,
}

fn estimated() -> impl Strategy<Value = Estimated> {
    let after = prop_oneof![0..SECOND / 10, 0..10 * SECOND];
    let size = prop_oneof![1..20_u64, 20..200_u64];
    (after, 1..20 * SECOND, size, 0..=50_u64, 0..=100_u64).prop_map(
        |(after, takes, held_there, over, used)| Estimated {
            after,
            takes,
            held_there,
            over: held_there * over / 100,
            used: held_there * used / 100,
        },
    )
}

proptest! {
    /// A bucket whose holds are estimated on the safe side, by up to a half, is never ahead of the
    /// service's: what it admits is not refused. That the service's is full while this one is not does
    /// not matter.
    #[test]
    fn holds_that_are_too_large_get_no_call_refused(
        calls in prop::collection::vec(estimated(), 1..200)
    ) {
        let mut bucket = Bucket::full(QUOTA, MINUTE).of_estimates();
        let mut service = Service::all().swap_remove(0);
        let mut open: Vec<(u64, Estimated)> = Vec::new();
        let mut now = 0;
        for call in calls {
            now += call.after;
            open.sort_by_key(|(until, _)| *until);
            let over = open.partition_point(|(until, _)| *until <= now);
            for (until, done) in open.drain(..over) {
                bucket.advance(until, QUOTA);
                bucket.settle(done.held_there + done.over, done.used);
                service.draw(until, i128::from(done.used) - i128::from(done.held_there));
            }
            bucket.advance(now, QUOTA);
            let held = call.held_there + call.over;
            if bucket.fits(held) {
                bucket.reserve(held);
                bucket.send(held);
                prop_assert!(service.admits(now, call.held_there), "{call:?}");
                open.push((now + call.takes, call));
            }
        }
    }
}
