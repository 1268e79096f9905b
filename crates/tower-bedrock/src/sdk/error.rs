//! What the SDK returns, as a [`RawError`].

use std::{
    error::Error as StdError,
    iter,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::error::{CredentialsError, TokenError};
use aws_sdk_bedrockruntime::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        apply_guardrail::ApplyGuardrailError, converse::ConverseError,
        converse_stream::ConverseStreamError, count_tokens::CountTokensError,
        invoke_model::InvokeModelError,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamError,
    },
    types::error::{ModelErrorException, ModelStreamErrorException},
};
use aws_smithy_runtime_api::{
    client::{interceptors::error::InterceptorError, result::ConnectorError},
    http::Response as HttpResponse,
};
use aws_types::request_id::RequestId;

use super::install::answer::read_refusal;
use crate::{
    classify::retry_after,
    error::{BoxError, ErrorDetails, RawError},
};

/// Keeps what the error tells, and its source. The answer's body is dropped, and so is whatever
/// would print the request, so that nothing of either can reach a log.
impl<E> From<SdkError<E, HttpResponse>> for RawError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let mut details = error.raw_response().map(of_response).unwrap_or_default();
        details.request_id = error.request_id().map(str::to_owned);
        let is_success = details
            .status
            .is_some_and(|status| (200..300).contains(&status));
        match error {
            // What the parser says of an answer quotes it.
            SdkError::ServiceError(_) if is_success => {
                details.message = Some("the answer is not what the operation answers".to_owned());
                Self::Unreadable(Box::new(details))
            }
            SdkError::ServiceError(context) => {
                answered(&mut details, context.err(), Some(context.raw()));
                let error = context.into_err();
                details.source = Some(error.into());
                details.cut();
                Self::Answered(Box::new(details))
            }
            SdkError::DispatchFailure(_) => without_answer(error, details, Self::Connect),
            // The head of a success came, but not all of its body.
            SdkError::ResponseError(_) if is_success => {
                without_answer(error, details, Self::Connect)
            }
            SdkError::ResponseError(_) => without_answer(error, details, Self::Unreadable),
            SdkError::TimeoutError(_) => without_answer(error, details, Self::Timeout),
            SdkError::ConstructionFailure(_) => without_answer(error, details, Self::NotSent),
            // The SDK may learn to fail in other ways.
            other => match other.into_source() {
                Ok(source) => Self::Other(source),
                Err(other) => Self::Other(other.to_string().into()),
            },
        }
    }
}

/// Takes an error of one of Bedrock's operations out of the box that a `?` put it into.
pub(crate) fn unboxed(error: BoxError) -> Result<RawError, BoxError> {
    macro_rules! of_operations {
        ($($operation:ty),* $(,)?) => {{
            let error = error;
            $(let error = match error.downcast::<SdkError<$operation, HttpResponse>>() {
                Ok(error) => return Ok((*error).into()),
                Err(error) => error,
            };)*
            Err(error)
        }};
    }
    of_operations!(
        ConverseError,
        ConverseStreamError,
        InvokeModelError,
        InvokeModelWithResponseStreamError,
        CountTokensError,
        ApplyGuardrailError,
    )
}

/// The same error of an attempt that never got as far as being sent: whatever the SDK calls it, it
/// was no connection that failed.
pub(super) fn before_sending(error: RawError) -> RawError {
    match error {
        RawError::Connect(details) | RawError::Unreadable(details) => RawError::NotSent(details),
        other => other,
    }
}

/// What the head of an error answer tells.
pub(super) fn of_response(response: &HttpResponse) -> ErrorDetails {
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now();
    ErrorDetails {
        status: Some(response.status().as_u16()),
        retry_after: retry_after(|name| response.headers().get(name), now),
        ..ErrorDetails::default()
    }
}

/// What the service says of an error of its own. Of an error that the SDK has no code for, it keeps
/// nothing that was said.
pub(super) fn answered<E>(details: &mut ErrorDetails, error: &E, response: Option<&HttpResponse>)
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let (None, Some(response)) = (error.code(), response) {
        read_refusal(details, response);
    }
    if let Some(code) = error.code() {
        details.code = Some(code.to_owned());
    }
    if let Some(message) = error.message() {
        details.message = Some(message.to_owned());
    }
    if let Some(status) = original_status(error) {
        details.original_status = Some(status);
    }
}

