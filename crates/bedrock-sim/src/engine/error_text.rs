//! The texts that the service is known to answer with.

use std::borrow::Cow;

use serde::Deserialize;

use super::Exception;

/// A known error of Bedrock: an exception together with its text (BEDROCK.md §2.1).
///
/// One exception stands for many causes, and only the text tells them apart. In a scenario file the
/// names are in kebab case: `tokens-per-day`. Where the catalogue names a code without a text, the
/// text is the simulator's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorText {
    /// #1: the tokens of the day are spent.
    TokensPerDay,
    /// #2: the tokens do not fit into what is left of the minute.
    TokensPerMinute,
    /// #3: too many requests in a minute.
    RequestsPerMinute,
    /// #3, the long variant.
    RequestsPerMinuteLong,
    /// #4: too many requests, in the words of agents and knowledge bases.
    RequestRate,
    /// #5: the model is overloaded for everybody; the account's own quota is untouched.
    Overloaded,
    /// #6: an imported or custom model is being loaded.
    ModelNotReady,
    /// #9: the service's own queue is full.
    TooManyConnections,
    /// #10: the region is short of capacity.
    ServiceUnavailable,
    /// #10, a variant.
    UnableToProcess,
    /// #10, the variant that names the model.
    ModelThrottled,
    /// #11: a fault of the service.
    InternalServer,
    /// #12: the model did not finish in time.
    ModelTimeout,
    /// #13: the model refused or crashed.
    ModelError,
    /// #14: the model broke off its stream.
    ModelStreamError,
    /// #15: a hard limit of the account.
    ServiceQuota,
    /// #17: the model can be called through an inference profile alone.
    ProfileRequired,
    /// #18: no such model in this region.
    UnknownModel,
    /// #19: the input does not fit into the context window.
    InputTooLong,
    /// #20: `maxTokens` is more than the model can give.
    MaxTokensTooLarge,
    /// #21: the account's data retention setting does not allow the model.
    DataRetention,
    /// #22: the account has no access to the model.
    AccessDenied,
    /// #22: the caller may not subscribe to the model in the marketplace.
    MarketplaceDenied,
    /// #23: the session's credentials have run out.
    ExpiredToken,
    /// #23: the access key is unknown.
    UnrecognizedClient,
    /// #23: the signature does not fit the request.
    InvalidSignature,
    /// #23: the signature lacks a part.
    IncompleteSignature,
    /// #23: the access key is unknown, in the words of older services.
    InvalidClientTokenId,
    /// #23: the request is not signed.
    MissingAuthenticationToken,
    /// #24: the vendor's use-case form is missing.
    UseCaseForm,
    /// The resource that the request names is not there.
    ResourceNotFound,
    /// Two requests got into each other's way.
    Conflict,
}

impl ErrorText {
    /// The exception that carries the text.
    #[must_use]
    pub const fn exception(self) -> Exception {
        match self {
            Self::TokensPerDay
            | Self::TokensPerMinute
            | Self::RequestsPerMinute
            | Self::RequestsPerMinuteLong
            | Self::RequestRate
            | Self::Overloaded => Exception::Throttling,
            Self::ModelNotReady => Exception::ModelNotReady,
            Self::TooManyConnections
            | Self::ServiceUnavailable
            | Self::UnableToProcess
            | Self::ModelThrottled => Exception::ServiceUnavailable,
            Self::InternalServer => Exception::InternalServer,
            Self::ModelTimeout => Exception::ModelTimeout,
            Self::ModelError => Exception::ModelError,
            Self::ModelStreamError => Exception::ModelStreamError,
            Self::ServiceQuota => Exception::ServiceQuotaExceeded,
            Self::ProfileRequired
            | Self::UnknownModel
            | Self::InputTooLong
            | Self::MaxTokensTooLarge
            | Self::DataRetention => Exception::Validation,
            Self::AccessDenied | Self::MarketplaceDenied => Exception::AccessDenied,
            Self::ExpiredToken => Exception::ExpiredToken,
            Self::UnrecognizedClient => Exception::UnrecognizedClient,
            Self::InvalidSignature => Exception::InvalidSignature,
            Self::IncompleteSignature => Exception::IncompleteSignature,
            Self::InvalidClientTokenId => Exception::InvalidClientTokenId,
            Self::MissingAuthenticationToken => Exception::MissingAuthenticationToken,
            Self::UseCaseForm => Exception::FtuFormNotFilled,
            Self::ResourceNotFound => Exception::ResourceNotFound,
            Self::Conflict => Exception::Conflict,
        }
    }

