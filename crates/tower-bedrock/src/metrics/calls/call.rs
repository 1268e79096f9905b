//! One call, from its start to the end of its reply: counted once, however it ends.

use std::sync::Arc;

use tokio::time::Instant;

use super::handles::Handles;
use crate::{
    error::Error,
    reply::{Finish, Watcher},
};

/// A call that is under way, and is counted when it is over. Rides in its reply.
pub(super) struct Call {
    pub(super) handles: Arc<Handles>,
    started: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has polled it: it was never made.
    Fresh,
    Made,
    Over,
}

impl Call {
    pub(super) const fn new(handles: Arc<Handles>, started: Instant) -> Self {
        Self {
            handles,
            started,
            stage: Stage::Fresh,
        }
    }

    pub(super) const fn made(&mut self) {
        self.stage = Stage::Made;
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.stage = Stage::Over;
        let (counter, duration) = self.handles.failed(error);
        counter.increment(1);
        duration.record(self.started.elapsed());
    }

    fn dropped(&mut self) {
        if self.stage == Stage::Made {
            self.stage = Stage::Over;
            let (counter, duration) = self.handles.dropped();
            counter.increment(1);
            duration.record(self.started.elapsed());
        }
    }
}

impl Watcher for Call {
    fn first_content(&mut self, at: Instant) {
        let after = at.saturating_duration_since(self.started);
        self.handles.time_to_first_chunk().record(after);
    }

    fn finish(&mut self, finish: Finish<'_>) {
        match finish {
            Finish::Complete => {
                self.stage = Stage::Over;
                self.handles.answered.increment(1);
                self.handles.duration.record(self.started.elapsed());
            }
            Finish::Failed(error) => self.failed(error),
            Finish::Abandoned => self.dropped(),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.dropped();
    }
}
