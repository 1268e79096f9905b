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

mod address;
mod answer;
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
mod request;
mod response;
mod sign;
mod tap;
mod template;
mod transport;
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
