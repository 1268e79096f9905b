//! The door in front of a simulator in process.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_bedrockruntime::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{SimHttpClient, SimService};

use super::{Arrival, VirtualTime, door::Door, known_key};
use crate::sigv4::{SignedRequest, Verifier};

/// An HTTP client for the SDK that reaches a simulator, and lets in only what is signed for it.
///
/// Records each request. Answers carry a `Date` of the service's clock, which is tokio's.
#[derive(Clone, Debug)]
pub struct VerifyingClient {
    inner: SharedHttpClient,
    door: Arc<Door>,
    proxies: &'static [&'static str],
}

impl VerifyingClient {
    /// Lets in to `sim` what [`ACCESS_KEY`](super::ACCESS_KEY) signs, and
    /// [`API_KEY`](super::API_KEY); by `clock`.
    #[must_use]
    pub fn new(sim: &SimService, clock: VirtualTime) -> Self {
        let for_ever = clock.now() + Duration::from_secs(1 << 30);
        Self::with_keys(sim, clock, vec![(known_key(), for_ever)])
    }

    /// Lets in to `sim` what one of `keys` signs, each of which is good until then.
    #[must_use]
    pub fn with_keys(
        sim: &SimService,
        clock: VirtualTime,
        keys: Vec<(Verifier, SystemTime)>,
    ) -> Self {
        Self {
            inner: SharedHttpClient::new(SimHttpClient::new(sim.clone())),
            door: Arc::new(Door::new(keys, SharedTimeSource::new(clock))),
            proxies: &[],
        }
    }

    /// The simulator stands behind proxies, which have it below these paths.
    #[must_use]
    pub const fn behind(mut self, proxies: &'static [&'static str]) -> Self {
        self.proxies = proxies;
        self
    }

    /// What came so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.door.arrivals()
    }

    /// What came so far, all of which must have been let in.
    ///
    /// # Panics
    ///
    /// If the door had anything against a request.
    #[must_use]
    pub fn admitted(&self) -> Vec<Arrival> {
        self.door.admitted()
    }
}

impl HttpClient for VerifyingClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(VerifyingConnector {
            inner: self.inner.http_connector(settings, components),
            door: Arc::clone(&self.door),
            proxies: self.proxies,
        })
    }
}

#[derive(Debug)]
struct VerifyingConnector {
    inner: SharedHttpConnector,
    door: Arc<Door>,
    proxies: &'static [&'static str],
}

impl HttpConnector for VerifyingConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let door = Arc::clone(&self.door);
        if let Some(refusal) = receive(&door, &request) {
            return HttpConnectorFuture::ready(Ok(refusal));
        }
        let below = |proxy: &&str| request.uri().contains(proxy);
        if let Some(proxy) = self.proxies.iter().find(|proxy| below(proxy)) {
            let uri = request.uri().replacen(proxy, "", 1);
            request.set_uri(uri).expect("a shorter path");
        }
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let mut response: HttpResponse = answer.await?;
            response.headers_mut().insert("date", door.date());
            Ok::<_, ConnectorError>(response)
        })
    }
}

/// Brings a request to the door as it would stand on the wire.
fn receive(door: &Door, request: &HttpRequest) -> Option<HttpResponse> {
    let (host, target) = parts(request.uri());
    let mut headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if request.headers().get("host").is_none() {
        headers.push(("host".to_owned(), host.to_owned()));
    }
    let request = SignedRequest {
        method: request.method(),
        target,
        headers: &headers,
        body: request.body().bytes().unwrap_or_default(),
    };
    let refusal = door.receive(host, &request)?.map(SdkBody::from);
    Some(HttpResponse::try_from(refusal).expect("all headers are text"))
}

/// A URL's host, with its port, and its path and query.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(path);
    (host, if path.is_empty() { "/" } else { path })
}
