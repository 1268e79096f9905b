use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, retry::RetryConfig},
};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_types::SdkConfig;
use tokio::time::{Instant, timeout, timeout_at};
use tower_service::Service;

use super::{
    error::timed_out,
    future::ResponseFuture,
    intercept::Inside,
    operation::{SdkOperation, not_sent},
    stream::StreamOptions,
};
use crate::{
    call::{BedrockRequest, Request},
    cause::Cause,
    error::{Error, RawError},
    route::{Region, Route},
    stream::{HoldBack, StreamLimits},
};

/// Sends requests through the AWS SDK: the innermost service of a stack.
///
/// A [`Request`] of any [`SdkOperation`] is sent where its [`Route`](crate::Route) says: the model
/// id of the route replaces the input's, and the call goes through the client of the route's region,
/// one per region, made when it is first asked for. A route without a region goes to the home
/// region, the one of the configuration.
///
/// The SDK's own retries are off: retries have one owner, [`RetryLayer`](crate::RetryLayer). So one
/// attempt is one request on the wire. Timeouts, credentials, endpoints and the HTTP client are
/// those of the configuration. The SDK sets no read timeout by default; set one, or give calls a
/// deadline, or their attempts an [`attempt_timeout`](crate::CallContext::attempt_timeout).
///
/// # Streams
///
/// The reply to a streaming operation is a [`ResponseStream`](crate::ResponseStream). Its call is
/// answered when its first content is there ([`with_hold_back`](Self::with_hold_back)); a stream that
/// falls silent ends by [`StreamLimits`] that are on by default
/// ([`with_stream_limits`](Self::with_stream_limits)), and one that is not over at the call's deadline
/// ends then.
///
/// # Shared state
///
/// Clones share the clients, and with them their connections.
///
/// # Readiness
///
/// Always ready. Bound what is in flight with a layer.
///
/// # Boxes and buffers
///
/// `oneshot` through a Tower `Buffer` around a boxed service, with or without layers in between, is
/// something that the compiler does not take for `Send` within an async block
/// (rust-lang/rust#102211). Box outside of the buffer, or spawn the future by itself.
///
/// # Cancellation
///
/// Dropping the future drops the SDK's call and its connection's request. The service may have done,
/// and billed, the work.
///
/// # Errors
///
/// A [`RawError`], for [`ClassifyLayer`](crate::ClassifyLayer) to find the cause of: what the SDK
/// returned; [`RawError::NotSent`] when the request names no model, a malformed one, or no region is
/// known; [`RawError::Stalled`] when a stream does not begin in time; [`Cause::DeadlineExceeded`]
/// when the call's deadline cuts it.
///
/// # Example
///
/// ```no_run
/// use aws_sdk_bedrockruntime::operation::converse::ConverseInput;
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_bedrock::{Bedrock, ClassifyLayer, Request, RetryLayer};
///
/// # async fn example(sdk_config: &aws_types::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let bedrock = ServiceBuilder::new()
///     .layer(RetryLayer::new())
///     .layer(ClassifyLayer::new())
///     .service(Bedrock::new(sdk_config));
///
/// let input = ConverseInput::builder()
///     .model_id("us.amazon.nova-lite-v1:0")
///     // .messages(…)
///     .build()?;
/// let response = bedrock.oneshot(Request::from(input)).await?;
/// println!("{:?}", response.usage());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bedrock {
    shared: Arc<Shared>,
    streams: StreamOptions,
}

struct Shared {
    config: Builder,
    home: Option<Region>,
    home_client: Client,
    clients: RwLock<HashMap<Region, Client>>,
}

