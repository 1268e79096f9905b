use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{attempt::Attempt, clock::ServiceClock, request::SdkRequest, response::SdkResponse};
use crate::{
    call::CallContext,
    error::RawError,
    route::Region,
    sdk::{future::ResponseFuture, stream::StreamOptions},
};

/// Sends an [`SdkRequest`] over the HTTP client that the SDK would have used: the innermost service
/// of a stack that is installed in the SDK.
///
/// An attempt goes where its [`Route`](crate::Route) says: its model stands in the path, its region
/// is that of the endpoint and of the signature, its tier in the header or in the body. The first
/// attempt of a call is the SDK's own request, unless it goes elsewhere or has waited for more than a
/// minute; every other is signed for itself.
///
/// # Shared state
///
/// Clones share what they know of the service's clock.
///
/// # Readiness
///
/// Always ready. Bound what is in flight with a layer.
///
/// # Cancellation
///
/// Dropping the future drops the request. The service may have done, and billed, the work.
///
/// # Errors
///
/// A [`RawError`], for [`ClassifyLayer`](crate::ClassifyLayer) to find the cause of: an answer that is
/// an error, a connection that failed, [`RawError::Timeout`] when the SDK's attempt timeout or the
/// call's own passed,
/// [`RawError::Credentials`] and [`RawError::NotSent`] where the request could not be signed or
/// written anew, [`Cause::DeadlineExceeded`](crate::Cause::DeadlineExceeded) when the call's deadline cuts it.
#[derive(Clone)]
pub struct SdkTransport(Arc<Shared>);

/// What all attempts of a client share.
pub(super) struct Shared {
    home: Option<Region>,
    pub(super) clock: ServiceClock,
    pub(super) streams: StreamOptions,
}

impl Shared {
    /// The region that `call` goes to.
    pub(super) fn region<'a>(&'a self, call: &'a CallContext) -> Option<&'a Region> {
        call.route.region.as_ref().or(self.home.as_ref())
    }

    /// `call` with the home region in the place of none.
    pub(super) fn located(&self, call: &CallContext) -> CallContext {
        let mut call = call.clone();
        call.route.region = self.region(&call).cloned();
        call
    }
}

impl SdkTransport {
    pub(super) fn new(home: Option<Region>, streams: StreamOptions) -> Self {
        Self(Arc::new(Shared {
            home,
            clock: ServiceClock::default(),
            streams,
        }))
    }
}

impl Service<SdkRequest> for SdkTransport {
    type Response = SdkResponse;
    type Error = RawError;
    type Future = ResponseFuture<SdkResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SdkRequest) -> Self::Future {
        let (call, wire) = request.into_parts();
        Attempt::new(Arc::clone(&self.0), call, wire).run()
    }
}

impl fmt::Debug for SdkTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkTransport").finish_non_exhaustive()
    }
}
