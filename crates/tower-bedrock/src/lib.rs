//! Tower layers for Amazon Bedrock.

mod call;
mod cause;
pub mod classify;
mod error;
mod model_id;
mod reply;
pub mod retry;
mod route;
#[cfg(feature = "aws")]
pub mod sdk;

pub use self::{
    call::{
        BedrockRequest, CallContext, Operation, OperationInput, Priority, Request, RetryOverride,
        Tokens,
    },
    cause::{BreakerReaction, Cause, Limit, NextRoute, Reaction, Reactions, RetryReaction},
    classify::{Classifier, Classify, ClassifyLayer},
    error::{BoxError, Error, ErrorDetails, RawError},
    model_id::{InvalidModelId, ModelId, ModelIdKind, ProfilePrefix, QuotaPath, Residency},
    reply::{BedrockResponse, Finish, Response, Served, Usage, Watcher},
    retry::{Backoff, GaveUp, Jitter, Retry, RetryBudget, RetryEvent, RetryLayer},
    route::{QuotaKey, Region, Route, ServiceTier},
};

#[cfg(feature = "aws")]
pub use self::sdk::{Bedrock, SdkOperation};