impl Bedrock {
    /// Sends with the credentials, region, endpoint, timeouts and HTTP client of `config`, as
    /// `aws_config::load_defaults` makes it.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let mut builder = Builder::from(config);
        if config.behavior_version().is_none() {
            builder = builder.behavior_version(BehaviorVersion::latest());
        }
        Self::from_builder(builder)
    }

    /// Sends with a configuration of the Bedrock client itself. Its retry configuration is replaced
    /// by none. With an endpoint URL in it, the calls of all regions go there, each signed for its
    /// own.
    ///
    /// Interceptors of the configuration run as they do in the SDK, but for one thing: the input of a
    /// request is handed over in `modify_before_serialization`, after theirs. What they change of the
    /// input before is lost; change the request instead.
    ///
    /// # Panics
    ///
    /// If no behavior version is set: the SDK builds no client without one, and does not tell
    /// whether a builder has it.
    #[must_use]
    pub fn from_builder(config: Builder) -> Self {
        let mut config = config.retry_config(RetryConfig::disabled());
        // Nobody can name it to disable it, so nothing need be looked up for each of its hooks.
        config.push_interceptor(SharedInterceptor::permanent(Inside));
        let home_client = Client::from_conf(config.clone().build());
        let home = home_client.config().region().map(ToString::to_string);
        Self {
            shared: Arc::new(Shared {
                home: home.map(Region::from),
                config,
                home_client,
                clients: RwLock::default(),
            }),
            streams: StreamOptions::default(),
        }
    }

    /// Sets how long streams are waited for. Clones made before keep theirs, and share the clients
    /// all the same.
    #[must_use]
    pub const fn with_stream_limits(mut self, limits: StreamLimits) -> Self {
        self.streams.limits = limits;
        self
    }

    /// Sets how much of a stream is held back before its call counts as answered.
    #[must_use]
    pub const fn with_hold_back(mut self, hold_back: HoldBack) -> Self {
        self.streams.hold_back = hold_back;
        self
    }

    /// Where a call without a region of its own goes.
    #[must_use]
    pub fn home_region(&self) -> Option<&Region> {
        self.shared.home.as_ref()
    }

    /// The SDK client of `region`.
    pub(super) fn client(&self, region: Option<&Region>) -> Result<Client, RawError> {
        let shared = &*self.shared;
        let region = match (region, &shared.home) {
            (None, None) => return Err(not_sent(NO_REGION)),
            (None, Some(_)) => return Ok(shared.home_client.clone()),
            (Some(region), Some(home)) if region == home => return Ok(shared.home_client.clone()),
            (Some(region), _) => region,
        };
        let clients = shared
            .clients
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(region) {
            return Ok(client.clone());
        }
        drop(clients);

        let mut clients = shared
            .clients
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Calls that are under way have their client still.
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(region) {
            clients.clear();
        }
        let client = clients.entry(region.clone()).or_insert_with(|| {
            let sdk_region = aws_types::region::Region::new(region.as_str().to_owned());
            Client::from_conf(shared.config.clone().region(sdk_region).build())
        });
        Ok(client.clone())
    }

    #[cfg(test)]
    pub(super) fn regions_made(&self) -> usize {
        self.shared
            .clients
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// Regions whose clients are kept, beside the home region's: more than there are. Beyond it they are
/// made anew, so that callers who name regions of their own do not fill the memory.
const MAX_CLIENTS: usize = 64;

const NO_REGION: &str = "no region is known: set one in the AWS configuration, in AWS_REGION, or in \
                         the request's route";

impl<Op: SdkOperation> Service<Request<Op>> for Bedrock {
    type Response = Op::Response;
    type Error = RawError;
    type Future = ResponseFuture<Op::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Op>) -> Self::Future {
        let call = request.context_mut();
        let client = match self.client(call.route.region.as_ref()) {
            Ok(client) => client,
            Err(error) => return ResponseFuture::failed(error),
        };
        if call.route.region.is_none() {
            call.route.region = self.shared.home.clone();
        }
        let streams = self.streams;
        let limit = call.attempt_timeout;
        let Some(deadline) = call.deadline else {
            let route = call.route.clone();
            let sent = Op::send(client, request, streams);
            return ResponseFuture::sent(in_time(limit, route, sent));
        };
        let call = call.clone();
        let cut = move || {
            let error = Error::new(Cause::DeadlineExceeded)
                .with_message("the call's deadline passed before the service answered");
            error.with_context(&call)
        };
        // A timeout polls what it bounds once, whatever the time: that would send.
        if deadline <= Instant::now() {
            return ResponseFuture::failed(cut().unsent().into());
        }
        ResponseFuture::sent(async move {
            let route = request.context().route.clone();
            let sent = in_time(limit, route, Op::send(client, request, streams));
            let sent = timeout_at(deadline, sent).await;
            sent.unwrap_or_else(|_| Err(cut().into()))
        })
    }
}

/// Cuts an attempt on `route` that takes longer than it may.
async fn in_time<T>(
    limit: Option<Duration>,
    route: Route,
    sent: impl Future<Output = Result<T, RawError>>,
) -> Result<T, RawError> {
    let Some(limit) = limit else {
        return sent.await;
    };
    timeout(limit, sent).await.unwrap_or_else(|_| {
        let mut error = timed_out(limit);
        if let Some(details) = error.details_mut() {
            details.route = Some(route);
        }
        Err(error)
    })
}

impl fmt::Debug for Bedrock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bedrock")
            .field("home_region", &self.shared.home)
            .finish_non_exhaustive()
    }
}
