//! The future of [`Classify`](super::Classify).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::Classifier;
use crate::{
    clock,
    error::{Error, Place, RawError},
};

pin_project! {
    /// The future of [`Classify`](super::Classify).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
        classifier: Classifier,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, place: Place, classifier: Classifier) -> Self {
        Self {
            inner,
            place: Some(place),
            classifier,
        }
    }
}

impl<F, T, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<RawError>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = this.inner.poll(cx);
        clock::time_has_passed();
        let result = ready!(result);
        Poll::Ready(result.map_err(|error| {
            let error = this.classifier.classify(error.into());
            match this.place.take() {
                Some(place) => error.at(place),
                None => error,
            }
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
