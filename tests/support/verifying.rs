//! A Bedrock in process behind a door that checks who comes, as AWS's does and the simulator, which
//! holds no secrets, does not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, HttpClient, Region, RuntimeComponents, SharedHttpClient,
};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bedrock_sim::{SimHttpClient, SimService};
use tokio::time::Instant;

use crate::{
    REGION,
    sigv4::{Rejection, Signature, SignedRequest, Verifier},
};

/// The access key that the door knows.
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// Its secret.
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Its session token.
pub const TOKEN: &str = "FwoGZXIvYXdzEXAMPLE//////token==";
/// The API key that the door knows.
pub const API_KEY: &str = "bedrock-api-key-EXAMPLE";

/// How far a signature's date may be from the service's clock.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// An HTTP client for the SDK that reaches a simulator, and lets in only what is signed for it.
///
/// Records each request. Answers carry a `Date` of the service's clock, which is tokio's.
#[derive(Clone, Debug)]
pub struct VerifyingClient {
    inner: SharedHttpClient,
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    /// Who is let in, until when.
    keys: Vec<(Verifier, SystemTime)>,
    clock: VirtualTime,
    arrivals: Mutex<Vec<Arrival>>,
}

/// A request that came to the door.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The host that it was sent to.
    pub host: String,
    /// Its path.
    pub path: String,
    /// What its signature was made for; `None` for an API key.
    pub signature: Option<Signature>,
    /// What the door had against it.
    pub objection: Option<Objection>,
    /// How old its signature was, by the service's clock: seconds, negative when it is dated ahead.
    pub age_secs: i64,
    /// What the SDK says of the attempt.
    pub attempt: Option<String>,
    /// The SDK's id of the call.
    pub invocation: Option<String>,
    /// All of its headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What it was answered; `None` if it was not.
    pub status: Option<u16>,
}

/// What a door may have against a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The signature is not valid.
    Signature(Rejection),
    /// It is for another region than the host's.
    Region,
    /// It is dated too far from the service's clock.
    Clock,
    /// Nobody has this API key.
    ApiKey,
    /// The body is not as long as the header says.
    Length,
}

/// Wall time that goes with tokio's clock, and starts where it is told to.
#[derive(Clone, Debug)]
pub struct VirtualTime {
    epoch: SystemTime,
    start: Instant,
}

impl VirtualTime {
    /// It is 2026-01-02T03:04:05Z now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045),
            start: Instant::now(),
        }
    }

    /// The same clock, behind by this much.
    #[must_use]
    pub fn behind(mut self, by: Duration) -> Self {
        self.epoch -= by;
        self
    }

    /// The same clock, ahead by this much.
    #[must_use]
    pub fn ahead(mut self, by: Duration) -> Self {
        self.epoch += by;
        self
    }
}

impl Default for VirtualTime {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        self.epoch + self.start.elapsed()
    }
}

impl VerifyingClient {
    /// Lets in to `sim` what [`ACCESS_KEY`] and [`TOKEN`] sign, and [`API_KEY`]; by `clock`.
    #[must_use]
    pub fn new(sim: &SimService, clock: VirtualTime) -> Self {
        let key = Verifier::new(ACCESS_KEY, SECRET, "bedrock").with_token(TOKEN);
        let for_ever = clock.now() + Duration::from_secs(1 << 30);
        Self::with_keys(sim, clock, vec![(key, for_ever)])
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
            door: Arc::new(Door {
                keys,
                clock,
                arrivals: Mutex::default(),
            }),
        }
    }

    /// What came so far.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.door.arrivals().clone()
    }

    /// What came so far, all of which must have been let in.
    ///
    /// # Panics
    ///
    /// If the door had anything against a request.
    #[must_use]
    pub fn admitted(&self) -> Vec<Arrival> {
        let arrivals = self.arrivals();
        for arrival in &arrivals {
            assert_eq!(arrival.objection, None, "{arrival:#?}");
        }
        arrivals
    }
}

/// A configuration of the SDK whose requests go to AWS's own endpoints, as far as `client` lets them:
/// [`ACCESS_KEY`] in [`REGION`], by `clock`.
#[must_use]
pub fn signing(client: &VerifyingClient, clock: VirtualTime) -> Builder {
    let key = Credentials::from_keys(ACCESS_KEY, SECRET, Some(TOKEN.to_owned()));
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(key)
        .time_source(clock)
        .http_client(client.clone())
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
        })
    }
}

#[derive(Debug)]
struct VerifyingConnector {
    inner: SharedHttpConnector,
    door: Arc<Door>,
}