    /// The text that an exception has when nothing else is asked for: for a throttle the one of
    /// requests per minute.
    #[must_use]
    pub const fn default_of(exception: Exception) -> Self {
        match exception {
            Exception::Throttling => Self::RequestsPerMinute,
            Exception::ModelNotReady => Self::ModelNotReady,
            Exception::ServiceUnavailable => Self::ServiceUnavailable,
            Exception::InternalServer => Self::InternalServer,
            Exception::ModelTimeout => Self::ModelTimeout,
            Exception::ModelError => Self::ModelError,
            Exception::ModelStreamError => Self::ModelStreamError,
            Exception::ServiceQuotaExceeded => Self::ServiceQuota,
            Exception::Validation => Self::UnknownModel,
            Exception::AccessDenied => Self::AccessDenied,
            Exception::ExpiredToken => Self::ExpiredToken,
            Exception::UnrecognizedClient => Self::UnrecognizedClient,
            Exception::InvalidSignature => Self::InvalidSignature,
            Exception::IncompleteSignature => Self::IncompleteSignature,
            Exception::InvalidClientTokenId => Self::InvalidClientTokenId,
            Exception::MissingAuthenticationToken => Self::MissingAuthenticationToken,
            Exception::FtuFormNotFilled => Self::UseCaseForm,
            Exception::ResourceNotFound => Self::ResourceNotFound,
            Exception::Conflict => Self::Conflict,
        }
    }

    /// The text itself. `model` is the id as it was called, `max_output` what the model can give in
    /// tokens; most texts name neither.
    #[must_use]
    pub fn message(self, model: &str, max_output: u64) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Overloaded => {
                return format!("Model {model} is currently overloaded. Please try again later.")
                    .into();
            }
            Self::ProfileRequired => {
                // The service writes U+2019 here, not an ASCII apostrophe.
                return format!(
                    "Invocation of model ID {model} with on-demand throughput isn\u{2019}t \
                     supported. Retry your request with the ID or ARN of an inference profile that \
                     contains this model."
                )
                .into();
            }
            Self::MaxTokensTooLarge => {
                return format!(
                    "The maximum tokens you requested exceed the model limit of {max_output}. Try \
                     again with a maximum tokens value that is lower than {max_output}."
                )
                .into();
            }
            other => other.fixed(),
        })
    }

    const fn fixed(self) -> &'static str {
        match self {
            Self::TokensPerDay => "Too many tokens per day, please wait before trying again.",
            Self::TokensPerMinute => "Too many tokens, please wait before trying again.",
            Self::RequestsPerMinute => "Too many requests, please wait before trying again.",
            Self::RequestsPerMinuteLong => {
                "Too many requests, please wait before trying again. You have sent too many \
                 requests.  Wait before trying again."
            }
            Self::RequestRate => "Your request rate is too high. Reduce the frequency of requests.",
            Self::ModelNotReady => {
                "Model is not ready for inference. Wait and try your request again."
            }
            Self::TooManyConnections => "Too many connections, please wait before trying again.",
            Self::ServiceUnavailable => "Service temporarily unavailable, please try again.",
            Self::UnableToProcess => "Bedrock is unable to process your request.",
            Self::ModelThrottled => "Model is getting throttled. Try your request again.",
            Self::InternalServer => {
                "The system encountered an unexpected error during processing. Try your request \
                 again."
            }
            Self::ModelTimeout => {
                "Model has timed out in processing the request. Try your request again."
            }
            Self::ModelError => "The model returned the following errors: internal error",
            Self::ModelStreamError => "The model broke off the stream.",
            Self::ServiceQuota => "The request exceeds a service quota of your account.",
            Self::UnknownModel => "The provided model identifier is invalid.",
            Self::InputTooLong => "Input is too long for requested model.",
            Self::DataRetention => "data retention mode 'default' is not available for this model",
            Self::AccessDenied => "You don't have access to the model with the specified model ID.",
            Self::MarketplaceDenied => {
                "Model access is denied due to IAM user or service role is not authorized to \
                 perform the required AWS Marketplace actions. Try again after 5 minutes."
            }
            Self::ExpiredToken => "The security token included in the request is expired",
            Self::UnrecognizedClient | Self::InvalidClientTokenId => {
                "The security token included in the request is invalid."
            }
            Self::InvalidSignature => {
                "The request signature we calculated does not match the signature you provided."
            }
            Self::IncompleteSignature => "The request signature does not conform to AWS standards.",
            Self::MissingAuthenticationToken => "Missing Authentication Token",
            Self::UseCaseForm => "Model use case details have not been submitted for this account.",
            Self::ResourceNotFound => "The specified resource was not found.",
            Self::Conflict => "The request conflicts with another one. Try again.",
            // Named in full by `message`.
            Self::Overloaded | Self::ProfileRequired | Self::MaxTokensTooLarge => "",
        }
    }
}
