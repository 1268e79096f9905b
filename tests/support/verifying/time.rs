//! Wall time for tests in virtual time.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

/// Wall time that goes with tokio's clock, and starts where it is told to.
#[derive(Clone, Debug)]
pub struct VirtualTime {
    epoch: SystemTime,
    start: Instant,
}

impl VirtualTime {
    /// It is 2026-01-02T03:04:05Z now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045),
            start: Instant::now(),
        }
    }

    /// The same clock, behind by this much.
    #[must_use]
    pub fn behind(mut self, by: Duration) -> Self {
        self.epoch -= by;
        self
    }

    /// The same clock, ahead by this much.
    #[must_use]
    pub fn ahead(mut self, by: Duration) -> Self {
        self.epoch += by;
        self
    }
}

impl Default for VirtualTime {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        self.epoch + self.start.elapsed()
    }
}