impl HttpConnector for VerifyingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let door = Arc::clone(&self.door);
        let (number, refusal) = door.receive(&request);
        if let Some(refusal) = refusal {
            return HttpConnectorFuture::ready(Ok(refusal));
        }
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let mut response: HttpResponse = answer.await?;
            door.date(&mut response);
            if let Some(arrival) = door.arrivals().get_mut(number) {
                arrival.status = Some(response.status().as_u16());
            }
            Ok::<_, ConnectorError>(response)
        })
    }
}

impl Door {
    /// Looks at a request: its number, and what it is refused with.
    fn receive(&self, request: &HttpRequest) -> (usize, Option<HttpResponse>) {
        let body = request.body().bytes().unwrap_or_default().to_vec();
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
            body: &body,
        };
        let now = self.clock.now();
        let first = |name| request.headers_named(name).next().map(str::to_owned);
        let length = first("content-length").and_then(|length| length.parse().ok());
        let (signature, objection) = match self.check(&request, host, now) {
            Ok(signature) if length.is_some_and(|length: usize| length != body.len()) => {
                (signature, Some(Objection::Length))
            }
            Ok(signature) => (signature, None),
            Err((signature, objection)) => (signature, Some(objection)),
        };
        let age_secs = signature
            .as_ref()
            .map_or(0, |signature| seconds_between(signature.signed_at, now));
        let refusal = objection.clone().map(|objection| self.refusal(&objection));
        let arrival = Arrival {
            host: host.to_owned(),
            path: target.to_owned(),
            signature,
            objection,
            age_secs,
            attempt: first("amz-sdk-request"),
            invocation: first("amz-sdk-invocation-id"),
            status: refusal.as_ref().map(|refusal| refusal.status().as_u16()),
            body: body.clone(),
            headers: headers.clone(),
        };
        let mut arrivals = self.arrivals();
        arrivals.push(arrival);
        (arrivals.len() - 1, refusal)
    }

    #[allow(clippy::type_complexity)]
    fn check(
        &self,
        request: &SignedRequest<'_>,
        host: &str,
        now: SystemTime,
    ) -> Result<Option<Signature>, (Option<Signature>, Objection)> {
        let authorization = request.headers_named("authorization").next();
        if let Some(key) = authorization.and_then(|value| value.strip_prefix("Bearer ")) {
            let is_known = key == API_KEY;
            return is_known.then_some(None).ok_or((None, Objection::ApiKey));
        }
        let good = self.keys.iter().filter(|(_, until)| now < *until);
        let mut why = Rejection::AccessKey;
        let signature = good
            .map(|(key, _)| key.verify(request))
            .find_map(|verified| verified.map_err(|rejection| why = rejection).ok());
        let Some(signature) = signature else {
            return Err((None, Objection::Signature(why)));
        };
        let objection = if region_of(host).is_some_and(|region| region != signature.region) {
            Objection::Region
        } else if apart(signature.signed_at, now) > MAX_AGE {
            Objection::Clock
        } else {
            return Ok(Some(signature));
        };
        Err((Some(signature), objection))
    }

    fn refusal(&self, objection: &Objection) -> HttpResponse {
        let (code, message) = match objection {
            Objection::Clock => (
                "InvalidSignatureException",
                "Signature expired: the date of the request is not within 5 min. of this one",
            ),
            Objection::Region => (
                "InvalidSignatureException",
                "Credential should be scoped to a valid region.",
            ),
            Objection::ApiKey => ("AccessDeniedException", "Authentication failed"),
            Objection::Signature(_) | Objection::Length => (
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            ),
        };
        let body = SdkBody::from(format!(r#"{{"message":"{message}"}}"#));
        let status = StatusCode::try_from(403).expect("a status");
        let mut response = HttpResponse::new(status, body);
        let kind = format!("{code}:http://internal.amazon.com/coral/com.amazon.coral.service/");
        let headers = response.headers_mut();
        headers.insert("content-type", "application/json");
        headers.insert("x-amzn-errortype", kind);
        headers.insert("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
        self.date(&mut response);
        response
    }

    fn date(&self, response: &mut HttpResponse) {
        let date = httpdate::fmt_http_date(self.clock.now());
        response.headers_mut().insert("date", date);
    }

    fn arrivals(&self) -> std::sync::MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A URL's host, with its port, and its path and query.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(path);
    (host, if path.is_empty() { "/" } else { path })
}

/// The region that one of AWS's hosts is in.
fn region_of(host: &str) -> Option<&str> {
    let rest = host
        .strip_prefix("bedrock-runtime.")
        .or_else(|| host.strip_prefix("bedrock-runtime-fips."))?;
    Some(rest.split_once('.')?.0)
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|error| error.duration())
}

fn seconds_between(from: SystemTime, to: SystemTime) -> i64 {
    let seconds = |gap: Duration| i64::try_from(gap.as_secs()).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(gap) => seconds(gap),
        Err(ahead) => -seconds(ahead.duration()),
    }
}
