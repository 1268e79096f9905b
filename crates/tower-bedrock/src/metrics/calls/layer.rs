use std::task::{Context, Poll};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{call::Call, future::ResponseFuture};
use crate::{call::BedrockRequest, error::Error, metrics::Metrics, reply::BedrockResponse};

/// Counts calls by what came of them, and takes their time.
///
/// It belongs on the outside of everything. A call is over when its reply is: a stream with its last
/// event. Waits, retries and other routes are part of it.
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
/// Dropping the future drops the inner future. If it was ever polled, the call counts as `dropped`;
/// so it does when its stream is dropped before the end.
///
/// # Errors
///
/// Exactly the inner service's.
///
/// # Example
///
/// See [`Metrics`].
#[derive(Clone, Debug)]
pub struct CallMetricsLayer {
    metrics: Metrics,
}

/// The service that [`CallMetricsLayer`] makes.
#[derive(Clone, Debug)]
pub struct CallMetrics<S> {
    inner: S,
    metrics: Metrics,
}

impl CallMetricsLayer {
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

impl<S> Layer<S> for CallMetricsLayer {
    type Service = CallMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallMetrics::new(inner, self.metrics.clone())
    }
}

impl<S> CallMetrics<S> {
    /// Counts calls to `inner` in `metrics`.
    pub const fn new(inner: S, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    inner_service_accessors!();
}

impl<S, R> Service<R> for CallMetrics<S>
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
        let handles = self.metrics.calls(request.context());
        let call = handles.map(|handles| Call::new(handles, Instant::now()));
        ResponseFuture::new(self.inner.call(request), call)
    }
}
