//! Why a call was not let through.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::{cause::Cause, error::Error, route::Route};

/// A call was refused because the circuit of its route is open. Nothing was sent.
///
/// It is the `source` of an [`Error`] with [`Cause::CircuitOpen`].
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_bedrock::{CircuitOpen, Error};
///
/// fn page(error: &Error) -> Option<String> {
///     let refusal = CircuitOpen::of(error)?;
///     let again = refusal.retry_in().unwrap_or(Duration::from_secs(60));
///     Some(format!("{} is down, asking again in {again:?}", refusal.route()))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitOpen {
    route: Route,
    retry_in: Option<Duration>,
}

impl CircuitOpen {
    pub(crate) const fn new(route: Route, retry_in: Option<Duration>) -> Self {
        Self { route, retry_in }
    }

    /// The refusal behind `error`, if it is one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// What the circuit stands for: a route with the home region in the place of none, or the part
    /// of it that circuits are [kept by](crate::CircuitKey).
    #[must_use]
    pub const fn route(&self) -> &Route {
        &self.route
    }

    /// When a call may get through again: when the circuit becomes half-open or, if it is, when the
    /// place of a probe is free at the latest. `None` if the circuit was opened by hand.
    #[must_use]
    pub const fn retry_in(&self) -> Option<Duration> {
        self.retry_in
    }
}

impl fmt::Display for CircuitOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the circuit of {} is open", self.route)?;
        match self.retry_in {
            Some(wait) => write!(f, "; it is worth trying again in {} ms", wait.as_millis()),
            None => f.write_str(" until it is closed by hand"),
        }
    }
}

impl StdError for CircuitOpen {}

impl From<CircuitOpen> for Error {
    fn from(refusal: CircuitOpen) -> Self {
        let error = Self::new(Cause::CircuitOpen).with_message(refusal.to_string());
        let error = match refusal.retry_in {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        };
        error.with_source(refusal)
    }
}
