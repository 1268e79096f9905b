//! Callers who come when they like, whatever becomes of those before them.

use std::{ops::Range, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tower::{Service, ServiceExt};
use tower_bedrock::{BedrockResponse, CallContext, Error, Operation, Request, Route, Served};
use tower_bedrock_tests::{MODEL, REGION};

/// When calls come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrivals {
    /// So many a second, as a Poisson process has them.
    Poisson { rate: f64, seed: u64 },
    /// So many a second, evenly.
    Even { rate: f64 },
}

impl Arrivals {
    /// The times between them.
    fn gaps(self) -> impl Iterator<Item = Duration> {
        let (Self::Poisson { rate, .. } | Self::Even { rate }) = self;
        let mut rng = match self {
            Self::Poisson { seed, .. } => Some(StdRng::seed_from_u64(seed)),
            Self::Even { .. } => None,
        };
        std::iter::repeat_with(move || {
            let length = rng.as_mut().map_or(1.0, |rng| {
                let uniform: f64 = rng.random();
                -(1.0 - uniform).ln()
            });
            Duration::from_secs_f64(length / rate)
        })
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// When it was made, since the start of the load.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    pub(crate) result: Result<Served, Error>,
}

/// What became of a load: its calls, in the order in which they were made.
#[derive(Debug)]
pub(crate) struct Trace(pub(crate) Vec<Ended>);

impl Trace {
    /// The calls that were made within so many seconds.
    pub(crate) fn within(&self, seconds: Range<usize>) -> &[Ended] {
        let until = |second| {
            let second = Duration::from_secs(second as u64);
            self.0.partition_point(|call| call.at < second)
        };
        &self.0[until(seconds.start)..until(seconds.end)]
    }

    /// The part of them that was answered.
    pub(crate) fn goodput(&self, seconds: Range<usize>) -> f64 {
        let calls = self.within(seconds);
        let answered = calls.iter().filter(|call| call.result.is_ok()).count();
        answered as f64 / calls.len().max(1) as f64
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

    /// The first call that was not answered.
    pub(crate) fn first_failure(&self) -> Option<&Ended> {
        self.0.iter().find(|call| call.result.is_err())
    }
}

/// The call that everybody makes of a server that reads none.
pub(crate) fn request() -> Request<()> {
    let model = MODEL.parse().expect("a model id");
    let route = Route::to(model).in_region(REGION);
    Request::new((), CallContext::new(Operation::Converse, route))
}

/// Makes the calls of `request` of `service` until `end`, and waits for the last.
pub(crate) async fn run<S, R>(
    service: S,
    arrivals: Arrivals,
    end: Duration,
    request: impl Fn() -> R,
) -> Trace
where
    S: Service<R, Response: BedrockResponse, Error = Error, Future: Send> + Clone + Send + 'static,
    R: Send + 'static,
{
    let start = Instant::now();
    let mut calls = JoinSet::new();
    let mut ended = Vec::new();
    let mut at = Duration::ZERO;
    for gap in arrivals.gaps() {
        at += gap;
        if at >= end {
            break;
        }
        sleep_until(start + at).await;
        let call = service.clone().oneshot(request());
        calls.spawn(async move {
            let began = Instant::now();
            let result = call.await.map(|response| response.served().clone());
            Ended {
                at,
                took: began.elapsed(),
                result,
            }
        });
        while let Some(call) = calls.try_join_next() {
            ended.push(call.expect("no call panics"));
        }
    }
    ended.extend(calls.join_all().await);
    ended.sort_by_key(|call| call.at);
    Trace(ended)
}
