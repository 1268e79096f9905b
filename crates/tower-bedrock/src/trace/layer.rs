use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    future::ResponseFuture,
    span::{Kind, Traced},
};
use crate::{call::BedrockRequest, error::Error, reply::BedrockResponse};

/// Lays a span around each call, or around each of its attempts; [the module](super) lists what
/// stands in them.
///
/// Put the one for [calls](Self::calls) outside of all other layers, and the one for
/// [attempts](Self::attempts) directly inside of [`RetryLayer`](crate::RetryLayer), as
/// [`Stack`](crate::Stack) does. Either works without the other.
///
/// The span of a call is a child of the one in which the service is called. It is entered while the
/// call's future is polled and dropped, so what happens inside lands in it; it is closed when the
/// answer is there or, if that is a stream, when the stream is over.
///
/// # Shared state
///
/// None.
///
/// # Readiness
///
/// Ready when the inner service is.
///
/// # Cancellation
///
/// Dropping the future, or the stream that it returned, closes the span as `dropped`.
///
/// # Errors
///
/// Those of the inner service.
///
/// # Panics
///
/// Never by itself; a subscriber's panic passes through.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     CallContext, Error, Operation, Request, Response, RetryLayer, Route, Served, TraceLayer,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Error> {
/// let service = ServiceBuilder::new()
///     .layer(TraceLayer::calls())
///     .layer(RetryLayer::new())
///     .layer(TraceLayer::attempts())
///     .service(service_fn(|_: Request<()>| async {
///         Ok::<_, Error>(Response::new("hello yourself", Served::default(), None))
///     }));
///
/// let call = CallContext::new(Operation::Converse, Route::default());
/// let response = service.oneshot(Request::new((), call)).await?;
/// # drop(response);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TraceLayer {
    kind: Kind,
}

/// The service that [`TraceLayer`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Trace<S> {
    inner: S,
    kind: Kind,
}

impl TraceLayer {
    /// Lays a span around each call.
    #[must_use]
    pub const fn calls() -> Self {
        let tenants = false;
        Self {
            kind: Kind::Call { tenants },
        }
    }

    /// Lays a span around each attempt.
    #[must_use]
    pub const fn attempts() -> Self {
        Self {
            kind: Kind::Attempt,
        }
    }

    /// Writes into the spans of calls on whose behalf they are made; off by default, for a tenant's
    /// name may be a person's.
    #[must_use]
    pub const fn with_tenants(mut self) -> Self {
        if let Kind::Call { tenants } = &mut self.kind {
            *tenants = true;
        }
        self
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Trace {
            inner,
            kind: self.kind,
        }
    }
}

impl<S> Trace<S> {
    inner_service_accessors!();
}

impl<S, R> Service<R> for Trace<S>
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
        match Traced::begin(self.kind, request.context()) {
            Some(traced) => {
                let response = traced.span().in_scope(|| self.inner.call(request));
                ResponseFuture::new(response, Some(traced))
            }
            None => ResponseFuture::new(self.inner.call(request), None),
        }
    }
}
