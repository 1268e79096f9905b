use std::{
    fmt,
    future::Future,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_bedrockruntime::config::{ConfigBag, Intercept};
use aws_smithy_runtime_api::{
    box_error::BoxError, client::interceptors::context::BeforeSerializationInterceptorContextRef,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tokio::time::Instant;

use super::call::on_top;
use crate::{
    call::{CallContext, FallbackOverride, Priority, RetryOverride},
    model_id::Residency,
    reply::Served,
};

/// What one call through the SDK asks of the layers, and what they tell of it afterwards.
///
/// Give it to a call as an interceptor, or to all calls of a piece of code with
/// [`scope`](Self::scope); given both, the interceptor's goes. It does nothing by itself: something
/// must be [installed](crate::sdk::install) to read it.
///
/// # Shared state
///
/// Clones share what they were told: [`served`](Self::served) is of the last call that ended well.
///
/// # Example
///
/// ```no_run
/// # async fn example(client: aws_sdk_bedrockruntime::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tower_bedrock::{Priority, Residency, sdk::install::CallOptions};
///
/// let options = CallOptions::new()
///     .with_timeout(Duration::from_secs(30))
///     .with_tenant("search")
///     .with_priority(Priority::High)
///     .within(Residency::Geo);
/// let answer = client
///     .converse()
///     .model_id("us.amazon.nova-lite-v1:0")
///     // .messages(…)
///     .customize()
///     .interceptor(options.clone())
///     .send()
///     .await?;
/// if let Some(served) = options.served() {
///     println!("{} after {} attempts", served.route, served.attempts);
/// }
///
/// // For all calls that this future makes by itself, on this task:
/// CallOptions::new().with_tenant("batch").scope(async {
///     // client.converse()…
/// }).await;
/// # drop(answer);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct CallOptions {
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    attempt_timeout: Option<Duration>,
    tenant: Option<Arc<str>>,
    priority: Option<Priority>,
    retry: RetryOverride,
    fallback: FallbackOverride,
    served: Arc<Mutex<Option<Served>>>,
    on_served: Option<Arc<OnServed>>,
}

type OnServed = dyn Fn(&Served) + Send + Sync;

tokio::task_local! {
    static SCOPE: CallOptions;
}

impl Storable for CallOptions {
    type Storer = StoreReplace<Self>;
}

impl CallOptions {
    /// Asks for nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A deadline `timeout` after each call begins, on tokio's clock. The SDK's own operation timeout
    /// is a deadline too; the earlier one goes.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// No attempt starts after `deadline`, and no layer waits past it.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Gives up a single attempt that takes longer than `timeout`; see
    /// [`CallContext::attempt_timeout`]. The SDK's own attempt timeout holds as well.
    #[must_use]
    pub const fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Makes calls on behalf of `tenant`.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Sets how urgent calls are.
    #[must_use]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// At most this many attempts of a call, including the first.
    #[must_use]
    pub const fn with_max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.retry.max_attempts = Some(attempts);
        self
    }

    /// Whether a call may be made again after it got no answer in time, although its work may be done
    /// and billed.
    #[must_use]
    pub const fn with_retry_timeouts(mut self, retry: bool) -> Self {
        self.retry.retry_timeouts = Some(retry);
        self
    }

    /// Keeps calls on their own route, whatever happens there.
    #[must_use]
    pub const fn without_fallback(mut self) -> Self {
        self.fallback.is_disabled = true;
        self
    }

    /// Has a call's data processed within `residency` only, where the fallback layer allows more.
    #[must_use]
    pub const fn within(mut self, residency: Residency) -> Self {
        self.fallback.residency = Some(residency);
        self
    }

    /// By whom and how the last call was served; `None` until one was, and for calls that nothing
    /// installed has seen.
    #[must_use]
    pub fn served(&self) -> Option<Served> {
        self.served
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Tells `listener` of every call that ended well by whom and how it was served, on the task that
    /// made it. It must not block.
    #[must_use]
    pub fn on_served<F>(mut self, listener: F) -> Self
    where
        F: Fn(&Served) + Send + Sync + 'static,
    {
        self.on_served = Some(Arc::new(listener));
        self
    }

    /// Runs `future` with these options for every call that it makes. Calls on tasks that it spawns
    /// have a scope of their own.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        SCOPE.scope(self, future).await
    }

    /// The options of the call that begins here.
    pub(super) fn of(cfg: &mut ConfigBag) -> Option<Self> {
        let own = on_top::<Self>(cfg).cloned();
        own.or_else(|| SCOPE.try_with(Self::clone).ok())
    }

    /// Puts into `call` what is asked for.
    pub(super) fn apply(&self, call: &mut CallContext) {
        let timeout = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        call.deadline = [call.deadline, self.deadline, timeout]
            .into_iter()
            .flatten()
            .min();
        call.attempt_timeout = self.attempt_timeout;
        if let Some(tenant) = &self.tenant {
            call.tenant = Some(Arc::clone(tenant));
        }
        call.priority = self.priority.unwrap_or(call.priority);
        call.retry = self.retry;
        call.fallback = self.fallback;
    }

    pub(super) fn set_served(&self, served: Served) {
        if let Some(listener) = &self.on_served {
            listener(&served);
        }
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }
}

impl Intercept for CallOptions {
    fn name(&self) -> &'static str {
        "CallOptions"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(self.clone());
        Ok(())
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("tenant", &self.tenant)
            .field("priority", &self.priority)
            .field("retry", &self.retry)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}
