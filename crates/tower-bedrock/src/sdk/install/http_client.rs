//! The HTTP client that runs a stack.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use aws_sdk_bedrockruntime::config::{ConfigBag, SharedHttpClient};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    call::Call,
    outcome,
    request::{SdkRequest, Wire},
    response::SdkResponse,
};

/// The user's HTTP client with a stack in front of it. Calls that are not ours pass untouched.
pub(super) struct StackedClient<S> {
    inner: SharedHttpClient,
    stack: Arc<S>,
}

impl<S> StackedClient<S> {
    pub(super) fn new(inner: SharedHttpClient, stack: S) -> Self {
        let stack = Arc::new(stack);
        Self { inner, stack }
    }
}

/// How the client shows itself in `Debug`, by which it is known again.
pub(super) const MARK: &str = "tower_bedrock::sdk::install::StackedClient";

impl<S> HttpClient for StackedClient<S>
where
    S: Service<SdkRequest, Response = SdkResponse> + Clone + Send + Sync + 'static,
    S::Error: Into<crate::BoxError>,
    S::Future: Send,
{
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(StackedConnector {
            inner: self.inner.http_connector(settings, components),
            stack: Arc::clone(&self.stack),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        cfg: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, cfg)
    }

    /// Runs once a call, for the HTTP client that will be used: so the interceptor learns that it is
    /// this one.
    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        cfg: &ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<Call>() {
            call.wrap();
        }
        self.inner.validate_final_config(components, cfg)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl<S> fmt::Debug for StackedClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(MARK)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// What stands in for the user's HTTP client where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoClient;

impl HttpClient for NoClient {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(*self)
    }
}

impl HttpConnector for NoClient {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let error = "no HTTP client: enable the feature `default-https-client`, or give the \
                     configuration one";
        HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())))
    }
}

struct StackedConnector<S> {
    inner: SharedHttpConnector,
    stack: Arc<S>,
}

impl<S> HttpConnector for StackedConnector<S>
where
    S: Service<SdkRequest, Response = SdkResponse> + Clone + Send + Sync + 'static,
    S::Error: Into<crate::BoxError>,
    S::Future: Send,
{
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = request.extension::<Call>().cloned();
        let Some((call, dispatch)) =
            call.and_then(|call| call.take_dispatch().map(|dispatch| (call, dispatch)))
        else {
            return self.inner.call(request);
        };
        let connector = self.inner.clone();
        let stack = S::clone(&self.stack);
        if request.body().bytes().is_some() {
            return match SdkRequest::new(Box::new(request), call, dispatch, connector) {
                Some(request) => HttpConnectorFuture::new(Stacked::new(stack, request)),
                None => HttpConnectorFuture::ready(Err(unrepeatable())),
            };
        }
        HttpConnectorFuture::new(async move {
            let request = in_memory(request).await.map_err(ConnectorError::user)?;
            let request = SdkRequest::new(Box::new(request), call, dispatch, connector);
            let request = request.ok_or_else(unrepeatable)?;
            Stacked::new(stack, request).await
        })
    }
}

fn unrepeatable() -> ConnectorError {
    ConnectorError::user("the request cannot be sent again".into())
}

/// The request with its body in memory. The SDK's own is, but interceptors may wrap it.
async fn in_memory(mut request: HttpRequest) -> Result<HttpRequest, BoxError> {
    let body = request.take_body().collect().await?;
    *request.body_mut() = SdkBody::from(body.to_bytes());
    Ok(request)
}

pin_project! {
    /// A call on its way through a stack.
    struct Stacked<S>
    where
        S: Service<SdkRequest>,
    {
        wire: Arc<Wire>,
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F> {
        Readying { stack: S, request: Option<SdkRequest> },
        Called { #[pin] answer: F },
    }
}

impl<S: Service<SdkRequest>> Stacked<S> {
    fn new(stack: S, request: SdkRequest) -> Self {
        Self {
            wire: Arc::clone(request.wire()),
            state: State::Readying {
                stack,
                request: Some(request),
            },
        }
    }
}

impl<S> Future for Stacked<S>
where
    S: Service<SdkRequest, Response = SdkResponse>,
    S::Error: Into<crate::BoxError>,
{
    type Output = Result<HttpResponse, ConnectorError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = loop {
            match this.state.as_mut().project() {
                StateProj::Readying { stack, request } => match ready!(stack.poll_ready(cx)) {
                    Ok(()) => {
                        let Some(request) = request.take() else {
                            return Poll::Pending;
                        };
                        let answer = stack.call(request);
                        this.state.set(State::Called { answer });
                    }
                    Err(error) => break Err(error),
                },
                StateProj::Called { answer } => break ready!(answer.poll(cx)),
            }
        };
        let wire = &**this.wire;
        let http = outcome::for_the_sdk(result.map_err(Into::into), &wire.call);
        Poll::Ready(http.map(|mut http| {
            hide_the_wait(
                &mut http,
                wire.dispatch.signed_at,
                wire.dispatch.parts.time.now(),
            );
            http
        }))
    }
}

/// The SDK takes the time that a call spent here for time on the wire, and the middle of it for the
/// time at which the answer was dated: a wait of a minute would have it date the next signature half
/// a minute ahead. An answer with an age is one that it does not measure by.
fn hide_the_wait(http: &mut HttpResponse, signed: SystemTime, ended: SystemTime) {
    /// The most that a wait may mislead the SDK by, twice: `Date` itself is no more exact.
    const HARMLESS: Duration = Duration::from_secs(2);
    let took = ended.duration_since(signed).unwrap_or_default();
    if took > HARMLESS && !http.headers().contains_key("age") {
        http.headers_mut().insert("age", "0");
    }
}

impl<S> fmt::Debug for StackedConnector<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackedConnector").finish_non_exhaustive()
    }
}
