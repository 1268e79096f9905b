//! The exceptions that the service answers with.

use std::fmt;

/// An exception of the Bedrock Runtime API, or of the layer in front of it that checks credentials
/// (BEDROCK.md §1.2, §2.1 #22 to #24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Exception {
    /// `AccessDeniedException`, 403.
    AccessDenied,
    /// `ValidationException`, 400.
    Validation,
    /// `ResourceNotFoundException`, 404.
    ResourceNotFound,
    /// `ConflictException`, 400.
    Conflict,
    /// `ServiceQuotaExceededException`, 400.
    ServiceQuotaExceeded,
    /// `ThrottlingException`, 429.
    Throttling,
    /// `ModelNotReadyException`, 429.
    ModelNotReady,
    /// `ModelTimeoutException`, 408.
    ModelTimeout,
    /// `ModelErrorException`, 424.
    ModelError,
    /// `ModelStreamErrorException`, 424.
    ModelStreamError,
    /// `InternalServerException`, 500.
    InternalServer,
    /// `ServiceUnavailableException`, 503.
    ServiceUnavailable,
    /// `ExpiredTokenException`, 403.
    ExpiredToken,
    /// `UnrecognizedClientException`, 403.
    UnrecognizedClient,
    /// `InvalidSignatureException`, 403.
    InvalidSignature,
    /// `IncompleteSignature`, 400.
    IncompleteSignature,
    /// `InvalidClientTokenId`, 403.
    InvalidClientTokenId,
    /// `MissingAuthenticationTokenException`, 403.
    MissingAuthenticationToken,
    /// `FTUFormNotFilled`, 404: the vendor's use-case form is missing.
    FtuFormNotFilled,
}

impl Exception {
    /// Every exception, in the order of the published table.
    pub const ALL: [Self; 19] = [
        Self::AccessDenied,
        Self::Validation,
        Self::ResourceNotFound,
        Self::Conflict,
        Self::ServiceQuotaExceeded,
        Self::Throttling,
        Self::ModelNotReady,
        Self::ModelTimeout,
        Self::ModelError,
        Self::ModelStreamError,
        Self::InternalServer,
        Self::ServiceUnavailable,
        Self::ExpiredToken,
        Self::UnrecognizedClient,
        Self::InvalidSignature,
        Self::IncompleteSignature,
        Self::InvalidClientTokenId,
        Self::MissingAuthenticationToken,
        Self::FtuFormNotFilled,
    ];

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Validation
            | Self::Conflict
            | Self::ServiceQuotaExceeded
            | Self::IncompleteSignature => 400,
            Self::AccessDenied
            | Self::ExpiredToken
            | Self::UnrecognizedClient
            | Self::InvalidSignature
            | Self::InvalidClientTokenId
            | Self::MissingAuthenticationToken => 403,
            Self::ResourceNotFound | Self::FtuFormNotFilled => 404,
            Self::ModelTimeout => 408,
            Self::ModelError | Self::ModelStreamError => 424,
            Self::Throttling | Self::ModelNotReady => 429,
            Self::InternalServer => 500,
            Self::ServiceUnavailable => 503,
        }
    }

    /// The code as it stands in `x-amzn-errortype`, before the service's suffix.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::Validation => "ValidationException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Conflict => "ConflictException",
            Self::ServiceQuotaExceeded => "ServiceQuotaExceededException",
            Self::Throttling => "ThrottlingException",
            Self::ModelNotReady => "ModelNotReadyException",
            Self::ModelTimeout => "ModelTimeoutException",
            Self::ModelError => "ModelErrorException",
            Self::ModelStreamError => "ModelStreamErrorException",
            Self::InternalServer => "InternalServerException",
            Self::ServiceUnavailable => "ServiceUnavailableException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::FtuFormNotFilled => "FTUFormNotFilled",
        }
    }

    /// The exception with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|exception| exception.code() == code)
    }

    /// The member of the event stream that carries it (`:exception-type`), for those that can come
    /// after the headers.
    #[must_use]
    pub const fn stream_member(self) -> Option<&'static str> {
        match self {
            Self::InternalServer => Some("internalServerException"),
            Self::ModelStreamError => Some("modelStreamErrorException"),
            Self::Validation => Some("validationException"),
            Self::Throttling => Some("throttlingException"),
            Self::ServiceUnavailable => Some("serviceUnavailableException"),
            // Of the `InvokeModel` streams alone (BEDROCK.md §1.1).
            Self::ModelTimeout => Some("modelTimeoutException"),
            _ => None,
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
