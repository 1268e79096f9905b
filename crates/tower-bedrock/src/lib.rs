//! Tower layers that keep calls to Amazon Bedrock under quota, retried with care, and answered.
//!
//! Calls to Bedrock fail in a handful of well-known ways, and each has another right reaction. This
//! crate finds out which one it was ([`Cause`]) and gives each layer its own row of one table
//! ([`Reactions`]) to act on.
//!
//! # The stack
//!
//! ```no_run
//! # #[cfg(feature = "aws")]
//! # async fn example(sdk_config: &aws_types::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
//! use aws_sdk_bedrockruntime::operation::converse::ConverseInput;
//! use std::time::Duration;
//! use tower_bedrock::{Bedrock, FallbackLayer, Ladder, Quota, Request, Route, Stack};
//!
//! let model = Route::to("us.amazon.nova-lite-v1:0".parse()?);
//! let bedrock = Stack::builder(Bedrock::new(sdk_config))
//!     .quota(model, Quota::new().with_tokens_per_minute(4_000_000))
//!     .fallback(FallbackLayer::new(Ladder::regions(["us-east-1", "us-west-2"]))?)
//!     .build()?;
//!
//! let input = ConverseInput::builder()
//!     .model_id("us.amazon.nova-lite-v1:0")
//!     // .messages(…)
//!     .build()?;
//! let request = Request::from(input).with_timeout(Duration::from_secs(60));
//! let response = bedrock.send(request).await?;
//! println!("{:?} used {:?}", response.served(), response.usage());
//! # Ok(())
//! # }
//! ```
//!
//! One stack serves all operations: `Request::from` picks Converse, InvokeModel, their streams,
//! CountTokens or ApplyGuardrail by the SDK's own input type. The reply to a streaming operation is a
//! [`ResponseStream`].
//!
//! [`Stack`] puts all layers in the order in which they belong and wires them to each other. Each is a
//! [`tower::Layer`] of its own and works without the others; [the module](stack) spells the same stack
//! out with a `ServiceBuilder`, and says what every other order would mean.
//!
//! | layer, outermost first | what it does |
//! |---|---|
//! | [`FallbackLayer`] | picks the route; on a cause that waiting can't cure, the next one allowed |
//! | [`RetryLayer`] | one owner of retries: full jitter, per-cause waits, a budget funded by successes |
//! | [`CircuitBreakerLayer`] | refuses at once while a route is known to be sick, and notices when it is well |
//! | [`TokenBudgetLayer`] | keeps calls under the account's quotas; those that do not fit wait in a fair line |
//! | [`PoolLayer`] | bounds what is in flight for each region, until replies are finished |
//! | [`ClassifyLayer`] | turns what the service said into an [`Error`] with a cause |
//! | [`Bedrock`] | the SDK client of the route's region, one attempt per call |
//!
//! Two more are there on request, outermost: `CacheLayer` (feature `cache`) answers calls out of memory,
//! and [`CoalesceLayer`] has calls that are the same share one attempt.
//!
//! # What to read first
//!
//! * [`Stack`]: all layers in one, with what each does by default and why.
//! * [`Request`] and [`CallContext`]: a call, and what every layer may know of it.
//! * [`Cause`] and [`Reaction`]: why calls fail, and what each layer does about it.
//! * [`ResponseStream`]: an answer as it is generated; when it is whole, and what happens when not.
//! * [`Batch`]: many calls through one stack, so many at a time.
//! * [`quotas`]: what an account may do, read from a list of Service Quotas or from AWS itself.
//!
//! # Features
//!
//! * `aws` (default): the [`Bedrock`] service and the conversions from the SDK's types. Without it
//!   the layers build alone and no crate of the SDK is in the tree.
//! * `metrics` (default): stacks count what they do, in whatever recorder of the `metrics` facade is
//!   installed; the module `metrics` lists what.
//! * `tracing` (default): stacks lay spans around calls and attempts, and layers tell what they decide;
//!   the module `trace` lists what stands in them.
//! * `default-https-client`: the HTTPS client that the SDK would use by itself.
//! * `cache`: answers are kept and given again, by a `CacheLayer`; the module `cache` says which.
//! * `quota-discovery`: `quotas::QuotaDiscovery` reads the account's quotas and inference profiles from AWS.
//! * `axum`: [`Error`] answers for itself in a handler, as `ErrorResponse` says.
//!
//! # Time and chance
//!
//! Clocks are tokio's, so tests may pause them; jitter is seedable ([`Jitter::seeded`]).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[macro_use]
mod macros;

