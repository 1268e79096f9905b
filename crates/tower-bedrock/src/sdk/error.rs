//! What the SDK returns, as a [`RawError`].

use std::{error::Error as StdError, iter, time::SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::{
    error::{ProvideErrorMetadata, SdkError},
    types::error::{ModelErrorException, ModelStreamErrorException},
};
use aws_smithy_runtime_api::{client::result::ConnectorError, http::Response as HttpResponse};
use aws_types::request_id::RequestId;

use crate::{
    classify::retry_after,
    error::{BoxError, ErrorDetails, RawError},
};

/// Keeps what the error tells, and its source. The answer's body is dropped, so that nothing of it
/// can reach a log.
impl<E> From<SdkError<E, HttpResponse>> for RawError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let mut details = error.raw_response().map(of_response).unwrap_or_default();
        details.request_id = error.request_id().map(str::to_owned);
        match error {
            SdkError::ServiceError(context) => {
                let error = context.into_err();
                details.code = error.code().map(str::to_owned);
                details.message = error.message().map(str::to_owned);
                details.original_status = original_status(&error);
                details.source = Some(error.into());
                details.cut_secrets();
                Self::Answered(Box::new(details))
            }
            SdkError::DispatchFailure(_) => without_answer(error, details, Self::Connect),
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

/// What the head of an error answer tells.
fn of_response(response: &HttpResponse) -> ErrorDetails {
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now();
    ErrorDetails {
        status: Some(response.status().as_u16()),
        retry_after: retry_after(|name| response.headers().get(name), now),
        ..ErrorDetails::default()
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
    let (message, source): (String, BoxError) = match error.into_source() {
        Ok(source) => (chain(&*source), source),
        Err(error) => return kind(Box::new(details_of(details, error.to_string()))),
    };
    let kind = more_exactly(&*source).unwrap_or(kind);
    details = details_of(details, message);
    details.source = Some(source);
    kind(Box::new(details))
}

fn details_of(mut details: ErrorDetails, message: String) -> ErrorDetails {
    details.message = Some(message);
    details
}

fn more_exactly(source: &(dyn StdError + 'static)) -> Option<fn(Box<ErrorDetails>) -> RawError> {
    causes(source).find_map(|error| {
        if error.is::<CredentialsError>() {
            return Some(RawError::Credentials as fn(_) -> _);
        }
        let connector = error.downcast_ref::<ConnectorError>()?;
        if connector.is_timeout() && !never_connected(connector) {
            Some(RawError::Timeout)
        } else if connector.is_user() {
            Some(RawError::NotSent)
        } else if connector.is_io() || connector.is_timeout() {
            Some(RawError::Connect)
        } else {
            None
        }
    })
}

/// Whether a timeout struck before there was a connection, so that nothing can have been done or
/// billed. The SDK knows, but tells only in its text.
fn never_connected(connector: &ConnectorError) -> bool {
    causes(connector).any(|error| error.to_string().starts_with("HTTP connect timeout"))
}

/// The status of the model behind the service, which only the modelled exceptions carry.
fn original_status(error: &(dyn StdError + 'static)) -> Option<u16> {
    let status = causes(error).find_map(|error| {
        let model_error = error.downcast_ref::<ModelErrorException>();
        let in_stream = error.downcast_ref::<ModelStreamErrorException>();
        model_error
            .and_then(ModelErrorException::original_status_code)
            .or_else(|| in_stream.and_then(ModelStreamErrorException::original_status_code))
    })?;
    u16::try_from(status).ok()
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

/// The error and everything under it.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}
