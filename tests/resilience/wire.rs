//! What really goes to the service, seen from right above it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;
use tower::Service;
use tower_bedrock::{BedrockRequest, Region, Route};
use tower_bedrock_tests::REGION;

/// Writes down each attempt that passes. Clones write on the same list.
#[derive(Clone, Debug)]
pub(crate) struct Wire<S> {
    inner: S,
    log: Log,
}

/// The attempts that were made so far.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    start: Instant,
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) at: Duration,
    pub(crate) route: Route,
}

impl<S> Wire<S> {
    pub(crate) fn new(inner: S) -> (Self, Log) {
        let log = Log {
            start: Instant::now(),
            attempts: Arc::default(),
        };
        let wire = Self {
            inner,
            log: log.clone(),
        };
        (wire, log)
    }
}

impl Log {
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        let attempts = self.attempts.lock();
        attempts.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When attempts were made in `region`; those that name none go home.
    pub(crate) fn in_region(&self, region: &str) -> Vec<Duration> {
        let home = Region::from(REGION);
        let is_there =
            |attempt: &&Attempt| attempt.route.region.as_ref().unwrap_or(&home).as_str() == region;
        let attempts = self.attempts();
        let there = attempts.iter().filter(is_there);
        there.map(|attempt| attempt.at).collect()
    }
}

impl<S: Service<R>, R: BedrockRequest> Service<R> for Wire<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        let attempts = self.log.attempts.lock();
        attempts
            .unwrap_or_else(PoisonError::into_inner)
            .push(Attempt {
                at: self.log.start.elapsed(),
                route: request.context().route.clone(),
            });
        self.inner.call(request)
    }
}
