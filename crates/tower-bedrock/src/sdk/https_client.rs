//! An HTTPS client that agrees with a pool.

use std::time::Duration;

use aws_smithy_http_client::{
    pool::{Client, ConnectionPool},
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::error::BoxError;

/// Connections to a permit. A reply is finished with its last event, and gives its permit back; its
/// connection is free only when the caller has let go of the stream. With one to a permit, the next call
/// would wait for that inside of the client, where no deadline and no snapshot sees it.
const CONNECTIONS_PER_PERMIT: usize = 2;
/// A unary answer of a long inference is preceded by minutes of silence, and AWS's NAT gateways forget a
/// connection that is silent for 350 s (VPC user guide, "Troubleshoot NAT gateways").
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The SDK's own kind of HTTPS client, with connections that agree with a [pool](crate::Pools) of
/// `max_in_flight` calls for each region. One client serves all regions.
///
/// What differs from the client that the SDK makes by itself:
///
/// | | the SDK's own | this one |
/// |---|---|---|
/// | connections to a region | as many as there are calls | at most twice `max_in_flight` |
/// | TCP keepalive | none | after 60 s of silence |
/// | idle connections | closed after 90 s, any number | closed after 90 s, no more than there may be |
///
/// The pool is the bound that calls should meet: it is bounded, counted, and minds deadlines. The
/// client's is twice as high, so that it is met only by calls that go past the pool; those wait inside of
/// the client for as long as their timeouts let them.
///
/// # HTTP/1.1 and HTTP/2
///
/// Both clients offer both, and the endpoint picks. With HTTP/1.1 each call in flight has a connection of
/// its own, and a call that is dropped half way closes it. With HTTP/2 the calls to a region share
/// connections, and the bounds here are hardly ever met. A pool means the same in both cases: calls.
///
/// # Timeouts
///
/// Not the client's but the configuration's: the SDK sets 3.1 s for connecting, and none for reading.
///
/// # Runtime
///
/// Its connections live in the tokio runtime in which its first call is made. Make one for each runtime.
///
/// # Errors
///
/// What the SDK's builder may say of settings that it does not like. Of these it says nothing.
///
/// # Example
///
/// ```no_run
/// # async fn example(sdk_config: &aws_types::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// use aws_sdk_bedrockruntime::config::Builder;
/// use tower::ServiceBuilder;
/// use tower_bedrock::{Bedrock, ClassifyLayer, PoolLayer, Pools, sdk::pooled_https_client};
///
/// let calls = 80;
/// let config = Builder::from(sdk_config)
///     .http_client(pooled_https_client(calls).map_err(|error| error.to_string())?);
/// let bedrock = ServiceBuilder::new()
///     .layer(PoolLayer::new(Pools::new().with_max_in_flight(calls)))
///     .layer(ClassifyLayer::new())
///     .service(Bedrock::from_builder(config));
/// # let _ = bedrock;
/// # Ok(())
/// # }
/// ```
pub fn pooled_https_client(max_in_flight: usize) -> Result<SharedHttpClient, BoxError> {
    let connections = max_in_flight.max(1).saturating_mul(CONNECTIONS_PER_PERMIT);
    let pool = ConnectionPool::builder()
        .max_connections_per_host(connections)
        .tcp_keepalive(KEEPALIVE)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()?;
    Ok(SharedHttpClient::new(Client::new(&pool)?))
}
