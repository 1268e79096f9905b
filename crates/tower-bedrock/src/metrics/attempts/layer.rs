use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{attempt::Attempt, future::ResponseFuture};
use crate::{call::BedrockRequest, error::Error, metrics::Metrics, reply::BedrockResponse};

/// Counts every attempt that goes out, in CloudWatch's words.
///
/// It belongs directly around [`ClassifyLayer`](crate::ClassifyLayer), below everything that makes,
/// refuses or delays attempts: so retries count each, waits do not count as latency, and what our
/// own layers refused does not count as sent.
///
/// An attempt counts once, when it is over. A stream is over when its last event was seen, when it
/// failed, or when its reader dropped it; so a throttle in the middle of a stream is a throttle, and
/// a stream that is cut is a [transport error](crate::metrics::names::INVOCATION_TRANSPORT_ERRORS).
///
/// # Shared state
///
/// All services that the layer and its clones make share the handles of its [`Metrics`].
///
/// # Readiness
///
/// Ready when the inner service is.
///
/// # Cancellation
///
/// Dropping the future drops the inner future. If it was ever polled, the attempt counts as
/// [dropped](crate::metrics::names::INVOCATIONS_DROPPED), or as a transport error if its deadline has passed.
///
/// # Errors
///
/// Exactly the inner service's.
///
/// # Example
///
/// See [`Metrics`].
#[derive(Clone, Debug)]
pub struct AttemptMetricsLayer {
    metrics: Metrics,
}

/// The service that [`AttemptMetricsLayer`] makes.
#[derive(Clone, Debug)]
pub struct AttemptMetrics<S> {
    inner: S,
    metrics: Metrics,
}

impl AttemptMetricsLayer {
    /// Counts in `metrics`.
    #[must_use]
    pub const fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }

    /// What it counts in.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl<S> Layer<S> for AttemptMetricsLayer {
    type Service = AttemptMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AttemptMetrics::new(inner, self.metrics.clone())
    }
}

impl<S> AttemptMetrics<S> {
    /// Counts what `inner` sends in `metrics`.
    pub const fn new(inner: S, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    inner_service_accessors!();
}

impl<S, R> Service<R> for AttemptMetrics<S>
where
    R: BedrockRequest,
    S: Service<R>,
    S::Response: BedrockResponse,
    S::Error: Into<Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let call = request.context();
        let handles = self.metrics.attempts(call);
        let attempt = handles.map(|handles| Attempt::new(handles, Instant::now(), call.deadline));
        ResponseFuture::new(self.inner.call(request), attempt)
    }
}
