use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{Classifier, future::ResponseFuture};
use crate::{
    call::BedrockRequest,
    cause::Cause,
    error::{Error, Place, RawError},
};

/// Turns the inner service's errors into [`Error`]s with a [`Cause`].
///
/// Acts on failures only; an answer passes untouched. A stream that fails after it has begun asks
/// the same rules ([`CallContext::classifier`](crate::CallContext::classifier)). The inner service's error may be a
/// [`RawError`], what the AWS SDK returns (with the feature `aws`), or a
/// [`BoxError`](crate::BoxError).
///
/// # Shared state
///
/// Clones share the [`Classifier`]'s rules.
///
/// # Readiness
///
/// Ready when the inner service is; an error of its readiness is classified too.
///
/// # Cancellation
///
/// Dropping the future drops the inner future; nothing is held.
///
/// # Errors
///
/// Exactly the inner service's, as [`Error`]s that tell operation, route and attempt.
///
/// # Example
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_bedrock::{BoxError, CallContext, Cause, ClassifyLayer, Operation, Request, Route};
///
/// # tokio_test::block_on(async {
/// let unreachable = service_fn(|_: Request<&'static str>| async {
///     let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
///     Err::<(), BoxError>(refused.into())
/// });
/// let service = ServiceBuilder::new()
///     .layer(ClassifyLayer::new())
///     .service(unreachable);
///
/// let call = CallContext::new(Operation::Converse, Route::default());
/// let error = service.oneshot(Request::new("hello", call)).await.unwrap_err();
/// assert_eq!(error.cause(), Cause::Connect);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClassifyLayer {
    classifier: Classifier,
}

/// The service that [`ClassifyLayer`] makes.
#[derive(Clone, Debug)]
pub struct Classify<S> {
    inner: S,
    classifier: Classifier,
}

impl ClassifyLayer {
    /// A layer with the catalogue and no rules of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `rule` before the catalogue; see [`Classifier::with_rule`].
    ///
    /// # Example
    ///
    /// ```
    /// use tower_bedrock::{Cause, ClassifyLayer};
    ///
    /// // A gateway in front of Bedrock that answers 420 when it is busy.
    /// let layer = ClassifyLayer::new().with_rule(|raw| {
    ///     (raw.details()?.status == Some(420)).then_some(Cause::CapacityExceeded)
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with_rule<F>(mut self, rule: F) -> Self
    where
        F: Fn(&RawError) -> Option<Cause> + Send + Sync + 'static,
    {
        self.classifier = self.classifier.with_rule(rule);
        self
    }
}

impl From<Classifier> for ClassifyLayer {
    fn from(classifier: Classifier) -> Self {
        Self { classifier }
    }
}

impl<S> Layer<S> for ClassifyLayer {
    type Service = Classify<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Classify::new(inner, self.classifier.clone())
    }
}

impl<S> Classify<S> {
    /// Classifies the errors of `inner` with `classifier`.
    pub const fn new(inner: S, classifier: Classifier) -> Self {
        Self { inner, classifier }
    }

    inner_service_accessors!();
}

impl<S, R> Service<R> for Classify<S>
where
    R: BedrockRequest,
    S: Service<R>,
    S::Error: Into<RawError>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| self.classifier.classify(error.into()))
    }

    #[inline]
    fn call(&mut self, mut request: R) -> Self::Future {
        let call = request.context_mut();
        // A stream that fails after this future is done asks the same rules.
        call.classifier = Some(self.classifier.clone());
        let place = Place::of(call);
        ResponseFuture::new(self.inner.call(request), place, self.classifier.clone())
    }
}
