use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower::util::{BoxCloneSyncService, Oneshot};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    builder::{DefaultLayers, StackBuilder},
    layer::Shared,
    part::handles,
};
use crate::{
    call::BedrockRequest,
    clock::{self, Turn},
    route::Region,
};

/// All layers over an inner service, wired to each other: what [the module](super) describes.
///
/// `S` is the composed service, a [`DefaultStack`] where no layer was left out or given another
/// type.
///
/// # Shared state
///
/// Clones share quotas, circuits, pools, retry budget and connections. Make one stack for a process,
/// and clone it for every task.
///
/// # Readiness
///
/// Ready when its innermost service is, in the default stack always: what is too much waits, or is
/// refused, in the call's future.
///
/// # Cancellation
///
/// Dropping the future drops the attempt under way and gives back whatever the layers hold for the
/// call: its places in line and in flight, its hold as far as nothing was sent, its place as a probe.
/// No layer spawns a task.
///
/// # Errors
///
/// An [`Error`](crate::Error) that tells cause, route and attempts, after the layers have done about
/// it what they could.
///
/// # Panics
///
/// `call` panics outside of a tokio runtime with time enabled if the call has a deadline, which by
/// default each has.
///
/// # Example
///
/// ```
/// use tower::service_fn;
/// use tower_bedrock::{
///     CallContext, Error, Operation, Quota, Request, Response, Route, Served, Stack,
/// };
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bedrock = service_fn(|request: Request<&'static str>| async move {
///     Ok::<_, Error>(Response::new(request.input().len(), Served::default(), None))
/// });
/// let route = Route::to("us.amazon.nova-lite-v1:0".parse()?);
/// let stack = Stack::over(bedrock, "us-east-1")
///     .quota(route.clone(), Quota::new().with_requests_per_minute(100))
///     .build()?;
///
/// let call = CallContext::new(Operation::Converse, route.clone());
/// let response = stack.send(Request::new("hello", call)).await?;
/// assert_eq!(*response.output(), 5);
/// assert_eq!(stack.quotas().unwrap().snapshot_of(&route).requests_used, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stack<S> {
    pub(super) inner: S,
    pub(super) shared: Arc<Shared>,
}

/// A stack with all layers over a service `S`. Without the features `metrics` and `tracing` it has none
/// that counts or lays spans.
pub type DefaultStack<S> = Stack<<DefaultLayers as Layer<S>>::Service>;

impl Stack<()> {
    /// A stack over `bedrock`. Calls without a region count as calls to its home region.
    #[cfg(feature = "aws")]
    pub fn builder(bedrock: crate::sdk::Bedrock) -> StackBuilder<crate::sdk::Bedrock> {
        let home = bedrock.home_region().cloned();
        StackBuilder::new(bedrock, home)
    }

    /// A stack over any service that sends calls without a region to `home_region`: a mock, a gateway,
    /// a client of one's own.
    pub fn over<S>(service: S, home_region: impl Into<Region>) -> StackBuilder<S> {
        StackBuilder::new(service, Some(home_region.into()))
    }
}

impl<S> Stack<S> {
    inner_service_accessors!();

    /// Makes a call, by a clone of the stack.
    pub fn send<R>(&self, request: R) -> Oneshot<Self, R>
    where
        R: BedrockRequest,
        S: Service<R> + Clone,
    {
        Oneshot::new(self.clone(), request)
    }

    /// The stack for requests of one type, without its own type.
    pub fn boxed<R>(self) -> BoxCloneSyncService<R, S::Response, S::Error>
    where
        R: BedrockRequest,
        S: Service<R> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        BoxCloneSyncService::new(self)
    }

    handles!();
}

impl<S, R> Service<R> for Stack<S>
where
    R: BedrockRequest,
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: R) -> Self::Future {
        let _turn = Turn::begin();
        let call = request.context_mut();
        if let (None, Some(timeout)) = (call.deadline, self.shared.timeout) {
            call.deadline = clock::now().checked_add(timeout);
        }
        call.attempt_timeout = call.attempt_timeout.or(self.shared.attempt_timeout);
        self.inner.call(request)
    }
}

impl<S: fmt::Debug> fmt::Debug for Stack<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("inner", &self.inner)
            .field("timeout", &self.shared.timeout)
            .finish()
    }
}
