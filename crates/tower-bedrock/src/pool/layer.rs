use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use super::{
    future::{ResponseFuture, has_expired},
    places::Places,
    pools::Pools,
};
use crate::{call::BedrockRequest, error::Error, readiness, reply::BedrockResponse};

/// Bounds what is in flight, for each region by default, until replies are finished.
///
/// A call takes a place before it is sent. Without a free one it stands in line, first come, first
/// served, for a bounded time among a bounded number of others. It keeps its place until its reply
/// is finished: fifty open streams are fifty calls in flight, however long ago they began.
///
/// Put it inside of [`TokenBudgetLayer`](crate::TokenBudgetLayer), so that a place is held only by
/// what is really being sent. A call that has stood in line here tells the budget when it goes
/// ([`SendSignal`](crate::SendSignal)), so that its tokens count from then on. Where a place is to be
/// for a whole call, waits between its attempts included, put it outside of the retries.
///
/// # Shared state
///
/// All pools belong to the [`Pools`]; layers with clones of it share them.
///
/// # Readiness
///
/// Always ready: which pool a call belongs to is known when it is made. The inner service is asked too,
/// and if it is ready and a place is free, it has the call at once. Otherwise the future waits for a
/// place first and for the readiness of a clone of the inner service then, and the instance that was made
/// ready is let go, so that what the inner service hands out is not kept by those who stand in line.
///
/// # Cancellation
///
/// Dropping the future frees its place, in line or in flight, even if it was never polled. Dropping a
/// stream does too.
///
/// # Errors
///
/// [`Cause::PoolSaturated`](crate::Cause::PoolSaturated), with a
/// [`PoolSaturated`](crate::PoolSaturated) as its `source`, if the call is refused: because as many
/// wait as may, or because it has waited until its deadline or for as long as it may: unlike
/// [`Cause::DeadlineExceeded`](crate::Cause::DeadlineExceeded), that tells what kept it, and that
/// nothing was sent. `DeadlineExceeded` if its deadline had passed when it came, or passed while the
/// inner service was not ready: nothing is sent after it. Neither says anything of the service's
/// health, so circuit breakers do not count them. Otherwise those of the inner service.
///
/// # Panics
///
/// Only if a call has to wait outside of a tokio runtime with time enabled, as all of tokio's timers
/// do.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{
///     CallContext, Error, Operation, PoolKey, PoolLayer, PoolSaturated, Pools, Request, Response,
///     Route, SaturatedReason, Served,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bedrock = service_fn(|_: Request<()>| async {
///     tokio::time::sleep(std::time::Duration::from_secs(20)).await;
///     Ok::<_, Error>(Response::new((), Served::default(), None))
/// });
/// let pools = Pools::new().with_max_in_flight(1).with_max_waiting(1);
/// let service = ServiceBuilder::new()
///     .layer(PoolLayer::new(pools.clone()))
///     .service(bedrock);
///
/// let call = CallContext::new(Operation::Converse, Route::default().in_region("us-east-1"));
/// let send = || service.clone().oneshot(Request::new((), call.clone()));
/// let (first, second, third) = tokio::join!(send(), send(), send());
/// assert!(first.is_ok() && second.is_ok());
/// let refusal = third.unwrap_err();
/// let refusal = PoolSaturated::of(&refusal).unwrap();
/// assert_eq!(refusal.reason(), SaturatedReason::QueueFull);
/// assert_eq!(pools.snapshot_of(&PoolKey::region("us-east-1")).in_flight, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct PoolLayer {
    pools: Pools,
}

/// The service that [`PoolLayer`] makes.
pub struct Pool<S> {
    inner: S,
    /// Whether the inner service has said that it is ready, and was not called since.
    is_ready: bool,
    pools: Pools,
}

impl PoolLayer {
    /// Lets as many calls through as `pools` say.
    #[must_use]
    pub const fn new(pools: Pools) -> Self {
        Self { pools }
    }

    /// The pools.
    #[must_use]
    pub const fn pools(&self) -> &Pools {
        &self.pools
    }
}

impl<S> Layer<S> for PoolLayer {
    type Service = Pool<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Pool::new(inner, self.pools.clone())
    }
}

impl<S> Pool<S> {
    /// Lets as many calls to `inner` through as `pools` say.
    pub const fn new(inner: S, pools: Pools) -> Self {
        Self {
            inner,
            is_ready: false,
            pools,
        }
    }

    inner_service_accessors!();

    /// The pools.
    pub const fn pools(&self) -> &Pools {
        &self.pools
    }
}

impl<S, R> Service<R> for Pool<S>
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
        let call = request.context();
        let places = self.pools.of_call(call);
        if !self.is_ready || has_expired(call) {
            return self.wait(request, places);
        }
        match places.take() {
            Ok(permit) => {
                self.is_ready = false;
                ResponseFuture::called(self.inner.call(request), permit)
            }
            Err(places) => self.wait(request, places),
        }
    }
}

impl<S> Pool<S> {
    /// The future of a call that cannot go now. Whatever the inner service has handed out, or is about
    /// to, is for one that can.
    #[cold]
    fn wait<R>(&mut self, request: R, places: Arc<Places>) -> ResponseFuture<S, R>
    where
        S: Service<R> + Clone,
    {
        self.is_ready = false;
        self.inner = self.inner.clone();
        ResponseFuture::waiting(self.inner.clone(), request, places)
    }
}

/// A clone of a service that is ready need not be.
impl<S: Clone> Clone for Pool<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.pools.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("inner", &self.inner)
            .field("pools", &self.pools)
            .finish()
    }
}
