//! A fluent client with a stack inside of it.

use aws_sdk_bedrockruntime::{
    Client,
    config::Builder,
    error::SdkError,
    operation::converse::{ConverseError, ConverseOutput},
    types::InferenceConfiguration,
};
use aws_smithy_runtime_api::http::Response;
use tower::Layer;
use tower::Service;
use tower_bedrock::sdk::install::{Resilience, SdkRequest, SdkResponse, SdkTransport};
use tower_bedrock_tests::{PROMPT, message};

/// What `send()` of Converse returns.
pub(crate) type Sent = Result<ConverseOutput, SdkError<ConverseError, Response>>;

/// A client of `config` with `layer` inside of it.
pub(crate) fn client<L>(config: Builder, layer: L) -> Client
where
    L: Layer<SdkTransport>,
    L::Service: Service<SdkRequest, Response = SdkResponse> + Clone + Send + Sync + 'static,
    <L::Service as Service<SdkRequest>>::Error: Into<tower_bedrock::BoxError>,
    <L::Service as Service<SdkRequest>>::Future: Send,
{
    Client::from_conf(Resilience::new(layer).install(config).build())
}

/// What every user of the SDK writes.
pub(crate) async fn converse(client: &Client, model: &str) -> Sent {
    client
        .converse()
        .model_id(model)
        .messages(message(PROMPT))
        .inference_config(InferenceConfiguration::builder().max_tokens(100).build())
        .send()
        .await
}
