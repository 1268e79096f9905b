//! What the SDK is told of a call that went through the stack.

use std::{error::Error as StdError, iter, sync::Arc};

use aws_sdk_bedrockruntime::error::SdkError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::ConnectorError};

use super::{call::Call, response::SdkResponse};
use crate::{
    cause::Cause,
    error::{BoxError, Error},
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
            let (http, served) = response.into_parts();
            call.served(served);
            return Ok(http);
        }
        Err(error) => error.into(),
    };
    if let Some(mut answer) = error.take_answer() {
        answer.add_extension(Known(Arc::new(error)));
        return Ok(answer);
    }
    match error.cause() {
        Cause::Timeout | Cause::DeadlineExceeded => {
            let said = error.to_string();
            call.set_timeout(error);
            Err(ConnectorError::timeout(said.into()))
        }
        _ => Err(as_it_was(error)),
    }
}

/// A connector's error of the kind that the connector said, so that what asks for it still works.
fn as_it_was(error: Error) -> ConnectorError {
    let original = causes(&error).find_map(|error| error.downcast_ref::<ConnectorError>());
    let (is_io, is_user, kind) = original.map_or((false, false, None), |original| {
        (original.is_io(), original.is_user(), original.as_other())
    });
    if is_io {
        ConnectorError::io(error.into())
    } else if is_user {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::other(error.into(), kind)
    }
}

impl Error {
    /// Why a call through the SDK failed, where a stack or an interceptor of
    /// [`sdk::install`](crate::sdk::install) took part in it: the cause, the route that was taken,
    /// and the attempts.
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
    pub fn from_sdk<E>(error: &SdkError<E, HttpResponse>) -> Option<&Self>
    where
        E: StdError + 'static,
    {
        if let Some(known) = error.raw_response().and_then(HttpResponse::extension) {
            let Known(known) = known;
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
