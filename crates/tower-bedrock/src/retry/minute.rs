//! The minute of the wall clock, told by tokio's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Knows when the next minute of the wall clock begins, without asking the wall clock again.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinuteClock {
    anchor: Instant,
    /// How far into its minute the wall clock was at the anchor.
    into_minute: Duration,
}

impl MinuteClock {
    /// Takes the wall clock's time once.
    pub(super) fn anchored_now() -> Self {
        #[allow(clippy::disallowed_methods)]
        let wall = SystemTime::now();
        Self::anchored(Instant::now(), wall)
    }

    pub(super) fn anchored(anchor: Instant, wall: SystemTime) -> Self {
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            anchor,
            into_minute: remainder(since_epoch),
        }
    }

    /// How long it is to the next minute; a whole one at its very start.
    pub(super) fn until_next(&self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.anchor);
        MINUTE - remainder(self.into_minute + elapsed)
    }
}

fn remainder(time: Duration) -> Duration {
    Duration::new(time.as_secs() % MINUTE.as_secs(), time.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_minute_is_the_wall_clocks() {
        let anchor = Instant::now();
        let wall = UNIX_EPOCH + Duration::from_millis(3_600_000 + 42_500);
        let clock = MinuteClock::anchored(anchor, wall);
        assert_eq!(clock.until_next(anchor), Duration::from_millis(17_500));
        let later = anchor + Duration::from_millis(17_500);
        assert_eq!(clock.until_next(later), MINUTE);
        let much_later = anchor + Duration::from_secs(86_400 + 7);
        assert_eq!(clock.until_next(much_later), Duration::from_millis(10_500));
    }
}
