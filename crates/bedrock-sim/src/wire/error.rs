//! Error responses as the service writes them (BEDROCK.md §2.2, §5.4).

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{JSON, header as own};
use crate::engine::{ErrorText, Exception, Refusal, RetryAfterHint};

/// What follows the code in `x-amzn-errortype`.
const CODE_SUFFIX: &str = ":http://internal.amazon.com/coral/com.amazon.bedrock/";

/// A request that is answered with an error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WireError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    original_status: Option<u16>,
    retry_after: Option<RetryAfterHint>,
    /// How long the service takes before it answers.
    pub(crate) after: Duration,
}

impl WireError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            original_status: None,
            retry_after: None,
            after: Duration::ZERO,
        }
    }

    /// A refusal that the service is known for.
    pub(crate) fn known(text: ErrorText) -> Self {
        Refusal::known(text, "", 0).into()
    }

    pub(crate) fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Refusal::new(Exception::Validation, message).into()
    }

    /// A body that is not the JSON of its operation.
    ///
    /// Only the place is told: serde's own text can quote the prompt.
    pub(crate) fn serialization(error: &serde_json::Error) -> Self {
        let message = format!(
            "The request body does not fit the operation, at line {} column {}.",
            error.line(),
            error.column()
        );
        Self::new(StatusCode::BAD_REQUEST, "SerializationException", message)
    }

    /// An `InvokeModel` body that does not fit the model's schema; `reason` may be empty.
    pub(crate) fn malformed_input(reason: &str) -> Self {
        let colon = if reason.is_empty() { "" } else { ": " };
        Self::validation(format!(
            "Malformed input request{colon}{reason}, please reformat your input and try again."
        ))
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must \
             have length less than or equal to {limit}"
        ))
    }

    pub(crate) fn unknown_operation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            "The requested operation is not recognized by the service.",
        )
    }

    pub(crate) fn incomplete_signature() -> Self {
        Refusal::new(
            Exception::IncompleteSignature,
            "Authorization header requires a 'Credential' parameter of the form \
             KEY/DATE/REGION/bedrock/aws4_request.",
        )
        .into()
    }

    pub(crate) fn wrong_signing_service(service: &str) -> Self {
        Refusal::new(
            Exception::InvalidSignature,
            format!("Credential should be scoped to correct service: '{service}'."),
        )
        .into()
    }

    /// The response. Its request id is for the caller to add.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let body = ErrorBody {
            message: &self.message,
            original_status_code: self.original_status,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if let Ok(value) = HeaderValue::try_from(format!("{}{CODE_SUFFIX}", self.code)) {
            headers.insert(own::ERROR_TYPE, value);
        }
        match self.retry_after {
            Some(RetryAfterHint::AmzMillis(ms)) => {
                headers.insert(own::RETRY_AFTER_MS, ms.into());
            }
            Some(RetryAfterHint::Seconds(s)) => {
                headers.insert(header::RETRY_AFTER, s.into());
            }
            None => {}
        }
        response
    }
}

impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.exception.status());
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: refusal.exception.code(),
            message: refusal.message,
            original_status: refusal.original_status,
            retry_after: refusal.retry_after,
            after: refusal.after,
        }
    }
}

/// The body of an error response, and the payload of an exception frame.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_status_code: Option<u16>,
}

/// The payload of an exception frame.
pub(crate) fn exception_payload(refusal: &Refusal) -> Vec<u8> {
    let original_status_code = match refusal.exception {
        Exception::ModelError | Exception::ModelStreamError => refusal.original_status,
        _ => None,
    };
    let body = ErrorBody {
        message: &refusal.message,
        original_status_code,
    };
    serde_json::to_vec(&body).unwrap_or_default()
}
