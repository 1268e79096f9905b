//! An HTTP client for the AWS SDK that reaches the simulator without a socket.

use std::{borrow::Cow, io, time::Duration};

use aws_smithy_runtime_api::{
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::Response,
};
use aws_smithy_types::body::SdkBody;
use tower_service::Service;

use crate::{SimError, SimService};

/// An HTTP client for the AWS SDK that reaches a [`SimService`] without a socket.
///
/// The whole SDK runs above it, in virtual time too: give it to the configuration of a client as
/// `http_client`.
///
/// ```
/// use aws_credential_types::Credentials;
/// use aws_sdk_bedrockruntime::{
///     Client, Config,
///     config::{BehaviorVersion, Region},
///     types::{ContentBlock, ConversationRole, Message},
/// };
/// use bedrock_sim::{ModelSpec, Scenario, SimHttpClient, SimService};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = ModelSpec::new("amazon.nova-lite-v1:0").output_tokens(20);
/// let bedrock = SimService::new(Scenario::builder().model(model).build()?);
///
/// let config = Config::builder()
///     .http_client(SimHttpClient::new(bedrock.clone()))
///     .behavior_version(BehaviorVersion::latest())
///     .region(Region::new("us-east-1"))
///     .credentials_provider(Credentials::from_keys("any", "any", None))
///     .build();
/// let message = Message::builder()
///     .role(ConversationRole::User)
///     .content(ContentBlock::Text("Hello".to_owned()))
///     .build()?;
/// let call = Client::from_conf(config).converse().model_id("amazon.nova-lite-v1:0");
/// let reply = call.messages(message).send().await?;
///
/// assert_eq!(reply.usage.map(|usage| usage.output_tokens), Some(20));
/// assert_eq!(bedrock.ledger().totals.completed, 1);
/// # Ok(())
/// # }
/// ```
///
/// A reset connection is an I/O error to the SDK, and its read timeout bounds the time to the
/// headers, as with a real client.
#[derive(Clone, Debug)]
pub struct SimHttpClient {
    service: SimService,
}

impl SimHttpClient {
    /// A client of the service.
    #[must_use]
    pub fn new(service: SimService) -> Self {
        Self { service }
    }

    /// The service behind it, with the ledger.
    #[must_use]
    pub fn service(&self) -> &SimService {
        &self.service
    }
}

impl HttpClient for SimHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(SimConnector {
            service: self.service.clone(),
            read_timeout: settings.read_timeout(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        let version = Some(Cow::Borrowed(env!("CARGO_PKG_VERSION")));
        Some(ConnectorMetadata::new("bedrock-sim", version))
    }
}

#[derive(Debug)]
struct SimConnector {
    service: SimService,
    read_timeout: Option<Duration>,
}

impl HttpConnector for SimConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.service.clone();
        let read_timeout = self.read_timeout;
        HttpConnectorFuture::new(async move {
            let answer = exchange(service, request);
            match read_timeout {
                Some(limit) => tokio::time::timeout(limit, answer)
                    .await
                    .unwrap_or_else(|elapsed| Err(ConnectorError::timeout(elapsed.into()))),
                None => answer.await,
            }
        })
    }
}

async fn exchange(
    mut service: SimService,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let response = service.call(request).await.map_err(connector_error)?;
    Response::try_from(response.map(SdkBody::from_body_1_x))
        .map_err(|error| ConnectorError::other(error.into(), None))
}

fn connector_error(error: SimError) -> ConnectorError {
    match error {
        SimError::ConnectionReset => {
            ConnectorError::io(io::Error::new(io::ErrorKind::ConnectionReset, error).into())
        }
        SimError::RequestBody(_) => ConnectorError::user(error.into()),
    }
}
