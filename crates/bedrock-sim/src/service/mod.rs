//! The simulator as a Tower service over HTTP requests: in process, on tokio's clock.

mod body;
mod exchange;
mod generate;
mod ids;
mod settlement;
mod state;
#[cfg(test)]
mod tests;

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

pub use body::SimBody;

use self::state::Shared;
#[cfg(doc)]
use crate::Engine;
use crate::{
    ControlPlane, ControlPlaneRequest, FaultSpec, ScenarioError,
    engine::{FaultId, Ledger},
    scenario::Scenario,
};

/// A simulated Bedrock that answers HTTP requests in process.
///
/// It reads the clock of tokio, so that under a paused clock a minute of quota passes in no time:
///
/// ```
/// use bedrock_sim::{ModelSpec, Scenario, SimService};
/// use http::Request;
/// use http_body_util::{BodyExt, Full};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scenario = Scenario::builder()
///     .model(ModelSpec::new("amazon.nova-lite-v1:0"))
///     .build()?;
/// let bedrock = SimService::new(scenario);
///
/// let request = Request::post("/model/amazon.nova-lite-v1%3A0/converse")
///     .header("authorization", "Bearer any-key")
///     .body(Full::from(r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#))?;
/// let response = bedrock.oneshot(request).await?;
/// assert_eq!(response.status(), 200);
/// let body = response.into_body().collect().await?.to_bytes();
/// assert!(body.starts_with(br#"{"output":{"message":{"role":"assistant""#));
/// # Ok(())
/// # }
/// ```
///
/// # Shared state
///
/// Clones are one Bedrock: they share quotas, capacity, caches and the ledger.
///
/// # Readiness
///
/// Always ready. What is too much is refused, as the service does.
///
/// # Cancellation
///
/// Dropping the future, or the body of a stream, is a client that went away: the call's slot is
/// free again at once, and what had been generated until then is charged.
///
/// # Errors
///
/// Refusals are responses. [`SimError`] stands for what has no response.
#[derive(Clone)]
pub struct SimService {
    shared: Arc<Shared>,
}

impl SimService {
    /// A Bedrock as the scenario describes it. Its time starts now.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        Self {
            shared: Arc::new(Shared::new(scenario)),
        }
    }

    /// What has happened so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger()
    }

    /// Begins a fault that the scenario does not have, as [`Engine::begin_fault`] does: a storm that
    /// is switched on by hand.
    ///
    /// ```
    /// use bedrock_sim::{ErrorText, FaultSpec, ModelSpec, Scenario, SimService};
    ///
    /// # fn main() -> Result<(), bedrock_sim::ScenarioError> {
    /// let model = ModelSpec::new("amazon.nova-lite-v1:0");
    /// let bedrock = SimService::new(Scenario::builder().model(model).build()?);
    ///
    /// let throttles = FaultSpec::error(ErrorText::RequestsPerMinute).probability(0.8);
    /// let storm = bedrock.begin_fault(&throttles)?;
    /// // Four in five calls are throttled here.
    /// bedrock.end_fault(storm);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] when the fault cannot be.
    pub fn begin_fault(&self, fault: &FaultSpec) -> Result<FaultId, ScenarioError> {
        self.shared.lock().engine.begin_fault(fault)
    }

    /// Ends a fault that was begun by hand; one that is over stays so.
    pub fn end_fault(&self, fault: FaultId) {
        self.shared.lock().engine.end_fault(fault);
    }

    /// Changes what Service Quotas and the control plane say from now on: a quota that was raised, a
    /// permission that was taken away.
    ///
    /// ```
    /// use bedrock_sim::{ModelSpec, Scenario, ServiceQuotaSpec, SimService};
    ///
    /// # fn main() -> Result<(), bedrock_sim::ScenarioError> {
    /// let model = ModelSpec::new("amazon.nova-lite-v1:0");
    /// let bedrock = SimService::new(Scenario::builder().model(model).build()?);
    /// bedrock.change_control_plane(|plane| {
    ///     plane.denied.push("servicequotas:ListServiceQuotas".to_owned());
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn change_control_plane(&self, change: impl FnOnce(&mut ControlPlane)) {
        change(self.shared.lock().control.plane_mut());
    }

    /// What Service Quotas and the control plane were asked, page by page.
    #[must_use]
    pub fn control_plane_requests(&self) -> Vec<ControlPlaneRequest> {
        self.shared.lock().control.requests()
    }

    /// Starts anew: full quotas, empty caches, faults unspent, the seed's chance from its beginning.
    ///
    /// Calls in flight run on, but count no more.
    pub fn reset(&self) {
        self.shared.lock().reset();
    }
}

impl<B> Service<Request<B>> for SimService
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<SimBody>;
    type Error = SimError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture(Box::pin(exchange::answer(
            Arc::clone(&self.shared),
            request,
        )))
    }
}

impl fmt::Debug for SimService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimService").finish_non_exhaustive()
    }
}

/// The future of [`SimService`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(
    Pin<Box<dyn Future<Output = Result<Response<SimBody>, SimError>> + Send>>,
);

impl Future for ResponseFuture {
    type Output = Result<Response<SimBody>, SimError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// What happens to a request or a body in place of an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A fault of the scenario breaks the connection: before the headers, or within a stream.
    #[error("the simulator reset the connection, as its scenario asks")]
    ConnectionReset,
    /// The request's body broke off before it was whole.
    #[error("the request's body could not be read")]
    RequestBody(#[source] Box<dyn Error + Send + Sync>),
}
