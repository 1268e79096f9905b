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
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_bedrock::{
//!     Bedrock, ClassifyLayer, Quota, Quotas, Request, RetryLayer, Route, TokenBudgetLayer,
//! };
//!
//! let quotas = Quotas::new();
//! let model = Route::to("us.amazon.nova-lite-v1:0".parse()?);
//! quotas.set(&model, Quota::new().with_tokens_per_minute(4_000_000))?;
//!
//! let bedrock = ServiceBuilder::new()
//!     .layer(RetryLayer::new())
//!     .layer(TokenBudgetLayer::new(quotas))
//!     .layer(ClassifyLayer::new())
//!     .service(Bedrock::new(sdk_config));
//!
//! let input = ConverseInput::builder()
//!     .model_id("us.amazon.nova-lite-v1:0")
//!     // .messages(…)
//!     .build()?;
//! let request = Request::from(input).with_timeout(Duration::from_secs(60));
//! let response = bedrock.clone().oneshot(request).await?;
//! println!("{:?} used {:?}", response.served(), response.usage());
//! # Ok(())
//! # }
//! ```
//!
//! One stack serves all operations: `Request::from` picks Converse, InvokeModel, their streams,
//! CountTokens or ApplyGuardrail by the SDK's own input type. The reply to a streaming operation is a
//! [`ResponseStream`].
//!
//! # What to read first
//!
//! * [`Request`] and [`CallContext`]: a call, and what every layer may know of it.
//! * [`Cause`] and [`Reaction`]: why calls fail, and what each layer does about it.
//! * [`ClassifyLayer`]: from what the SDK returns to an [`Error`] with a cause.
//! * [`RetryLayer`]: full jitter, per-cause waits, a budget funded by successes.
//! * [`TokenBudgetLayer`]: under the quota before the service has to refuse.
//! * [`CircuitBreakerLayer`]: leaves a sick route alone, and notices when it is well again.
//! * [`Bedrock`]: the SDK at the bottom of the stack, one attempt per call.
//! * [`ResponseStream`]: an answer as it is generated; when it is whole, and what happens when not.
//!
//! # Order of the layers
//!
//! Outermost first: retry, token budget, classify, `Bedrock`. All read causes, so they sit outside of
//! classify; what admits single attempts, as the token budget does, belongs inside of retry, so that a
//! retry is admitted again, in its turn.
//!
//! # Features
//!
//! * `aws` (default): the [`Bedrock`] service and the conversions from the SDK's types. Without it
//!   the layers build alone and no crate of the SDK is in the tree.
//! * `default-https-client`: the HTTPS client that the SDK would use by itself.
//!
//! # Time and chance
//!
//! Clocks are tokio's, so tests may pause them; jitter is seedable ([`Jitter::seeded`]).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

#[macro_use]
mod macros;

pub mod batch;
mod call;
mod cause;
pub mod circuit_breaker;
pub mod classify;
mod error;
pub mod fallback;
mod model_id;
pub mod pool;
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
pub mod token_budget;

pub use self::{
    batch::{Batch, BatchInput, BatchItem, BatchProgress, BatchRemains, BatchResults},
    call::{
        BedrockRequest, CallContext, FallbackOverride, Operation, OperationInput, Priority,
        Request, RetryOverride, Tokens,
    },
    cause::{BreakerReaction, Cause, Limit, NextRoute, Reaction, Reactions, RetryReaction},
    circuit_breaker::{
        CircuitBreaker, CircuitBreakerLayer, CircuitBreakers, CircuitEvent, CircuitKey,
        CircuitOpen, CircuitPolicy, CircuitSnapshot, CircuitState, CircuitTransition,
        InvalidCircuitPolicy, TransitionReason,
    },
    classify::{Classifier, Classify, ClassifyLayer},
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
    reply::{BedrockResponse, Finish, Response, Served, Usage, UsageEstimate, Watcher},
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

#[cfg(feature = "aws")]
pub use self::sdk::{Bedrock, CountTokensEstimator, MessageAssembler, SdkOperation};
