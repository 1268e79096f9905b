//! Inside the SDK: one call on the client's configuration, and the fluent client goes through the
//! layers.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use aws_sdk_bedrockruntime::{Client, config::Builder};
//! use tower::ServiceBuilder;
//! use tower_bedrock::{ClassifyLayer, RetryLayer, sdk::install::Resilience};
//!
//! # let aws_config = aws_types::SdkConfig::builder().build();
//! let layers = ServiceBuilder::new()
//!     .layer(RetryLayer::new())
//!     .layer(ClassifyLayer::new());
//!
//! let config = Resilience::new(layers).install(Builder::from(&aws_config));
//! let client = Client::from_conf(config.build());
//!
//! // Nothing else changes.
//! let answer = client.converse().model_id("us.amazon.nova-lite-v1:0").send().await?;
//! # drop(answer);
//! # Ok(())
//! # }
//! ```
//!
//! # What is installed
//!
//! [`Resilience`] puts two things into the configuration: an interceptor, which reads what a call is
//! about while its input has a type, and an HTTP client around the one that the configuration has or
//! would have, which runs the layers. [`ResilienceInterceptor`] alone leaves the HTTP client as it is.
//!
//! | | [`Resilience`] | [`ResilienceInterceptor`] alone |
//! |---|---|---|
//! | retries, waits for quota, places in a pool | yes | no: the SDK's own retries stay |
//! | other models, regions and tiers, signed for where they go | yes | no |
//! | limits for streams, and streams that end without their end found out | yes | no |
//! | circuits | opened, and asked | asked |
//! | causes of answers that are errors, by [`Error::from_sdk`](crate::Error::from_sdk) | yes | yes |
//! | causes of connections that fail and of timeouts, likewise | yes | to its listener |
//! | causes of everything else, by [`Cause::of_sdk`](crate::Cause::of_sdk) | yes | yes |
//! | [`CallOptions`] | yes | what it can do anything for |
//!
//! Ours are Converse, ConverseStream, InvokeModel, InvokeModelWithResponseStream, CountTokens and
//! ApplyGuardrail. Every other operation passes as if nothing were installed: the asynchronous
//! invocations, and InvokeModelWithBidirectionalStream, whose input cannot be sent twice. So does
//! whatever else is sent over the same HTTP client by the client of another service.
//!
//! # What the SDK's settings mean then
//!
//! * `retry_config` is not used for our operations: the SDK makes one attempt, the layers the others.
//! * `operation_attempt_timeout` bounds each attempt; [`CallContext::attempt_timeout`] does as well.
//! * `operation_timeout` bounds the call with all its waits. It is the call's deadline for the layers,
//!   which leave alone what cannot be done until then.
//! * `connect_timeout` and `read_timeout` are the HTTP client's, which has them as before. The SDK has no
//!   read timeout by default.
//! * Stalled-stream protection watches answers while they are read. Waiting in a layer is no stall.
//! * Connections are given up after the errors after which the SDK does that.
//! * An `http_client` of the user's own is used, if it is set before the installation; one that is set
//!   afterwards replaces the layers. It may be laid around ours, too.
//! * Signatures are made by the SDK's signer, with its identities and its clock: SigV4, or the token of a
//!   Bedrock API key, which is sent unchanged wherever a call goes (AWS documents short-term keys as good
//!   for the region that they were made for). A signature by SigV4a cannot be made again here: such
//!   calls are sent once.
//! * What an answer used is read off its end. An answer that begins and ends as it should, with JSON in
//!   between that is none, fails for the SDK's caller and not for the layers: they have counted it as
//!   answered by then.
//!
//! `CacheLayer` and [`CoalesceLayer`](crate::CoalesceLayer) are not for here: what the layers see inside of the
//! SDK is a written request, not an input that could be compared with another. A stack with one of them
//! does not compile as a part of this, and the compiler says why.
//!
//! Installed twice, the layers that were installed first stay. There is no WebAssembly here: the layers
//! need tokio's timers.
//!
//! # One operation alone
//!
//! Options for one call are [`CallOptions`], given with `.customize().interceptor(options)`. Other
//! *layers* for one call are a configuration of its own, which `config_override` takes the interceptor
//! and the HTTP client from:
//!
//! ```no_run
//! # async fn example(client: aws_sdk_bedrockruntime::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use aws_sdk_bedrockruntime::Config;
//! use tower_bedrock::{ClassifyLayer, sdk::install::Resilience};
//!
//! // Once; it keeps its state between calls.
//! let region = client.config().region().cloned();
//! let mut bare = Config::builder();
//! bare.set_region(region).set_http_client(client.config().http_client());
//! let layers = Resilience::new(ClassifyLayer::new()).install(bare);
//!
//! let call = client.converse().model_id("us.amazon.nova-lite-v1:0");
//! let answer = call.customize().config_override(layers.clone()).send().await?;
//! # drop(answer);
//! # Ok(())
//! # }
//! ```
//!
//! # By whom a call was served
//!
//! [`CallOptions::served`] tells it of the last call; [`CallOptions::on_served`] is told of each.
//!
//! [`CallContext::attempt_timeout`]: crate::CallContext::attempt_timeout

