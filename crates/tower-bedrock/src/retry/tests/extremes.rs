//! Settings and answers at the ends of their ranges.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use super::*;
use crate::{Backoff, Reaction, Reactions};

/// The most that tokio's clock can be ahead of now.
fn end_of_the_clock() -> Duration {
    let mut far = Duration::ZERO;
    let mut step = secs(1 << 62);
    while !step.is_zero() {
        if Instant::now().checked_add(far + step).is_some() {
            far += step;
        }
        step /= 2;
    }
    far
}

/// No hint, however long, makes a call panic.
#[tokio::test(start_paused = true)]
async fn any_hint_can_be_waited_for() {
    for hint in [secs(1 << 40), end_of_the_clock(), Duration::MAX] {
        for layer in [seeded(), seeded().aim_at_next_minute(true)] {
            let layer = layer.with_max_server_hint(Duration::MAX);
            let service = layer.layer(service_fn(move |_: Request<()>| {
                let error = Error::new(Cause::RequestRate).with_retry_after(hint);
                std::future::ready(Err::<(), _>(error))
            }));
            let mut call = pin!(service.oneshot(request()));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut cx).is_pending());
            tokio::time::advance(secs(86_400)).await;
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
    }
}

/// No backoff and no timeout, however long, makes a call panic.
#[tokio::test(start_paused = true)]
async fn any_backoff_and_any_timeout_can_be_waited_for() {
    let longest = Backoff::new(Duration::MAX, Duration::MAX);
    let reaction = Reaction::to(Cause::Internal).retried(longest, u32::MAX);
    let layer = seeded().with_reactions(Reactions::default().with(Cause::Internal, reaction));
    let end = end_of_the_clock();
    for timeout in [secs(1 << 40), end / 2, end - secs(1), end, Duration::MAX] {
        let service = layer.layer(service_fn(|request: Request<()>| async move {
            match request.context().attempt {
                1 => internal(),
                _ => std::future::pending().await,
            }
        }));
        let mut call = pin!(service.oneshot(request().with_timeout(timeout)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending(), "{timeout:?}");
    }
}

/// A timeout longer than the clock takes an earlier, shorter one back.
#[tokio::test(start_paused = true)]
async fn the_longest_timeout_is_none() {
    let request = request().with_timeout(secs(1)).with_timeout(Duration::MAX);
    assert_eq!(request.context().deadline, None);
}

/// A row of the table may allow more retries than fit a byte, and still ends.
#[tokio::test(start_paused = true)]
async fn a_row_of_many_retries_ends() {
    let briefly = Backoff::new(Duration::from_millis(1), Duration::from_millis(1));
    for row in [255, 256, 300] {
        let reaction = Reaction::to(Cause::Internal).retried(briefly, row);
        let layer = seeded()
            .with_reactions(Reactions::default().with(Cause::Internal, reaction))
            .with_budget(crate::RetryBudget::with_costs(1, 0, 0))
            .with_max_attempts(std::num::NonZeroU32::new(2000).unwrap());
        let run = run(&layer, request(), vec![internal]).await;
        assert_eq!(run.sent.len(), row as usize + 1);
    }
}

/// The ceiling doubles until the cap, however small the base and large the cap.
#[test]
fn a_ceiling_doubles_up_to_its_cap() {
    let hour = secs(3600);
    for base in [Duration::from_nanos(1), Duration::from_micros(7), secs(5)] {
        let backoff = Backoff::new(base, hour);
        for retry in 1..50 {
            let doubled = (backoff.ceiling(retry - 1) * 2).min(hour);
            assert_eq!(backoff.ceiling(retry), doubled, "{base:?}, retry {retry}");
        }
        for retry in [50, 127, 128, u32::MAX] {
            assert_eq!(backoff.ceiling(retry), hour, "{base:?}, retry {retry}");
        }
    }
    let longest = Backoff::new(Duration::MAX, Duration::MAX);
    assert_eq!(longest.ceiling(0), Duration::MAX);
    let none = Backoff::new(Duration::ZERO, hour);
    assert_eq!(none.ceiling(u32::MAX), Duration::ZERO);
}
