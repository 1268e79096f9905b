//! The clock, read once where once is enough.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

/// What this thread knows of the time.
#[derive(Clone, Copy)]
enum Known {
    /// No layer is at work: every look is one at the clock.
    Nothing,
    /// A layer is at work, and has not looked at the clock.
    NotYet,
    At(Instant),
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::Nothing) };
}

/// A turn of the layers of a call: all that they do between being called or polled from outside and
/// returning from it. To all of them it is the same time, as they do not wait meanwhile.
///
/// Each layer that is called or polled begins one; within that of a layer above it does nothing.
pub(crate) struct Turn {
    is_outermost: bool,
}

/// Now, on tokio's clock; within a turn, when it was asked for first.
#[inline]
pub(crate) fn now() -> Instant {
    KNOWN.with(|known| match known.get() {
        Known::Nothing => Instant::now(),
        Known::NotYet => {
            let now = Instant::now();
            known.set(Known::At(now));
            now
        }
        Known::At(now) => now,
    })
}

/// What was done meanwhile is not ours, and may have taken any time.
#[inline]
pub(crate) fn time_has_passed() {
    KNOWN.with(|known| {
        if let Known::At(_) = known.get() {
            known.set(Known::NotYet);
        }
    });
}

impl Turn {
    #[inline]
    pub(crate) fn begin() -> Self {
        KNOWN.with(|known| {
            let is_outermost = matches!(known.get(), Known::Nothing);
            if is_outermost {
                known.set(Known::NotYet);
            }
            Self { is_outermost }
        })
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        if self.is_outermost {
            KNOWN.set(Known::Nothing);
        }
    }
}

/// Whether a timer can be set for `at`: one rounds up to a millisecond, which the last instant of the clock
/// does not survive.
pub(crate) fn comes(at: &Instant) -> bool {
    at.checked_add(Duration::from_millis(1)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within a turn, and those within it, it is the same time; after something else was done, and
    /// after the turn, the clock is looked at again.
    #[tokio::test(start_paused = true)]
    async fn a_turn_takes_no_time() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let turn = Turn::begin();
        assert_eq!(now(), start);
        // Nobody waits within a turn; the test does, to see that the clock is not looked at.
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(Turn::begin());
        assert_eq!(now(), start);
        time_has_passed();
        assert_eq!(now(), later);
        drop(turn);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(now(), later + Duration::from_secs(1));
        time_has_passed();
        assert_eq!(now(), later + Duration::from_secs(1));
    }
}
