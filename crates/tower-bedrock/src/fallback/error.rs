//! What became of the routes of a call that failed.

use std::{error::Error as StdError, fmt, time::Duration};

use crate::{cause::Cause, error::Error, model_id::Residency, route::Route};

/// Why a call did not take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// Its data might be processed outside of where the call's may be.
    Residency,
    /// The call cannot be made there: its body is of another model family's form, or what it names
    /// belongs to one model or one region.
    NotPortable,
    /// It is not known to have a larger context window than the model that the call did not fit.
    ContextWindow,
    /// As many calls as may have moved there.
    Capped,
    /// It would have refused the call.
    #[non_exhaustive]
    Closed {
        /// With what.
        cause: Cause,
        /// When it was worth asking again, if that is known.
        retry_in: Option<Duration>,
    },
    /// The call would have waited there, longer than it had patience for.
    #[non_exhaustive]
    Waits {
        /// About how long.
        wait: Duration,
    },
}

/// A route that a call did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedRoute {
    /// The route.
    pub route: Route,
    /// Why not.
    pub reason: SkipReason,
}

/// What became of the other routes of a call that failed: the errors of those that were tried
/// before, and those that were passed over.
///
/// The [`Error`] itself is that of the route that was tried last; where nothing lies under it, the one
/// before is its `source`.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Error, FallbackExhausted};
///
/// fn report(error: &Error) {
///     eprintln!("{error}");
///     let Some(routes) = FallbackExhausted::of(error) else { return };
///     for error in routes.errors() {
///         eprintln!("before: {error}");
///     }
///     for skipped in routes.skipped() {
///         eprintln!("not tried: {}, {}", skipped.route, skipped.reason);
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct FallbackExhausted {
    errors: Vec<Error>,
    skipped: Vec<SkippedRoute>,
}

/// A call may take no route at all: nothing was sent.
///
/// It is the `source` of an [`Error`] with [`Cause::NoRouteAllowed`].
///
/// # Example
///
/// ```
/// use tower_bedrock::{Error, NoRouteAllowed};
///
/// fn is_a_matter_of_residency(error: &Error) -> bool {
///     NoRouteAllowed::of(error).is_some()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRouteAllowed {
    residency: Residency,
    skipped: Vec<SkippedRoute>,
}

// === impl SkipReason ===

impl SkipReason {
    /// The reason in snake case, as it stands in metrics and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Residency => "residency",
            Self::NotPortable => "not_portable",
            Self::ContextWindow => "context_window",
            Self::Capped => "capped",
            Self::Closed { .. } => "closed",
            Self::Waits { .. } => "waits",
        }
    }

    /// What would have refused the call.
    pub(super) const fn cause(self) -> Option<Cause> {
        match self {
            Self::Closed { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// When the route was worth asking again, if that is known.
    pub(crate) const fn retry_in(self) -> Option<Duration> {
        match self {
            Self::Closed { retry_in, .. } => retry_in,
            Self::Waits { wait } => Some(wait),
            _ => None,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Residency => f.write_str("outside of the allowed area"),
            Self::NotPortable => f.write_str("the call cannot be made there"),
            Self::ContextWindow => f.write_str("not known to have a larger context window"),
            Self::Capped => f.write_str("as many calls as may have moved there"),
            Self::Closed { cause, retry_in } => {
                write!(f, "closed by {cause}")?;
                match retry_in {
                    Some(retry_in) => write!(f, " for {:.1} s", retry_in.as_secs_f64()),
                    None => Ok(()),
                }
            }
            Self::Waits { wait } => write!(f, "a wait of {:.1} s", wait.as_secs_f64()),
        }
    }
}

impl fmt::Display for SkippedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.route, self.reason)
    }
}

// === impl FallbackExhausted ===

impl FallbackExhausted {
    pub(crate) const fn new(errors: Vec<Error>, skipped: Vec<SkippedRoute>) -> Self {
        Self { errors, skipped }
    }

    /// What became of the other routes behind `error`, if there were any.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.other_routes()
    }

    /// The errors of the routes that were tried before, first to last.
    #[must_use]
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }

    /// The routes that were not tried, and why.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedRoute] {
        &self.skipped
    }
}

/// Continues a line.
impl fmt::Display for FallbackExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            f.write_str(if index == 0 { "; before: " } else { ", " })?;
            match error.route() {
                Some(route) => write!(f, "{route} ({})", error.cause())?,
                None => write!(f, "{}", error.cause())?,
            }
        }
        write_skipped(f, "; not tried: ", &self.skipped)
    }
}

// === impl NoRouteAllowed ===

impl NoRouteAllowed {
    pub(super) const fn new(residency: Residency, skipped: Vec<SkippedRoute>) -> Self {
        Self { residency, skipped }
    }

    /// The refusal behind `error`, if it is one.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// How widely the call's data may be processed.
    #[must_use]
    pub const fn residency(&self) -> Residency {
        self.residency
    }

    /// The routes that there are, and why they may not be taken.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedRoute] {
        &self.skipped
    }
}

impl fmt::Display for NoRouteAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = match self.residency {
            Residency::InRegion => "the region",
            Residency::Country => "the country",
            Residency::Geo => "the geography",
            Residency::Global => "the partition",
        };
        write!(f, "the call's data must not leave {width}")?;
        write_skipped(f, "; not taken: ", &self.skipped)
    }
}

impl StdError for NoRouteAllowed {}

impl From<NoRouteAllowed> for Error {
    fn from(refusal: NoRouteAllowed) -> Self {
        Self::new(Cause::NoRouteAllowed)
            .with_message(refusal.to_string())
            .with_source(refusal)
    }
}

fn write_skipped(f: &mut fmt::Formatter<'_>, intro: &str, skipped: &[SkippedRoute]) -> fmt::Result {
    for (index, skipped) in skipped.iter().enumerate() {
        f.write_str(if index == 0 { intro } else { ", " })?;
        write!(f, "{skipped}")?;
    }
    Ok(())
}
