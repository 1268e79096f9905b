//! Counters, gauges and histograms of what the layers see and do, through the [`metrics`](https://docs.rs/metrics)
//! facade.
//!
//! A [`Stack`](crate::Stack) counts by itself, until it is built
//! [`without_metrics`](crate::StackBuilder::without_metrics). What is to be looked at, as the use of a
//! quota, it shows when [`report_metrics`](crate::Stack::report_metrics) is called: before each scrape,
//! say. [`names`] lists everything; [`describe`] tells the recorder of it.
//!
//! ```
//! use tower::service_fn;
//! use tower_bedrock::{
//!     CallContext, Error, Operation, Request, Response, Route, Served, Stack,
//!     metrics::{Metrics, describe},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Where the application installs its recorder:
//! describe();
//!
//! let bedrock = service_fn(|_: Request<()>| async {
//!     Ok::<_, Error>(Response::new((), Served::default(), None))
//! });
//! let stack = Stack::over(bedrock, "eu-west-1")
//!     .metrics(Metrics::new().with_tenants(20))
//!     .build()?;
//! let route = Route::to("eu.amazon.nova-lite-v1:0".parse()?);
//! let call = CallContext::new(Operation::Converse, route);
//! stack.send(Request::new((), call)).await?;
//!
//! // Before each scrape:
//! stack.report_metrics();
//! # Ok(())
//! # }
//! ```
//!
//! # Attempts
//!
//! Attempts are counted below the retry layer, in CloudWatch's words, so that nothing is hidden by a
//! retry that went well. Every attempt that went out counts once, when it is over, in exactly one of
//! these:
//!
//! | | |
//! |---|---|
//! | [`INVOCATIONS`](names::INVOCATIONS) | a whole reply; a stream that came whole, or that its reader dropped |
//! | [`INVOCATION_THROTTLES`](names::INVOCATION_THROTTLES) | every 429: [throttles](crate::Cause::is_throttle), and models that are not loaded |
//! | [`INVOCATION_CLIENT_ERRORS`](names::INVOCATION_CLIENT_ERRORS) | the caller's fault: validation, access, credentials, limits of the account |
//! | [`INVOCATION_SERVER_ERRORS`](names::INVOCATION_SERVER_ERRORS) | the fault of the service or its model, capacity too; CloudWatch counts a model's timeout (408) and failure (424) among client errors, by their status |
//! | [`INVOCATION_TRANSPORT_ERRORS`](names::INVOCATION_TRANSPORT_ERRORS) | no answer, or half of one: connections, timeouts and deadlines, streams that are cut or stall; CloudWatch knows nothing of them |
//! | [`INVOCATIONS_DROPPED`](names::INVOCATIONS_DROPPED) | the caller went away before anything came |
//!
//! So their sum is the number of requests on the wire. The exceptions: a connection that never stood is an
//! attempt without a request, and where a clock is far off, the installed client signs and sends
//! a request a second time within its attempt. An error in the middle of a stream counts as what it is, not
//! as the 200 that its stream began with. What was not sent at all is in
//! [`REFUSALS`](names::REFUSALS).
//!
//! # Labels
//!
//! | label | values |
//! |---|---|
//! | `model` | the id as sent; of an ARN its resource alone |
//! | `region` | the region that is called, or the home region; of a pool, whatever it is kept by |
//! | `operation` | the service's name of it, `ConverseStream` |
//! | `cause` | a [`Cause`](crate::Cause); of a fallback also `wait`: nothing refused, but a wait was spared, or a route is kept warm |
//! | `outcome` | `answered`, `dropped`, or the cause of the error; of lookups in the cache `hit` or `miss` |
//! | `end` | `complete`, `dropped`, or the cause of the error |
//! | `action` | what discovery was not able to read, as IAM calls it |
//! | `layer` | `retry`, `token_budget`, `circuit_breaker`, `pool`, `fallback`; `bedrock` for a request that could not be built or signed |
//! | `limit` | of quotas `requests_per_minute`, `tokens_per_minute`, `tokens_per_day`; of refusals also a pool's `queue_full`, `max_wait`, `deadline`; `circuit`, `residency`, `not_sent` |
//! | `reason` | a [`GaveUp`](crate::GaveUp); of transitions a [`TransitionReason`](crate::TransitionReason) |
//! | `from`, `to` | a route, `model@region/tier`; of degraded calls `model/tier`; of transitions a [`CircuitState`](crate::CircuitState) |
//! | `role` | `led` or `joined` |
//! | `key` | a quota key without its account, `region/path/model` |
//! | `tenant` | on calls, tokens and refusals, only [if asked for](Metrics::with_tenants) |
//!
//! All have a bounded number of values, as [`Metrics`] says.
//!
//! # By hand
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_bedrock::{
//!     CircuitBreakerLayer, CircuitBreakers, ClassifyLayer, FallbackLayer, Ladder, PoolLayer, Pools,
//!     Quotas, RetryBudget, RetryLayer, TokenBudgetLayer,
//!     metrics::{AttemptMetricsLayer, CallMetricsLayer, Metrics, MetricsReporter},
//! };
//!
//! # fn stack<S>(bedrock: S) -> Result<(), tower_bedrock::InvalidLadder> {
//! let metrics = Metrics::new().with_home_region("eu-west-1");
//! let quotas = Quotas::new();
//! let breakers = CircuitBreakers::new().on_event(metrics.on_circuit());
//! let pools = Pools::new().on_event(metrics.on_pool());
//! let budget = RetryBudget::new();
//! let fallback = FallbackLayer::new(Ladder::regions(["eu-west-1", "eu-central-1"]))?;
//! let reporter = MetricsReporter::new(metrics.clone())
//!     .with_quotas(quotas.clone())
//!     .with_breakers(breakers.clone())
//!     .with_pools(pools.clone())
//!     .with_retry_budget(budget.clone());
//!
//! let stack = ServiceBuilder::new()
//!     .layer(CallMetricsLayer::new(metrics.clone()))
//!     .layer(fallback.on_event(metrics.on_fallback()))
//!     .layer(RetryLayer::new().with_budget(budget).on_event(metrics.on_retry()))
//!     .layer(CircuitBreakerLayer::new(breakers))
//!     .layer(TokenBudgetLayer::new(quotas).on_event(metrics.on_token_budget()))
//!     .layer(PoolLayer::new(pools))
//!     .layer(AttemptMetricsLayer::new(metrics))
//!     .layer(ClassifyLayer::new())
//!     .service(bedrock);
//! # let _ = (stack, reporter);
//! # Ok(())
//! # }
//! ```
//!
//! # Cost
//!
//! Without a recorder the two layers look nothing up and read no clock. With one, a call that has nothing
//! else to tell asks for its handles by route, reads the clock at begin and end, and records: nothing of it
//! allocates, unless the recorder does. A stream costs an allocation for each of the two, as for
//! everybody who watches it.

mod attempts;
pub mod buckets;
mod cache;
mod calls;
mod describe;
#[cfg(feature = "quota-discovery")]
mod discovery;
mod handle;
mod labels;
mod listeners;
pub mod names;
mod recorder;
mod report;
#[cfg(test)]
mod tests;

#[cfg(feature = "quota-discovery")]
pub(crate) use self::discovery::discovery_failed;
pub use self::{
    attempts::{AttemptMetrics, AttemptMetricsLayer},
    calls::{CallMetrics, CallMetricsLayer},
    describe::describe,
    handle::Metrics,
    names::{Metric, MetricGroup, MetricKind, MetricUnit},
    report::MetricsReporter,
};

/// The futures of the layers.
pub mod future {
    pub use super::{
        attempts::ResponseFuture as AttemptFuture, calls::ResponseFuture as CallFuture,
    };
}
