//! Callers who come when they like, whatever becomes of those before them.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tower::{Service, ServiceExt};
use tower_bedrock::{CallContext, Error, Operation, Request, Response, Route};
use tower_bedrock_tests::{MODEL, REGION};

use crate::server::count;

/// What became of a load, by the second in which its calls were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    offered: Vec<u32>,
    answered: Vec<u32>,
}

impl Trace {
    /// How many calls were made within so many seconds.
    pub(crate) fn offered(&self, seconds: Range<usize>) -> u32 {
        sum(&self.offered, seconds)
    }

    /// How many of them were answered.
    pub(crate) fn answered(&self, seconds: Range<usize>) -> u32 {
        sum(&self.answered, seconds)
    }

    /// The part of them that was answered.
    pub(crate) fn goodput(&self, seconds: Range<usize>) -> f64 {
        f64::from(self.answered(seconds.clone())) / f64::from(self.offered(seconds).max(1))
    }

    /// How many seconds after `since` the load was served again: from when 95 % of the calls of the
    /// next ten seconds were answered. `None` if that did not happen before the end.
    pub(crate) fn recovery(&self, since: Duration, end: Duration) -> Option<usize> {
        let since = since.as_secs() as usize;
        let last = (end.as_secs() as usize).saturating_sub(10);
        (since..last)
            .find(|&second| self.goodput(second..second + 10) >= 0.95)
            .map(|second| second - since)
    }
}

fn sum(by_second: &[u32], seconds: Range<usize>) -> u32 {
    let end = seconds.end.min(by_second.len());
    by_second[seconds.start.min(end)..end].iter().sum()
}

/// The call that everybody makes.
pub(crate) fn request() -> Request<()> {
    let model = MODEL.parse().expect("a model id");
    let route = Route::to(model).in_region(REGION);
    Request::new((), CallContext::new(Operation::Converse, route))
}

/// Calls `service` as a Poisson process of `rate` calls per second does, until `end`.
pub(crate) async fn poisson<S>(service: S, rate: f64, end: Duration, seed: u64) -> Trace
where
    S: Service<Request<()>, Response = Response<()>, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut rng = StdRng::seed_from_u64(seed);
    let start = Instant::now();
    let trace = Arc::new(Mutex::new(Trace::default()));
    let mut calls = JoinSet::new();
    let mut at = Duration::ZERO;
    loop {
        let uniform: f64 = rng.random();
        at += Duration::from_secs_f64(-(1.0 - uniform).ln() / rate);
        if at >= end {
            break;
        }
        sleep_until(start + at).await;
        let call = service.clone().oneshot(request());
        let trace = Arc::clone(&trace);
        calls.spawn(async move {
            let is_answered = call.await.is_ok();
            let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
            count(&mut trace.offered, at);
            if is_answered {
                count(&mut trace.answered, at);
            }
        });
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
    let trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
    trace.clone()
}
