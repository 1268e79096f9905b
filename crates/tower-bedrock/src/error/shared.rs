//! One error for several callers.

use std::{error::Error as StdError, fmt, sync::Arc};

use super::{BoxError, Error, ErrorDetails, Inner};

/// What lies under an error that several callers have.
struct Shared(Arc<BoxError>);

/// What really lies there: the sharing does not show.
pub(super) fn source<'a>(
    source: &'a (dyn StdError + Send + Sync + 'static),
) -> &'a (dyn StdError + 'static) {
    match (source as &(dyn StdError + 'static)).downcast_ref::<Shared>() {
        Some(Shared(shared)) => &***shared,
        None => source,
    }
}

impl Error {
    /// The same error once more: with the same source, and without the service's own answer, which there
    /// is only once.
    pub(crate) fn another(&mut self) -> Self {
        let Inner {
            cause,
            details,
            place,
            other_routes,
            is_unsent,
        } = &mut *self.0;
        let source = details.source.take().map(|source| match source.downcast() {
            Ok(shared) => *shared,
            Err(source) => Shared(Arc::new(source)),
        });
        if let Some(Shared(shared)) = &source {
            details.source = Some(Box::new(Shared(Arc::clone(shared))));
        }
        let details = ErrorDetails {
            code: details.code.clone(),
            message: details.message.clone(),
            status: details.status,
            original_status: details.original_status,
            request_id: details.request_id.clone(),
            retry_after: details.retry_after,
            route: details.route.clone(),
            source: source.map(Into::into),
            #[cfg(feature = "aws")]
            answer: None,
        };
        Self(Box::new(Inner {
            cause: *cause,
            details,
            place: place.clone(),
            other_routes: other_routes.clone(),
            is_unsent: *is_unsent,
        }))
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Shared {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
