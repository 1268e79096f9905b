use std::{
    fmt, mem,
    task::{Context, Poll},
};

use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    breakers::{CircuitBreakers, Closed},
    entrance::Way,
    future::ResponseFuture,
    permit::Permit,
};
use crate::{call::BedrockRequest, error::Error, readiness, reply::BedrockResponse};

/// Sends no calls to a route that is known to be sick, but one now and then to see whether it is well
/// again.
///
/// There is one circuit for each [`Route`](crate::Route), kept by [`CircuitBreakers`]. What opens
/// and closes it is told by its [`CircuitPolicy`](crate::CircuitPolicy), and what counts as a
/// failure by the [`Reactions`](crate::Reactions) table:
///
/// | what came of a call | counts as |
/// |---|---|
/// | an answer; of a stream, its whole end | success |
/// | overload, capacity, 5xx, connection, a stream that breaks or stalls | failure |
/// | no answer in time, or the call's own deadline cuts it | failure; if slow calls count, slow |
/// | throttles for a used-up quota | nothing; of a probe, a failure |
/// | auth, validation, and what our own layers refuse | nothing |
/// | the caller drops it before its deadline | nothing; after longer than a call may take, slow |
///
/// # While the circuit is open
///
/// A call is refused at once, so that it goes elsewhere, unless it has time and nowhere else to go: one
/// that has a deadline and no [next route](crate::CallContext::has_next_route) waits in line, as it
/// would for quota, if the cooldown ends before its deadline. The first in line is the probe. When the
/// circuit has closed, the others come back in growing numbers: one at first, and another one for each
/// answer, fewer if something fails, and no more while answers take three times as long as at first.
/// New calls go at once meanwhile. Nothing is sent that would be answered too late, and no retry is
/// paid for waiting.
///
/// What fails fast fails for good where its caller has no other plan: with a region that is down for
/// 20 s of each minute, calls that wait get 99 % answered and such that are refused 56 %, and an
/// overload is over as soon with the one as with the other (`docs/benchmarks.md`). The line is bounded:
/// [`CircuitPolicy::with_max_waiting`](crate::CircuitPolicy::with_max_waiting) says by what, and 0
/// refuses all at once.
///
/// # What counts
///
/// An outcome counts only in the generation of the circuit that admitted the call. So a slow answer
/// from before an outage closes nothing, and a late failure does not open what has just recovered.
///
/// Put it inside of [`RetryLayer`](crate::RetryLayer), so that every attempt counts, and outside of
/// [`TokenBudgetLayer`](crate::TokenBudgetLayer), so that what is refused draws on no quota. A
/// layer that picks routes asks the [`CircuitBreakers`] beforehand: they are a
/// [`RouteGate`](crate::RouteGate).
///
/// # Shared state
///
/// All circuits belong to the [`CircuitBreakers`]; layers with clones of it share them.
///
/// # Readiness
///
/// Always ready, so that a call to a sick route is refused or waits here even when the inner service is
/// busy with calls that hang. A call that is let through waits in its future until the inner service is ready,
/// and asks its circuit then. The instance that was made ready is the one that is called.
///
/// # Cancellation
///
/// Dropping the future, or the stream that it returned, gives its place in line or that of a probe back, and says
/// nothing of the route unless the call's deadline has passed or slow calls count. It is counted in
/// [`CircuitSnapshot::abandoned`](crate::CircuitSnapshot::abandoned).
///
/// # Errors
///
/// [`Cause::CircuitOpen`](crate::Cause::CircuitOpen), with a [`CircuitOpen`](crate::CircuitOpen) as
/// its `source` and [`retry_after`](Error::retry_after) set, if the call is refused; otherwise those
/// of the inner service.
///
/// # Panics
///
/// Never by itself; a listener's panic passes through.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     CallContext, Cause, CircuitBreakerLayer, CircuitBreakers, CircuitOpen, Error, Operation,
///     Request, Response, Route,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let overloaded = service_fn(|_: Request<()>| async {
///     Err::<Response<()>, _>(Error::new(Cause::ModelOverloaded))
/// });
/// let service = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(CircuitBreakers::new()))
///     .service(overloaded);
///
/// let route = Route::to("us.amazon.nova-lite-v1:0".parse()?);
/// let request = Request::new((), CallContext::new(Operation::Converse, route.clone()));
/// for _ in 0..10 {
///     let error = service.clone().oneshot(request.clone()).await.unwrap_err();
///     assert_eq!(error.cause(), Cause::ModelOverloaded);
/// }
/// let error = service.oneshot(request).await.unwrap_err();
/// assert_eq!(error.cause(), Cause::CircuitOpen);
/// assert_eq!(CircuitOpen::of(&error).unwrap().route(), &route);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CircuitBreakerLayer {
    breakers: CircuitBreakers,
}

