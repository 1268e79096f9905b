//! One attempt, from its start to its end: counted once, however it ends.

use std::sync::Arc;

use tokio::time::Instant;

use super::handles::Handles;
use crate::{
    cause::Cause,
    error::Error,
    reply::{Finish, Usage, Watcher},
};

/// An attempt that is under way, and is counted when it is over. Rides in its reply.
pub(super) struct Attempt {
    handles: Arc<Handles>,
    started: Instant,
    deadline: Option<Instant>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has polled it, so nothing went out.
    Fresh,
    Sent,
    /// The answer is here, or has begun.
    Answered,
    Over,
}

impl Attempt {
    pub(super) const fn new(
        handles: Arc<Handles>,
        started: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            handles,
            started,
            deadline,
            stage: Stage::Fresh,
        }
    }

    pub(super) const fn sent(&mut self) {
        self.stage = Stage::Sent;
    }

    pub(super) const fn answered(&mut self) {
        self.stage = Stage::Answered;
    }

    /// There is no answer, or one that is an error.
    pub(super) fn failed(mut self, error: &Error) {
        self.stage = Stage::Over;
        if error.was_not_sent() {
            self.handles.not_sent(error.cause()).increment(1);
        } else {
            self.handles.failed(error.cause(), error.status());
        }
    }

    /// Nobody wants it any more.
    fn dropped(&self) {
        let handles = &*self.handles;
        match self.stage {
            Stage::Fresh | Stage::Over => {}
            Stage::Sent => {
                let is_late = |deadline| deadline <= Instant::now();
                match self.deadline {
                    Some(deadline) if is_late(deadline) => {
                        handles.failed(Cause::DeadlineExceeded, None);
                    }
                    _ => handles.dropped().increment(1),
                }
            }
            Stage::Answered => {
                handles.invocations.increment(1);
                if handles.is_stream() {
                    handles.stream_dropped().increment(1);
                }
            }
        }
    }
}

impl Watcher for Attempt {
    fn first_content(&mut self, at: Instant) {
        let after = at.saturating_duration_since(self.started);
        self.handles.time_to_first_token().record(after);
    }

    fn usage(&mut self, usage: &Usage) {
        self.handles.used(usage);
    }

    fn finish(&mut self, finish: Finish<'_>) {
        let handles = &*self.handles;
        match finish {
            Finish::Complete => {
                handles.invocations.increment(1);
                handles.latency.record(self.started.elapsed());
                if handles.is_stream() {
                    handles.stream_complete().increment(1);
                }
            }
            Finish::Failed(error) => {
                handles.failed(error.cause(), error.status());
                handles.stream_failed(error.cause()).increment(1);
            }
            Finish::Abandoned => self.dropped(),
        }
        self.stage = Stage::Over;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.dropped();
    }
}