mod answer_time;
pub mod batch;
#[cfg(feature = "cache")]
pub mod cache;
mod call;
mod call_key;
mod cause;
pub mod circuit_breaker;
pub mod classify;
mod clock;
pub mod coalesce;
mod error;
#[cfg(feature = "axum")]
mod error_response;
pub mod fallback;
#[cfg(any(feature = "metrics", feature = "tracing"))]
mod gen_ai;
#[cfg(all(test, any(loom_cores, shuttle_cores)))]
mod interleavings;
mod lane;
#[cfg(feature = "metrics")]
pub mod metrics;
mod model_id;
pub mod pool;
pub mod quotas;
mod readiness;
mod replay;
mod reply;
pub mod retry;
mod route;
mod route_gate;
#[cfg(feature = "aws")]
pub mod sdk;
mod send_signal;
mod size;
pub mod stack;
pub mod stream;
mod sync;
mod template;
pub mod token_budget;
#[cfg(feature = "tracing")]
pub mod trace;

pub use self::{
    batch::{Batch, BatchInput, BatchItem, BatchProgress, BatchRemains, BatchResults},
    call::{
        BedrockRequest, CacheControl, CallContext, CoalesceControl, FallbackOverride, Operation,
        OperationInput, Priority, Request, RetryOverride, Tokens,
    },
    call_key::{InputFacts, KeyedInput, KeyedRequest},
    cause::{BreakerReaction, Cause, Limit, NextRoute, Reaction, Reactions, RetryReaction},
    circuit_breaker::{
        CircuitBreaker, CircuitBreakerLayer, CircuitBreakers, CircuitEvent, CircuitKey,
        CircuitOpen, CircuitPolicy, CircuitSnapshot, CircuitState, CircuitTransition,
        InvalidCircuitPolicy, TransitionReason,
    },
    classify::{Classifier, Classify, ClassifyLayer},
    coalesce::{Coalesce, CoalesceEvent, CoalesceLayer},
    error::{BoxError, Error, ErrorDetails, RawError},
    fallback::{
        Fallback, FallbackEvent, FallbackExhausted, FallbackLayer, InvalidLadder, Ladder,
        NoRouteAllowed, Rung, SkipReason, SkippedRoute,
    },
    model_id::{InvalidModelId, ModelId, ModelIdKind, ProfilePrefix, QuotaPath, Residency},
    pool::{
        AdaptiveLimit, InvalidAdaptiveLimit, Pool, PoolEvent, PoolKey, PoolLayer, PoolSaturated,
        PoolSnapshot, Pools, SaturatedReason,
    },
    replay::{AnswerPart, ReplayResponse},
    reply::{
        BedrockResponse, CacheStatus, Finish, Response, Served, Usage, UsageEstimate, Watcher,
    },
    retry::{Backoff, GaveUp, Jitter, Retry, RetryBudget, RetryEvent, RetryLayer},
    route::{QuotaKey, Region, Route, ServiceTier},
    route_gate::{Passage, RouteGate},
    send_signal::{Readmission, SendListener, SendSignal},
    size::InputSize,
    stack::{DefaultLayers, DefaultStack, InvalidStack, Stack, StackBuilder, StackLayer},
    stream::{
        EventFacts, HoldBack, ResponseStream, StreamEvent, StreamLimit, StreamLimits,
        StreamStalled, TokenCounts,
    },
    token_budget::{
        BudgetExhausted, DailyReset, Estimate, ExhaustedReason, FailureCharge, FailureCharges,
        InvalidQuota, Quota, QuotaPace, QuotaShare, QuotaSnapshot, QuotaWindow, Quotas,
        SizeEstimator, TokenBudget, TokenBudgetEvent, TokenBudgetLayer, TokenCount, TokenEstimator,
    },
};

#[cfg(feature = "cache")]
pub use self::cache::{Cache, CacheEvent, CacheLayer, CacheStore, InvalidCache};
#[cfg(feature = "axum")]
pub use self::error_response::ErrorResponse;
#[cfg(feature = "aws")]
pub use self::sdk::{Bedrock, CountTokensEstimator, MessageAssembler, SdkOperation};
#[cfg(feature = "tracing")]
pub use self::trace::{Trace, TraceLayer};
