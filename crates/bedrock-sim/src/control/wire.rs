//! The protocols: AWS JSON 1.1 for Service Quotas, REST with JSON for Bedrock's control plane.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::Action;
use crate::wire::{JSON, error::WireError, header as own};

const AWS_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
/// What `x-amz-target` begins with.
const SERVICE_QUOTAS: &str = "ServiceQuotasV20190624.";

/// A service of the control plane, which speaks its own protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    ServiceQuotas(&'static str),
    Bedrock,
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Quotas(QuotasAsked),
    Profiles(ProfilesAsked),
    Profile { id: String },
}

#[derive(Debug)]
pub(crate) struct QuotasAsked {
    pub(super) action: Action,
    pub(super) service_code: String,
    pub(super) max_results: usize,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct ProfilesAsked {
    pub(super) kind: Option<String>,
    pub(super) max_results: usize,
    pub(super) next_token: Option<String>,
}

/// A request that is refused.
#[derive(Debug)]
pub(crate) struct ControlError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Protocol {
    /// Which service a request is for; `None` if it is one of Bedrock's runtime.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let path = parts.uri.path();
        let target = parts.headers.get("x-amz-target");
        if let Some(target) = target.and_then(|target| target.to_str().ok()) {
            let operation = target.strip_prefix(SERVICE_QUOTAS)?;
            let known = ["ListServiceQuotas", "ListAWSDefaultServiceQuotas"];
            let known = known.into_iter().find(|known| *known == operation);
            return Some(Self::ServiceQuotas(known.unwrap_or_default()));
        }
        let is_profiles = path == "/inference-profiles" || path.starts_with("/inference-profiles/");
        (parts.method == Method::GET && is_profiles).then_some(Self::Bedrock)
    }

    /// The service that requests are signed for.
    pub(crate) const fn signed_for(self) -> &'static str {
        match self {
            Self::ServiceQuotas(_) => "servicequotas",
            Self::Bedrock => "bedrock",
        }
    }

    pub(crate) fn answer(self, answer: Result<String, ControlError>) -> Response<Bytes> {
        let (status, code, body) = match answer {
            Ok(body) => (StatusCode::OK, None, body),
            Err(error) => (error.status, Some(error.code), self.error_body(&error)),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match (self, code) {
            (Self::ServiceQuotas(_), _) => {
                headers.insert(header::CONTENT_TYPE, AWS_JSON);
            }
            (Self::Bedrock, code) => {
                headers.insert(header::CONTENT_TYPE, JSON);
                if let Some(code) = code {
                    headers.insert(own::ERROR_TYPE, HeaderValue::from_static(code));
                }
            }
        }
        response
    }

    fn error_body(self, error: &ControlError) -> String {
        let body = match self {
            Self::ServiceQuotas(_) => {
                serde_json::json!({"__type": error.code, "Message": error.message})
            }
            Self::Bedrock => serde_json::json!({"message": error.message}),
        };
        body.to_string()
    }

    /// Reads what is asked for.
    pub(crate) fn read(self, parts: &Parts, body: &[u8]) -> Result<Asked, ControlError> {
        match self {
            Self::ServiceQuotas(operation) => {
                let action = match operation {
                    "ListServiceQuotas" => Action::ListServiceQuotas,
                    "ListAWSDefaultServiceQuotas" => Action::ListAwsDefaultServiceQuotas,
                    _ => return Err(ControlError::unknown_operation()),
                };
                QuotasAsked::read(action, body).map(Asked::Quotas)
            }
            Self::Bedrock => {
                let path = parts.uri.path();
                let label = path.strip_prefix("/inference-profiles/");
                match label.filter(|label| !label.is_empty()) {
                    None => {
                        ProfilesAsked::read(parts.uri.query().unwrap_or("")).map(Asked::Profiles)
                    }
                    Some(label) if label.contains('/') => Err(ControlError::unknown_operation()),
                    Some(label) => Ok(Asked::Profile { id: decode(label)? }),
                }
            }
        }
    }
}

fn decode(text: &str) -> Result<String, ControlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| ControlError::validation("The request is not in UTF-8."))
}

impl Asked {
    pub(super) const fn action(&self) -> Action {
        match self {
            Self::Quotas(asked) => asked.action,
            Self::Profiles(_) => Action::ListInferenceProfiles,
            Self::Profile { .. } => Action::GetInferenceProfile,
        }
    }

    /// What tells this request from others of the same action.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Quotas(asked) => asked.next_token.clone().unwrap_or_default(),
            Self::Profiles(asked) => format!(
                "{}{}",
                asked.kind.as_deref().unwrap_or("-"),
                asked.next_token.as_deref().unwrap_or_default()
            ),
            Self::Profile { id } => id.clone(),
        }
    }
}

impl QuotasAsked {
    fn read(action: Action, body: &[u8]) -> Result<Self, ControlError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Body {
            service_code: String,
            max_results: Option<usize>,
            next_token: Option<String>,
        }

        let body: Body = serde_json::from_slice(body)
            .map_err(|_| ControlError::illegal_argument("ServiceCode is missing."))?;
        Ok(Self {
            action,
            service_code: body.service_code,
            max_results: body.max_results.unwrap_or(100),
            next_token: body.next_token,
        })
    }
}

impl ProfilesAsked {
    fn read(query: &str) -> Result<Self, ControlError> {
        let mut asked = Self {
            max_results: 1000,
            ..Self::default()
        };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decode(value)?;
            match key {
                "type" => asked.kind = Some(value),
                "nextToken" => asked.next_token = Some(value),
                "maxResults" => asked.max_results = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        Ok(asked)
    }
}

impl ControlError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn or_body(answer: &impl Serialize) -> Result<String, Self> {
        serde_json::to_string(answer).map_err(|_| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Self::new(
                status,
                "InternalServerException",
                "An internal error occurred.",
            )
        })
    }

    pub(super) fn denied(account: &str, action: Action) -> Self {
        let name = action.as_str();
        let status = match action {
            Action::ListServiceQuotas | Action::ListAwsDefaultServiceQuotas => {
                StatusCode::BAD_REQUEST
            }
            Action::ListInferenceProfiles | Action::GetInferenceProfile => StatusCode::FORBIDDEN,
        };
        Self::new(
            status,
            "AccessDeniedException",
            format!(
                "User: arn:aws:iam::{account}:user/sim is not authorized to perform: {name} because no \
                 identity-based policy allows the {name} action"
            ),
        )
    }

    pub(super) fn throttled(action: Action) -> Self {
        match action {
            Action::ListServiceQuotas | Action::ListAwsDefaultServiceQuotas => Self::new(
                StatusCode::BAD_REQUEST,
                "TooManyRequestsException",
                "Rate exceeded",
            ),
            Action::ListInferenceProfiles | Action::GetInferenceProfile => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "ThrottlingException",
                "Too many requests, please wait before trying again.",
            ),
        }
    }

    pub(super) fn illegal_argument(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "IllegalArgumentException", message)
    }

    pub(super) fn invalid_pagination_token() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "InvalidPaginationTokenException",
            "Invalid pagination token.",
        )
    }

    pub(super) fn no_such_service() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "NoSuchResourceException",
            "The request failed because the specified service does not exist.",
        )
    }

    pub(super) fn no_such_profile() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            "The provided inference profile identifier is not found.",
        )
    }

    pub(super) fn validation(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    pub(super) fn unknown_operation() -> Self {
        WireError::unknown_operation().into()
    }
}

impl From<WireError> for ControlError {
    fn from(error: WireError) -> Self {
        Self::new(error.status, error.code, error.message)
    }
}
