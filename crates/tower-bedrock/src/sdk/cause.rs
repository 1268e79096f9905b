//! The cause of whatever the SDK returns.

use std::{
    any::{Any, TypeId},
    error::Error as StdError,
    fmt,
};

use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::{
    client::endpoint::error::{InvalidEndpointError, ResolveEndpointError},
    http::Response,
};
use aws_smithy_types::event_stream::RawMessage;

use super::{
    error::{answered, causes, described, of_response},
    stream,
};
use crate::{
    cause::Cause,
    classify::Classifier,
    error::{Error, ErrorDetails, RawError},
};

impl Cause {
    /// Why a call through the SDK failed, by all that is known of it: what the layers found out, where
    /// they took part ([`Error::from_sdk`]), else what the SDK itself tells.
    ///
    /// So it knows as well what fails before the layers are reached, or without any (an input that
    /// lacks something, no credentials, no endpoint), and the exceptions that the service sends within
    /// a stream: it takes what `send()` returns and what the receiver of a stream does. It is
    /// [`Cause::Unknown`] where the SDK does not tell, as when an interceptor of the user's refuses.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn example(client: aws_sdk_bedrockruntime::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_bedrock::Cause;
    ///
    /// let mut output = client.converse_stream().model_id("amazon.nova-lite-v1:0").send().await?;
    /// loop {
    ///     match output.stream.recv().await {
    ///         Ok(Some(event)) => drop(event),
    ///         Ok(None) => break,
    ///         Err(error) => match Cause::of_sdk(&error) {
    ///             Cause::StreamTruncated => println!("the answer is not whole"),
    ///             cause => println!("{cause}"),
    ///         },
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn of_sdk<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
        R: fmt::Debug + 'static,
    {
        match Error::from_sdk(error) {
            Some(known) => known.cause(),
            None => Classifier::default().cause(&told(error)),
        }
    }
}

/// What the SDK itself tells.
fn told<E, R>(error: &SdkError<E, R>) -> RawError
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: fmt::Debug + 'static,
{
    let raw = error.raw_response().map(|raw| raw as &dyn Any);
    let response = raw.and_then(<dyn Any>::downcast_ref::<Response>);
    let frame = raw.and_then(<dyn Any>::downcast_ref::<RawMessage>);
    let is_success = response.is_some_and(|response| response.status().is_success());
    let mut details = response.map(of_response).unwrap_or_default();
    match error {
        SdkError::ServiceError(_) if is_success => RawError::Unreadable(Box::new(details)),
        SdkError::ServiceError(context) => {
            answered(&mut details, context.err(), response);
            if let Some(code) = frame.and_then(stream::exception_code) {
                details.code = Some(code);
            }
            RawError::Answered(Box::new(details))
        }
        SdkError::ResponseError(_) => match frame {
            Some(frame) => stream::unreadable(frame),
            None if is_success => described(error, details, RawError::Connect),
            None => described(error, details, RawError::Unreadable),
        },
        SdkError::TimeoutError(_) => described(error, details, RawError::Timeout),
        SdkError::ConstructionFailure(_) => described(error, details, RawError::NotSent),
        _ if TypeId::of::<R>() == TypeId::of::<RawMessage>() => {
            described(error, ErrorDetails::default(), RawError::Truncated)
        }
        _ if causes(error).any(|error| {
            error.is::<ResolveEndpointError>() || error.is::<InvalidEndpointError>()
        }) =>
        {
            RawError::NotSent(Box::new(details))
        }
        _ => described(error, details, RawError::Connect),
    }
}
