//! [`ClassifyLayer`]: finds the [`Cause`] of what went wrong.
//!
//! Bedrock tells very different things apart by little: one status for a used-up quota, an
//! overloaded model and a model that is not loaded; one exception for a wrong request, a full
//! context window and a crashed model. The catalogue here reads the code first, the status where
//! there is no code, and the text last; all of it blind to case. What it does not know lands in an
//! honest bucket ([`Cause::Throttled`] for a 429, [`Cause::InvalidRequest`] for a validation,
//! [`Cause::Unknown`] at the end), never in a wrong one.

mod catalogue;
pub mod future;
mod hint;
mod layer;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use crate::{
    cause::Cause,
    error::{Error, ErrorDetails, RawError},
};

pub use hint::retry_after;
pub use layer::{Classify, ClassifyLayer};

type Rules = Vec<Arc<Rule>>;
type Rule = dyn Fn(&RawError) -> Option<Cause> + Send + Sync;

/// Finds the cause of a [`RawError`]: the caller's own rules first, then the catalogue.
///
/// # Shared state
///
/// Clones share their rules; there is no other state.
///
/// # Example
///
/// ```
/// use tower_bedrock::{Cause, Classifier, ErrorDetails, RawError};
///
/// let mut details = ErrorDetails::default();
/// details.code = Some("ThrottlingException".into());
/// details.message = Some("Too many tokens, please wait before trying again.".into());
///
/// let error = Classifier::default().classify(RawError::Answered(Box::new(details)));
/// assert_eq!(error.cause(), Cause::TokenRate);
/// ```
#[derive(Clone, Default)]
pub struct Classifier {
    /// `None` without any: there is nothing to share then.
    rules: Option<Arc<Rules>>,
}

impl Classifier {
    /// Asks `rule` before the catalogue, and after the rules that were added earlier. The first
    /// rule that names a cause decides.
    #[must_use]
    pub fn with_rule<F>(mut self, rule: F) -> Self
    where
        F: Fn(&RawError) -> Option<Cause> + Send + Sync + 'static,
    {
        let rule: Arc<Rule> = Arc::new(rule);
        let rules = self.rules.get_or_insert_default();
        Arc::make_mut(rules).push(rule);
        self
    }

    fn rules(&self) -> &[Arc<Rule>] {
        self.rules.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The cause of `raw`.
    #[must_use]
    pub fn cause(&self, raw: &RawError) -> Cause {
        self.rules()
            .iter()
            .find_map(|rule| rule(raw))
            .unwrap_or_else(|| catalogue::cause(raw))
    }

    /// The error that `raw` is. One that has its cause already is left as it is.
    #[must_use]
    pub fn classify(&self, raw: RawError) -> Error {
        let cause = self.cause(&raw);
        let is_unsent = matches!(raw, RawError::NotSent(_) | RawError::Credentials(_));
        let mut details = match raw {
            RawError::Answered(details)
            | RawError::Unreadable(details)
            | RawError::Connect(details)
            | RawError::Timeout(details)
            | RawError::Credentials(details)
            | RawError::NotSent(details)
            | RawError::Truncated(details)
            | RawError::Garbled(details)
            | RawError::Stalled(details) => details,
            RawError::Classified(error) => return error,
            RawError::Other(source) => Box::new(ErrorDetails {
                message: Some(source.to_string()),
                source: Some(source),
                ..ErrorDetails::default()
            }),
        };
        details.code = details
            .code
            .map(|code| catalogue::bare_code(&code).to_owned());
        details.cut();
        if let (Cause::Credentials, Some(message)) = (cause, &mut details.message) {
            message.truncate(message.find('\n').unwrap_or(message.len()));
        }
        let error = Error::from_details(cause, *details);
        if is_unsent { error.unsent() } else { error }
    }
}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier")
            .field("rules", &self.rules().len())
            .finish()
    }
}
