//! What the SDK is told of a call that went through the stack.

use std::{
    any::Any,
    error::Error as StdError,
    fmt, iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use aws_sdk_bedrockruntime::error::SdkError;
use aws_smithy_runtime_api::{
    client::{
        interceptors::context::FinalizerInterceptorContextMut,
        orchestrator::{HttpResponse, OrchestratorError},
        result::ConnectorError,
    },
    http::Response,
};
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame};

use super::{
    answer::{self, BrokeOff},
    call::Call,
    response::SdkResponse,
};
use crate::{
    cause::Cause,
    error::{BoxError, Error, RawError},
    sdk::error::described,
};

/// The error of an answer that was handed on, hung on that answer.
#[derive(Clone)]
struct Known(Arc<Error>);

/// An answer for the SDK to read, be it a success or the error that the service gave; or why there is
/// none.
pub(super) fn for_the_sdk(
    result: Result<SdkResponse, BoxError>,
    call: &Call,
) -> Result<HttpResponse, ConnectorError> {
    let mut error: Error = match result {
        Ok(response) => {
            if let Some(options) = call.options() {
                options.set_served(response.served_as_told());
            }
            return Ok(response.into_http());
        }
        Err(error) => error.into(),
    };
    if let Some(mut answer) = error.take_answer() {
        if answer.extension::<BrokeOff>().is_some() {
            *answer.body_mut() = SdkBody::from_body_1_x(Breaks(Some(error)));
        } else {
            answer.add_extension(Known(Arc::new(error)));
        }
        return Ok(answer);
    }
    let connector = causes(&error).find_map(|error| error.downcast_ref::<ConnectorError>());
    match (connector, error.cause()) {
        // The SDK has an error of its own for time that is up, but takes it from no connector.
        (None, Cause::Timeout | Cause::DeadlineExceeded) => {
            let said = error.to_string();
            call.set_timeout(error);
            Err(ConnectorError::timeout(said.into()))
        }
        (None, _) => Err(ConnectorError::other(error.into(), None)),
        (Some(original), _) => {
            let (is_io, is_timeout) = (original.is_io(), original.is_timeout());
            let (is_user, kind) = (original.is_user(), original.as_other());
            Err(if is_io {
                ConnectorError::io(error.into())
            } else if is_timeout {
                ConnectorError::timeout(error.into())
            } else if is_user {
                ConnectorError::user(error.into())
            } else {
                ConnectorError::other(error.into(), kind)
            })
        }
    }
}

/// A body that breaks off, for the SDK to find.
struct Breaks(Option<Error>);

impl Body for Breaks {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.take().map(|error| Err(error.into())))
    }
}

/// Has the SDK call a timeout what is one.
pub(super) fn tell_of_timeout(context: &mut FinalizerInterceptorContextMut<'_>, call: &Call) {
    if let Some(error) = call.take_timeout() {
        let error = OrchestratorError::timeout(error.into());
        context.inner_mut().set_output_or_error(Err(error));
    }
}

/// Why a call that no stack took part in has failed, as far as it is known yet.
pub(super) fn unclassified(context: &FinalizerInterceptorContextMut<'_>) -> Option<RawError> {
    let error = context.output_or_error()?.err()?;
    let is_known = causes(error).any(|error| error.is::<Error>());
    let response = context.response();
    if is_known || response.is_some_and(|response| response.extension::<Known>().is_some()) {
        return None;
    }
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now();
    let details = response.map(|response| answer::told_by(response, now));
    let details = details.unwrap_or_default();
    let has_answer = response.is_some_and(|response| !response.status().is_success());
    Some(if has_answer && error.is_operation_error() {
        RawError::Answered(Box::new(details))
    } else if error.is_timeout_error() {
        described(error, details, RawError::Timeout)
    } else if error.is_connector_error() {
        described(error, details, RawError::Connect)
    } else if response.is_some() {
        RawError::Unreadable(Box::new(details))
    } else {
        described(error, details, RawError::NotSent)
    })
}

/// Hangs what was found on the service's answer, where there is one, for [`Error::from_sdk`].
pub(super) fn hang(context: &mut FinalizerInterceptorContextMut<'_>, error: Error) {
    if let Some(response) = context.response_mut() {
        response.add_extension(Known(Arc::new(error)));
    }
}

impl Error {
    /// Why a call through the SDK failed, where something of [`sdk::install`](crate::sdk::install)
    /// took part in it: the cause, the route that was taken, and the attempts.
    ///
    /// Works for what `send()` returns, and for what the receiver of a stream does. What fails before
    /// the layers are reached, and exceptions that the service sends within a stream, are the SDK's
    /// alone: [`Cause::of_sdk`] knows their causes too.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn example(client: aws_sdk_bedrockruntime::Client) {
    /// use tower_bedrock::{Cause, Error};
    ///
    /// if let Err(error) = client.converse().send().await {
    ///     match Error::from_sdk(&error).map(Error::cause) {
    ///         Some(Cause::CircuitOpen) => println!("nothing was sent"),
    ///         Some(cause) => println!("{cause}"),
    ///         None => println!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn from_sdk<E, R>(error: &SdkError<E, R>) -> Option<&Self>
    where
        E: StdError + 'static,
        R: fmt::Debug + 'static,
    {
        let raw = error.raw_response().map(|raw| raw as &dyn Any);
        let answer = raw.and_then(<dyn Any>::downcast_ref::<Response>);
        if let Some(Known(known)) = answer.and_then(Response::extension) {
            return Some(known);
        }
        causes(error).find_map(|error| error.downcast_ref::<Self>())
    }
}

/// The error and everything under it.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}
