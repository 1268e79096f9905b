//! What the layers answer when a call does not succeed.

mod raw;
mod secrets;
mod shared;

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::{
    call::{CallContext, Operation},
    cause::Cause,
    classify::Classifier,
    fallback::FallbackExhausted,
    route::Route,
};

pub use raw::{ErrorDetails, RawError};

/// A boxed error, as Tower's middleware passes it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a call failed: the [`Cause`], what the service said, and where it happened.
///
/// `Display` and `Debug` show what the service said of the request, never a prompt, an answer or a
/// credential.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Cause, Error};
///
/// fn worth_telling_the_user(error: &Error) -> bool {
///     matches!(error.cause(), Cause::ContextTooLong | Cause::ContentBlocked)
/// }
/// # assert!(worth_telling_the_user(&Error::new(Cause::ContextTooLong)));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    cause: Cause,
    details: ErrorDetails,
    place: Option<Place>,
    other_routes: Option<Arc<FallbackExhausted>>,
    /// Whether it is known that nothing went out.
    is_unsent: bool,
}

/// Where an error happened.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    operation: Operation,
    route: Route,
    attempts: u32,
}

impl Place {
    /// The attempt that `call` is.
    pub(crate) fn of(call: &CallContext) -> Self {
        Self {
            operation: call.operation,
            route: call.route.clone(),
            attempts: call.attempt,
        }
    }
}

impl Error {
    /// An error that tells nothing but its cause.
    #[must_use]
    pub fn new(cause: Cause) -> Self {
        Self::from_details(cause, ErrorDetails::default())
    }

    /// An error with all that is known of it.
    #[must_use]
    pub fn from_details(cause: Cause, details: ErrorDetails) -> Self {
        Self(Box::new(Inner {
            cause,
            details,
            place: None,
            other_routes: None,
            is_unsent: false,
        }))
    }

    /// Why the call failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.cause
    }

    /// The service's code, such as `ThrottlingException`, without namespace and suffix.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.details.code.as_deref()
    }

    /// What the service, or the layer that refused, said.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.details.message.as_deref()
    }

    /// The HTTP status; `None` when no answer came, or it came inside a stream.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.details.status
    }

    /// The status that the model behind the service answered with, where the service passes it on.
    #[must_use]
    pub fn original_status(&self) -> Option<u16> {
        self.0.details.original_status
    }

    /// The service's id of the request, to be named in a support case.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.details.request_id.as_deref()
    }

    /// How long the service asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.details.retry_after
    }

    /// The operation that failed; `None` until a layer that knows the call has seen the error.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.place.as_ref().map(|place| place.operation)
    }

    /// The route of the attempt that failed.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        self.0.place.as_ref().map(|place| &place.route)
    }

    /// Which attempt of the call it was, from 1, over all routes.
    #[must_use]
    pub fn attempts(&self) -> Option<u32> {
        self.0.place.as_ref().map(|place| place.attempts)
    }

    /// Whether the request never went out: one of our own layers refused it, or it could not be built
    /// or signed.
    ///
    /// `false` where that is not known, as after a connection that failed.
    #[must_use]
    pub fn was_not_sent(&self) -> bool {
        let cause = self.cause();
        self.0.is_unsent || (cause.is_own_refusal() && cause != Cause::DeadlineExceeded)
    }

    /// The same error of a request that never went out.
    pub(crate) fn unsent(mut self) -> Self {
        self.0.is_unsent = true;
        self
    }

    pub(crate) fn other_routes(&self) -> Option<&FallbackExhausted> {
        self.0.other_routes.as_deref()
    }

    /// The same error with what became of the call's other routes. It stays what it is: its cause,
    /// its details and what lies under it.
    pub(crate) fn with_other_routes(mut self, routes: FallbackExhausted) -> Self {
        self.0.other_routes = Some(Arc::new(routes));
        self
    }

    /// Gives the service's own answer back, where the sender kept it.
    #[cfg(feature = "aws")]
    pub(crate) fn take_answer(&mut self) -> Option<aws_smithy_runtime_api::http::Response> {
        self.0.details.answer.take().map(|answer| *answer)
    }

    /// The same error with the service's code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.details.code = Some(code.into());
        self
    }

    /// The same error with a message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.details.message = Some(message.into());
        self
    }

    /// The same error with an HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.details.status = Some(status);
        self
    }

    /// The same error with the status of the model behind the service.
    #[must_use]
    pub fn with_original_status(mut self, status: u16) -> Self {
        self.0.details.original_status = Some(status);
        self
    }

    /// The same error with the service's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.details.request_id = Some(request_id.into());
        self
    }

    /// The same error with the wait that was asked for.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.details.retry_after = Some(retry_after);
        self
    }

    /// The same error with what lies under it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.details.source = Some(source.into());
        self
    }

    /// The same error with the place where it happened.
    #[must_use]
    pub fn with_context(self, call: &CallContext) -> Self {
        self.at(Place::of(call))
    }

    /// The same error, which happened at `place`; the route is another if the answer knows better.
    pub(crate) fn at(mut self, mut place: Place) -> Self {
        if let Some(route) = &self.0.details.route {
            place.route.clone_from(route);
        }
        self.0.place = Some(place);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            cause,
            details,
            place,
            other_routes,
            ..
        } = &*self.0;
        if let Some(place) = place {
            write!(f, "{} to {} failed: ", place.operation, place.route)?;
        }
        write!(f, "{cause}{details}")?;
        match place {
            Some(place) if place.attempts > 1 => write!(f, " [attempt {}]", place.attempts)?,
            _ => {}
        }
        match other_routes {
            Some(other_routes) => write!(f, "{other_routes}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("cause", &self.0.cause)
            .field("operation", &self.operation())
            .field("route", &self.route())
            .field("attempts", &self.attempts())
            .field("details", &self.0.details)
            .field("other_routes", &self.0.other_routes)
            .finish()
    }
}

impl StdError for Error {
    /// What lies under it, or else the error of the route that a fallback tried before.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        if let Some(source) = self.0.details.source.as_deref() {
            return Some(shared::source(source));
        }
        let before = self.0.other_routes.as_ref()?.errors().last()?;
        Some(before)
    }
}

/// Takes an [`Error`] back out of the box that tower's `Buffer`, `Timeout` and their like put it
/// into. A [`RawError`] that nobody has classified is classified here, and what the middleware itself
/// says is understood as [`RawError`]'s own conversion does.
impl From<BoxError> for Error {
    fn from(error: BoxError) -> Self {
        Classifier::default().classify(error.into())
    }
}

#[cfg(test)]
mod tests;
