use std::{fmt, num::NonZeroUsize, time::Duration};

use futures_core::Stream;
use tokio::time::Instant;
use tower_service::Service;

use super::{input::BatchInput, progress::BatchProgress, results::BatchResults};
use crate::call::{BedrockRequest, Priority};

pub(super) type Listener = dyn FnMut(BatchProgress) + Send;

/// Below the 50 that a pool keeps in flight for each region, so that a batch leaves room for calls
/// that somebody waits for.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// Makes many calls through one stack, so many at a time.
///
/// Requests are pulled from an iterator or a stream when there is room for them, 32 at a time by
/// default, so a million of them need the memory of 32. What became of each is yielded as soon as it
/// is known, or in the order of the input ([`in_order`](Self::in_order)), with the caller's own key.
/// A call that fails is a result like any other; the rest goes on.
///
/// Calls are made with [`Priority::Low`]: where a layer has them stand in line, they go after calls
/// that somebody waits for. [`with_priority`](Self::with_priority) sets another,
/// [`with_own_priorities`](Self::with_own_priorities) leaves each request its own.
///
/// Retries, quotas and routes are the stack's matter. Many calls that wait for a small quota may wait
/// longer than its layer allows ([`with_max_wait`](crate::TokenBudgetLayer::with_max_wait)): choose a
/// concurrency that the quota serves within that time.
///
/// # Readiness
///
/// Each call is made by a clone of the service, when that is ready.
///
/// # Cancellation
///
/// The batch runs while it is polled, on the task that polls it; nothing is spawned. A
/// [`next`](BatchResults::next) that is dropped loses nothing. [`stop`](BatchResults::stop) pulls no
/// more and lets what is under way finish; [`into_remains`](BatchResults::into_remains) breaks off at
/// once and tells what is left. Dropping the batch drops the calls that are under way.
///
/// # Panics
///
/// A panic of the service passes through to whoever polls. The batch can be polled on afterwards: the
/// call is not yielded, and is among the [`unfinished`](super::BatchRemains::unfinished).
///
/// # Example
///
/// ```
/// use std::num::NonZeroUsize;
/// use tower::{ServiceBuilder, service_fn};
/// use tower_bedrock::{Batch, CallContext, Error, Operation, Request, RetryLayer, Route};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(RetryLayer::new())
///     .service_fn(|request: Request<u64>| async move { Ok::<_, Error>(request.input() * 2) });
///
/// let requests = (0..1_000_000u64).map(|number| {
///     let call = CallContext::new(Operation::Converse, Route::default());
///     (number, Request::new(number, call))
/// });
/// let mut batch = Batch::new(service)
///     .with_concurrency(NonZeroUsize::new(100).unwrap())
///     .run(requests);
/// while let Some(item) = batch.next().await {
///     assert_eq!(item.result.unwrap(), item.key * 2);
///     if batch.progress().finished() == 5000 {
///         // Somebody pressed Ctrl-C.
///         batch.stop();
///     }
/// }
///
/// // What was under way is done; the rest can be gone on with.
/// let done = batch.progress().finished();
/// assert!(done < 5200);
/// assert_eq!(batch.into_remains().input.next().unwrap().0, done);
/// # }
/// ```
pub struct Batch<S> {
    pub(super) service: S,
    pub(super) concurrency: NonZeroUsize,
    pub(super) is_ordered: bool,
    pub(super) priority: Option<Priority>,
    pub(super) timeout: Option<Duration>,
    pub(super) listener: Option<Box<Listener>>,
}

impl<S> Batch<S> {
    /// Calls through clones of `service`, 32 at a time, at low priority, yielded as they finish.
    #[must_use]
    pub const fn new(service: S) -> Self {
        Self {
            service,
            concurrency: CONCURRENCY,
            is_ordered: false,
            priority: Some(Priority::Low),
            timeout: None,
            listener: None,
        }
    }

    /// Keeps so many calls in flight; 32 by default. What waits inside of the stack, for a quota or
    /// for a retry, counts as in flight.
    #[must_use]
    pub const fn with_concurrency(mut self, calls: NonZeroUsize) -> Self {
        self.concurrency = calls;
        self
    }

    /// Yields results in the order of the input instead of as they finish. As many again as are in
    /// flight may then wait for a slow one before them; after that, nothing new is pulled until it is
    /// over.
    #[must_use]
    pub const fn in_order(mut self) -> Self {
        self.is_ordered = true;
        self
    }

    /// Makes the calls with this priority; [`Priority::Low`] by default.
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Leaves each request the priority that it has.
    #[must_use]
    pub const fn with_own_priorities(mut self) -> Self {
        self.priority = None;
        self
    }

    /// Gives each call this long from when it is started; a request's own deadline stands if it is
    /// earlier. None by default.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Tells `listener` how far the batch has come, whenever a call is started or over, on the task
    /// that polls the batch. For progress bars; it must not block.
    #[must_use]
    pub fn on_progress<F>(mut self, listener: F) -> Self
    where
        F: FnMut(BatchProgress) + Send + 'static,
    {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Makes the calls of `requests`, each with a key of the caller's own.
    ///
    /// Where the place in the input is key enough, `enumerate` makes it one. Nothing happens until the
    /// results are polled.
    pub fn run<K, R, I>(self, requests: I) -> BatchResults<S, K, R, BatchInput<I::IntoIter>>
    where
        I: IntoIterator<Item = (K, R)>,
        R: BedrockRequest,
        S: Service<R> + Clone,
    {
        self.run_stream(BatchInput::new(requests.into_iter()))
    }

    /// Makes the calls of `requests` as they come, each with a key of the caller's own.
    pub fn run_stream<K, R, I>(self, requests: I) -> BatchResults<S, K, R, I>
    where
        I: Stream<Item = (K, R)>,
        R: BedrockRequest,
        S: Service<R> + Clone,
    {
        BatchResults::new(self, requests)
    }
}

impl<S> Batch<S> {
    /// The request as it is sent.
    pub(super) fn prepared<R: BedrockRequest>(&self, request: &R) -> R {
        let mut request = request.clone();
        let call = request.context_mut();
        if let Some(priority) = self.priority {
            call.priority = priority;
        }
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(deadline) = deadline {
            call.deadline = Some(call.deadline.map_or(deadline, |own| own.min(deadline)));
        }
        request
    }

    pub(super) fn tell(&mut self, progress: BatchProgress) {
        if let Some(listener) = &mut self.listener {
            listener(progress);
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Batch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("service", &self.service)
            .field("concurrency", &self.concurrency)
            .field("is_ordered", &self.is_ordered)
            .field("priority", &self.priority)
            .field("timeout", &self.timeout)
            .field("listener", &self.listener.is_some())
            .finish()
    }
}