/// An error that is not the service's own. `kind` is what the SDK's variant says; what lies under it
/// may say more exactly what happened.
fn without_answer<E>(
    error: SdkError<E, HttpResponse>,
    mut details: ErrorDetails,
    kind: fn(Box<ErrorDetails>) -> RawError,
) -> RawError
where
    E: StdError + Send + Sync + 'static,
{
    let source: BoxError = match error.into_source() {
        Ok(source) => source,
        Err(error) => error.to_string().into(),
    };
    let kind = more_exactly(&*source).unwrap_or(kind);
    let (shown, hides_some) = shown(&*source);
    details.message = Some(shown);
    details.source = (!hides_some).then_some(source);
    kind(Box::new(details))
}

/// The same for an error that has to stay where it is.
pub(super) fn described(
    source: &(dyn StdError + 'static),
    mut details: ErrorDetails,
    kind: fn(Box<ErrorDetails>) -> RawError,
) -> RawError {
    let kind = more_exactly(source).unwrap_or(kind);
    details.message = Some(shown(source).0);
    kind(Box::new(details))
}

/// What may be shown of an error, and whether there is more.
fn shown(source: &(dyn StdError + 'static)) -> (String, bool) {
    let (shown, hidden): (Vec<_>, Vec<_>) = causes(source)
        .map(ToString::to_string)
        .partition(|text| !prints_a_body(text));
    (shown.join(": "), !hidden.is_empty())
}

/// Some errors of the SDK print the request they are about, prompt included.
fn prints_a_body(text: &str) -> bool {
    text.contains("SdkBody")
}

fn more_exactly(source: &(dyn StdError + 'static)) -> Option<fn(Box<ErrorDetails>) -> RawError> {
    if lacks_credentials(source) {
        return Some(RawError::Credentials);
    }
    causes(source)
        .find_map(|error| {
            if error.is::<InterceptorError>() {
                return Some(RawError::Unreadable as fn(_) -> _);
            }
            // The SDK knows these two, but tells them only in its text.
            let text = error.to_string();
            if text.starts_with("HTTP connect timeout") {
                // There was no connection yet, so nothing can have been done or billed.
                return Some(RawError::Connect);
            }
            if text.starts_with("minimum throughput was specified") {
                return Some(RawError::Timeout);
            }
            None
        })
        .or_else(|| causes(source).find_map(of_connector))
}

fn of_connector(error: &(dyn StdError + 'static)) -> Option<fn(Box<ErrorDetails>) -> RawError> {
    let connector = error.downcast_ref::<ConnectorError>()?;
    if connector.is_timeout() {
        Some(RawError::Timeout)
    } else if connector.is_user() {
        Some(RawError::NotSent)
    } else if connector.is_io() {
        Some(RawError::Connect)
    } else {
        None
    }
}

fn lacks_credentials(source: &(dyn StdError + 'static)) -> bool {
    causes(source).any(|error| error.is::<CredentialsError>() || error.is::<TokenError>())
}

/// An attempt that took longer than it may.
pub(super) fn timed_out(limit: Duration) -> RawError {
    RawError::Timeout(Box::new(ErrorDetails {
        message: Some(format!("no answer within the attempt timeout of {limit:?}")),
        ..ErrorDetails::default()
    }))
}

/// The status of the model behind the service, which only the modelled exceptions carry.
pub(super) fn original_status(error: &(dyn StdError + 'static)) -> Option<u16> {
    let status = causes(error).find_map(|error| {
        let model_error = error.downcast_ref::<ModelErrorException>();
        let in_stream = error.downcast_ref::<ModelStreamErrorException>();
        model_error
            .and_then(ModelErrorException::original_status_code)
            .or_else(|| in_stream.and_then(ModelStreamErrorException::original_status_code))
    })?;
    u16::try_from(status).ok()
}

/// The error and everything under it.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}
