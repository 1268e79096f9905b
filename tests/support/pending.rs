//! Futures that are dropped wherever they wait.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// How long [`Cut::Amid`] waits. Shorter than what is waited for in tests.
const MOMENT: Duration = Duration::from_millis(100);

/// Where a future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// As soon as it waits for the so manieth time, from 1.
    Pending(usize),
    /// When it has waited for a moment at its so manieth wait, from 1, and others have come behind it.
    Amid(usize),
    /// When it is woken from its so manieth wait, from 1, before it looks at what it was woken for:
    /// it may have been given something that it never comes for.
    Woken(usize),
    /// Before it is ever polled.
    Unpolled,
    /// Nowhere.
    Never,
}

impl Cut {
    /// All cuts of a future that waits `pauses` times.
    pub fn everywhere(pauses: usize) -> impl Iterator<Item = Self> {
        let waits = (1..=pauses)
            .flat_map(|wait| [Self::Pending(wait), Self::Amid(wait), Self::Woken(wait)]);
        [Self::Unpolled].into_iter().chain(waits)
    }
}

/// What became of a future.
#[derive(Debug)]
pub struct Outcome<T> {
    /// Its output, unless it was dropped before.
    pub output: Option<T>,
    /// How often it has waited.
    pub pauses: usize,
}

/// Runs `future` as a runtime does, polled when it is woken and at no other time, and drops it at
/// `cut`. The future is gone when this returns.
///
/// To be awaited by a task that waits for nothing else, or it is polled for that, too.
pub async fn cut_at<F: Future>(future: F, cut: Cut) -> Outcome<F::Output> {
    let mut pauses = 0;
    let mut future = pin!(future);
    let mut moment = pin!(sleep(MOMENT));
    if cut == Cut::Unpolled {
        let output = None;
        return Outcome { output, pauses };
    }
    let output = poll_fn(|cx| {
        if cut == Cut::Woken(pauses) || cut == Cut::Amid(pauses) {
            return Poll::Ready(None);
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                pauses += 1;
                if cut == Cut::Pending(pauses) {
                    return Poll::Ready(None);
                }
                if cut == Cut::Amid(pauses) {
                    moment.as_mut().reset(Instant::now() + MOMENT);
                    return moment.as_mut().poll(cx).map(|()| None);
                }
                Poll::Pending
            }
        }
    });
    let output = output.await;
    Outcome { output, pauses }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A future that waits three times is cut thrice in each: when it begins, a moment later, and
    /// when it is over.
    #[tokio::test(start_paused = true)]
    async fn a_future_is_cut_where_it_waits() {
        let waits = || async {
            for _ in 0..3 {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let whole = cut_at(waits(), Cut::Never).await;
        assert_eq!((whole.output, whole.pauses), (Some(()), 3));
        let mut seen = Vec::new();
        for cut in Cut::everywhere(3) {
            let start = Instant::now();
            let outcome = cut_at(waits(), cut).await;
            assert_eq!(outcome.output, None, "{cut:?}");
            seen.push((outcome.pauses, start.elapsed().as_millis()));
        }
        let first = [(1, 0), (1, 100), (1, 1000)];
        let second = [(2, 1000), (2, 1100), (2, 2000)];
        let third = [(3, 2000), (3, 2100), (3, 3000)];
        assert_eq!(seen, [&[(0, 0)][..], &first, &second, &third].concat());
    }
}