/// The service that [`CircuitBreakerLayer`] makes.
pub struct CircuitBreaker<S> {
    inner: S,
    /// Whether the inner service has said that it is ready, and was not called since.
    is_ready: bool,
    breakers: CircuitBreakers,
}

impl CircuitBreakerLayer {
    /// Lets calls through as `breakers` say.
    #[must_use]
    pub const fn new(breakers: CircuitBreakers) -> Self {
        Self { breakers }
    }

    /// The circuits of the routes.
    #[must_use]
    pub const fn breakers(&self) -> &CircuitBreakers {
        &self.breakers
    }
}

impl<S> Layer<S> for CircuitBreakerLayer {
    type Service = CircuitBreaker<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreaker::new(inner, self.breakers.clone())
    }
}

impl<S> CircuitBreaker<S> {
    /// Lets calls to `inner` through as `breakers` say.
    pub const fn new(inner: S, breakers: CircuitBreakers) -> Self {
        Self {
            inner,
            is_ready: false,
            breakers,
        }
    }

    inner_service_accessors!();

    /// The circuits of the routes.
    pub const fn breakers(&self) -> &CircuitBreakers {
        &self.breakers
    }
}

impl<S, R> Service<R> for CircuitBreaker<S>
where
    R: BedrockRequest,
    S: Service<R> + Clone,
    S::Response: BedrockResponse,
    S::Error: Into<Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.is_ready = readiness::look(&mut self.inner, cx)?;
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        if self.is_ready {
            let call = request.context();
            if let Some(way) = self.breakers.way(&call.route) {
                self.is_ready = false;
                return go(&mut self.inner, &way, call.deadline, request);
            }
            return self.ask(request);
        }
        if let Err(closed) = self.breakers.refuse_early(request.context()) {
            return self.wait(request, closed);
        }
        // What has begun to become ready goes on in the future.
        let next = self.inner.clone();
        let service = mem::replace(&mut self.inner, next);
        ResponseFuture::readying(service, request, self.breakers.clone(), None)
    }
}

/// Calls `inner`, which is ready.
///
/// A function of its own, with one way out and nothing to drop on the way: elsewhere, the future that
/// `inner` returns is copied once more.
#[inline(never)]
fn go<S, R>(
    inner: &mut S,
    way: &Way<'_>,
    deadline: Option<Instant>,
    request: R,
) -> ResponseFuture<S, R>
where
    S: Service<R>,
{
    let response = inner.call(request);
    let (entrance, ticket) = way.go();
    ResponseFuture::called(response, Permit::new(entrance, ticket, deadline))
}

impl<S> CircuitBreaker<S> {
    /// The future of a call that has to ask, to an inner service that is ready.
    #[cold]
    fn ask<R>(&mut self, mut request: R) -> ResponseFuture<S, R>
    where
        R: BedrockRequest,
        S: Service<R> + Clone,
    {
        match self.breakers.admit(request.context_mut()) {
            Ok(permit) => {
                self.is_ready = false;
                ResponseFuture::called(self.inner.call(request), permit)
            }
            Err(closed) => self.wait(request, closed),
        }
    }

    /// The future of a call that cannot go now. What is ready stays here for one that can.
    #[cold]
    fn wait<R>(&self, request: R, closed: Closed) -> ResponseFuture<S, R>
    where
        R: BedrockRequest,
        S: Service<R> + Clone,
    {
        match closed.wait(request.context()) {
            Ok(waiting) => {
                let (service, breakers) = (self.inner.clone(), self.breakers.clone());
                ResponseFuture::readying(service, request, breakers, Some(waiting))
            }
            Err(error) => ResponseFuture::refused(error),
        }
    }
}

/// A clone of a service that is ready need not be.
impl<S: Clone> Clone for CircuitBreaker<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.breakers.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for CircuitBreaker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("inner", &self.inner)
            .field("breakers", &self.breakers)
            .finish_non_exhaustive()
    }
}
