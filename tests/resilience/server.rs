//! A server that queues: first in, first out, one call after the other.

use std::{
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tower::Service;
use tower_bedrock::{BedrockRequest, Cause, Error, Request, Response, Served};

/// What a server is like. It works on a call whether or not anybody still waits for the answer, as
/// Bedrock does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServerSpec {
    /// Calls per second.
    pub(crate) capacity: f64,
    /// How long its callers wait for an answer.
    #[serde(with = "humantime_serde")]
    pub(crate) patience: Duration,
    /// The longest queue, in time; what comes beyond it is refused at once. Without one, everything
    /// is queued.
    #[serde(default, with = "humantime_serde")]
    pub(crate) longest_queue: Option<Duration>,
    pub(crate) trigger: Trigger,
}

/// A time of less capacity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Trigger {
    #[serde(with = "humantime_serde")]
    pub(crate) from: Duration,
    #[serde(with = "humantime_serde")]
    pub(crate) until: Duration,
    /// What of the capacity is left.
    pub(crate) capacity_factor: f64,
}

impl ServerSpec {
    /// A server whose capacity never changes.
    pub(crate) const fn steady(capacity: f64, patience: Duration) -> Self {
        Self {
            capacity,
            patience,
            longest_queue: None,
            trigger: Trigger {
                from: Duration::ZERO,
                until: Duration::ZERO,
                capacity_factor: 1.0,
            },
        }
    }
}

/// A server. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Server {
    spec: Arc<ServerSpec>,
    start: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// When it has worked off all that was sent so far.
    free_at: Duration,
    /// Attempts that came in, by second, and those that were the first of their calls.
    arrivals: Vec<u32>,
    first_arrivals: Vec<u32>,
}

impl Server {
    pub(crate) fn new(spec: ServerSpec) -> Self {
        Self {
            spec: Arc::new(spec),
            start: Instant::now(),
            state: Arc::default(),
        }
    }

    /// How many attempts came in within so many seconds.
    pub(crate) fn arrivals(&self, seconds: Range<usize>) -> u32 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        sum(&state.arrivals, seconds)
    }

    /// How many of them were the first of their calls.
    pub(crate) fn first_arrivals(&self, seconds: Range<usize>) -> u32 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        sum(&state.first_arrivals, seconds)
    }

    /// When the answer to a call that comes in at `now` is there; `None` if the queue is full.
    fn admit(&self, now: Duration, is_first: bool) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut state.arrivals, now);
        if is_first {
            count(&mut state.first_arrivals, now);
        }
        let begins = state.free_at.max(now);
        if self
            .spec
            .longest_queue
            .is_some_and(|longest| begins - now > longest)
        {
            return None;
        }
        let trigger = &self.spec.trigger;
        let factor = if (trigger.from..trigger.until).contains(&begins) {
            trigger.capacity_factor
        } else {
            1.0
        };
        state.free_at = begins + Duration::from_secs_f64(1.0 / (self.spec.capacity * factor));
        Some(state.free_at)
    }
}

impl Service<Request<()>> for Server {
    type Response = Response<()>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let now = self.start.elapsed();
        let answer = self.admit(now, request.context().attempt == 1);
        let patience = self.spec.patience;
        Box::pin(async move {
            let Some(answer) = answer else {
                return Err(Error::new(Cause::ServiceUnavailable));
            };
            if answer - now > patience {
                sleep(patience).await;
                return Err(Error::new(Cause::Timeout));
            }
            sleep(answer - now).await;
            Ok(Response::new((), Served::default(), None))
        })
    }
}

fn sum(by_second: &[u32], seconds: Range<usize>) -> u32 {
    let within = seconds.start.min(by_second.len())..seconds.end.min(by_second.len());
    by_second[within].iter().sum()
}

/// Counts something that happened at `at`.
fn count(by_second: &mut Vec<u32>, at: Duration) {
    let second = at.as_secs() as usize;
    if by_second.len() <= second {
        by_second.resize(second + 1, 0);
    }
    by_second[second] += 1;
}