mod address;
pub(super) mod answer;
mod attempt;
mod begin;
mod body;
mod call;
mod clock;
mod frames;
mod http_client;
mod interceptor;
mod options;
mod outcome;
mod part;
mod parts;
mod plain;
mod received;
mod request;
mod response;
mod sign;
mod tap;
mod template;
mod transport;
mod usage;
mod whole;

use std::fmt;

use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, Config, HttpClient, SharedHttpClient,
};
use aws_smithy_runtime::client::defaults::default_http_client_plugin_v2;
use aws_smithy_runtime_api::client::{
    interceptors::SharedInterceptor, runtime_components::RuntimeComponentsBuilder,
    runtime_plugin::RuntimePlugin,
};
use tower_layer::Layer;
use tower_service::Service;

use super::stream::StreamOptions;
use crate::{
    route::Region,
    stream::{HoldBack, StreamLimits},
};

use self::{
    http_client::{MARK, NoClient, StackedClient},
    part::Part,
};

pub use self::{
    interceptor::ResilienceInterceptor, options::CallOptions, request::SdkRequest,
    response::SdkResponse, transport::SdkTransport,
};

/// Layers that are laid around the HTTP client of an SDK client.
#[derive(Clone)]
pub struct Resilience<L> {
    layer: L,
    streams: StreamOptions,
}

impl<L> Resilience<L> {
    /// Runs `layer`, which may be a whole stack, around each call.
    pub fn new(layer: L) -> Self {
        Self {
            layer,
            streams: StreamOptions::default(),
        }
    }

    /// Sets how long streams are waited for.
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
}

impl<L> Resilience<L>
where
    L: Layer<SdkTransport>,
    L::Service: Service<SdkRequest, Response = SdkResponse> + Clone + Send + Sync + 'static,
    <L::Service as Service<SdkRequest>>::Error: Into<crate::BoxError>,
    <L::Service as Service<SdkRequest>>::Future: Send,
{
    /// Puts the layers into a client's configuration: an interceptor, which reads what calls are
    /// about, and an HTTP client around the one that the configuration has, or would have.
    #[must_use]
    pub fn install(self, config: Builder) -> Builder {
        let built = config.clone().build();
        let inner = http_client(&built);
        if is_stacked(&inner) {
            return config;
        }
        let home = built.region().map(|region| Region::from(region.as_ref()));
        let transport = SdkTransport::new(home.clone(), self.streams);
        let stack = self.layer.layer(transport);
        let mut config = config.http_client(StackedClient::new(inner, stack));
        // Nobody can name it to disable it, so nothing need be looked up for each of its hooks.
        config.push_interceptor(SharedInterceptor::permanent(Part::new(home)));
        config
    }
}

impl<L> fmt::Debug for Resilience<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resilience").finish_non_exhaustive()
    }
}

/// The HTTP client of `config`, or the one that the SDK takes where there is none.
fn http_client(config: &Config) -> SharedHttpClient {
    config
        .http_client()
        .or_else(|| {
            let default = default_http_client_plugin_v2(BehaviorVersion::latest())?;
            let nothing = RuntimeComponentsBuilder::new("tower-bedrock");
            default.runtime_components(&nothing).http_client()
        })
        .unwrap_or_else(|| SharedHttpClient::new(NoClient))
}

fn is_stacked(client: &(impl HttpClient + ?Sized)) -> bool {
    format!("{client:?}").contains(MARK)
}
