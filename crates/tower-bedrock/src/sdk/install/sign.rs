//! Signs a request again, as the SDK did: with its signer, its identities and its clock.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_runtime::{
    auth::{PayloadSigningOverride, SigV4OperationSigningConfig},
    service_clock_skew::DisableClockSkewCorrection,
};
use aws_sdk_bedrockruntime::config::endpoint::Params;
use aws_smithy_async::time::{SharedTimeSource, StaticTimeSource};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId},
        endpoint::EndpointResolverParams,
        identity::ResolveCachedIdentity,
        orchestrator::HttpRequest,
    },
};
use aws_smithy_types::{
    DateTime, Document,
    config_bag::{ConfigBag, Layer},
    date_time::Format,
    endpoint::Endpoint,
};
use aws_types::{SigningName, region::SigningRegion};

use super::parts::Parts;
use crate::route::Region;

/// What the SDK signs a call's requests by, as it stood when it signed the first.
pub(super) struct Signing {
    config: Option<SigV4OperationSigningConfig>,
    payload: Option<PayloadSigningOverride>,
    region: Option<SigningRegion>,
    name: Option<SigningName>,
    /// Where the first request goes.
    pub(super) endpoint: Option<Endpoint>,
    /// What the SDK resolved that by.
    pub(super) endpoint_params: Option<Params>,
    /// Whether the SDK may date signatures by the service's clock.
    pub(super) corrects_clock: bool,
}

/// How a request is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// By a signature over some of its headers.
    SigV4,
    /// By a token that says nothing of the request.
    Bearer,
    /// By a signature that only the SDK could make again.
    Foreign,
    /// Not at all, or by something of the user's own.
    Unknown,
}

impl Scheme {
    /// What the SDK calls it, if it can be signed by again.
    pub(super) fn id(self) -> Option<AuthSchemeId> {
        match self {
            Self::SigV4 => Some(AuthSchemeId::new("sigv4")),
            Self::Bearer => Some(AuthSchemeId::new("httpBearerAuth")),
            Self::Foreign | Self::Unknown => None,
        }
    }
}

/// The last [`Signing`] of a client, which the next call's is as a rule.
#[derive(Default)]
pub(super) struct LastSigning(Mutex<Option<Arc<Signing>>>);

impl LastSigning {
    /// What the SDK signs by in the call of `cfg`.
    pub(super) fn of(&self, cfg: &ConfigBag) -> Arc<Signing> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(signing) if signing.is_of(cfg) => Arc::clone(signing),
            _ => Arc::clone(last.insert(Arc::new(Signing::of(cfg)))),
        }
    }
}

impl Signing {
    fn of(cfg: &ConfigBag) -> Self {
        Self {
            config: cfg.load::<SigV4OperationSigningConfig>().cloned(),
            payload: cfg.load::<PayloadSigningOverride>().cloned(),
            region: cfg.load::<SigningRegion>().cloned(),
            name: cfg.load::<SigningName>().cloned(),
            endpoint: cfg.load::<Endpoint>().cloned(),
            endpoint_params: endpoint_params(cfg).cloned(),
            corrects_clock: corrects_clock(cfg),
        }
    }

    /// Whether the call of `cfg` is signed by the same.
    fn is_of(&self, cfg: &ConfigBag) -> bool {
        // An override cannot be compared, and is rare.
        self.payload.is_none()
            && cfg.load::<PayloadSigningOverride>().is_none()
            && self.config.as_ref() == cfg.load::<SigV4OperationSigningConfig>()
            && self.region.as_ref() == cfg.load::<SigningRegion>()
            && self.name.as_ref() == cfg.load::<SigningName>()
            && self.endpoint.as_ref() == cfg.load::<Endpoint>()
            && self.endpoint_params.as_ref() == endpoint_params(cfg)
            && self.corrects_clock == corrects_clock(cfg)
    }

    /// Signs `request` for `endpoint`, and for `region` where that is not the home region, as of `now`
    /// at the service. What was not signed before, since it was added afterwards, is not signed now.
    pub(super) async fn sign(
        &self,
        request: &mut HttpRequest,
        endpoint: Option<&Endpoint>,
        region: Option<&Region>,
        parts: &Parts,
        now: SystemTime,
    ) -> Result<(), BoxError> {
        let unsigned = match scheme(request) {
            Scheme::SigV4 => unsigned_headers(request),
            Scheme::Bearer => Vec::new(),
            Scheme::Unknown => return Ok(()),
            Scheme::Foreign => return Err("this kind of signature cannot be made again".into()),
        };
        let auth = parts
            .auth
            .as_ref()
            .ok_or("the SDK does not know what it signed with")?;

        let bag = self.bag(region);
        let components = parts.components(auth, parts.time.clone())?;
        let identity = parts
            .identities
            .resolve_cached_identity(auth.identity.clone(), &components, &bag)
            .await?;

        let headers = request.headers_mut();
        for (name, _) in &unsigned {
            headers.remove(name.as_str());
        }
        for name in SIGNATURE {
            headers.remove(name);
        }
        let dated = parts.components(auth, SharedTimeSource::new(StaticTimeSource::new(now)))?;
        auth.scheme.signer().sign_http_request(
            request,
            &identity,
            auth_config(endpoint, &auth.id),
            &dated,
            &bag,
        )?;
        for (name, value) in unsigned {
            request.headers_mut().append(name, value);
        }
        Ok(())
    }

    /// What the signer looks up.
    fn bag(&self, region: Option<&Region>) -> ConfigBag {
        let mut layer = Layer::new("tower-bedrock");
        if let Some(config) = &self.config {
            layer.store_put(config.clone());
        }
        let region = match region {
            Some(region) => {
                let region = aws_types::region::Region::new(region.as_str().to_owned());
                Some(SigningRegion::from(region))
            }
            None => self.region.clone(),
        };
        layer.store_or_unset(region);
        layer.store_or_unset(self.name.clone());
        if let Some(payload) = &self.payload {
            layer.store_put(payload.clone());
        }
        ConfigBag::of_layers([layer])
    }
}

fn endpoint_params(cfg: &ConfigBag) -> Option<&Params> {
    cfg.load::<EndpointResolverParams>()?.get()
}

fn corrects_clock(cfg: &ConfigBag) -> bool {
    let disabled = cfg.load::<DisableClockSkewCorrection>();
    !disabled.is_some_and(DisableClockSkewCorrection::is_disabled)
}

/// What a signer adds.
const SIGNATURE: [&str; 4] = [
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// How `request` is authenticated.
pub(super) fn scheme(request: &HttpRequest) -> Scheme {
    let authorization = request.headers().get("authorization");
    match authorization.and_then(|value| value.split_once(' ')) {
        Some(("AWS4-HMAC-SHA256", _)) => Scheme::SigV4,
        Some(("AWS4-ECDSA-P256-SHA256", _)) => Scheme::Foreign,
        Some(("Bearer", _)) => Scheme::Bearer,
        _ => Scheme::Unknown,
    }
}

/// When a signature was made, by its `x-amz-date`: `20261121T061706Z`.
pub(super) fn date_of_signature(date: &str) -> Option<SystemTime> {
    let (day, time) = date.strip_suffix('Z')?.split_once('T')?;
    let extended = format!(
        "{}-{}-{}T{}:{}:{}Z",
        day.get(..4)?,
        day.get(4..6)?,
        day.get(6..8)?,
        time.get(..2)?,
        time.get(2..4)?,
        time.get(4..6)?
    );
    let date = DateTime::from_str(&extended, Format::DateTime).ok()?;
    SystemTime::try_from(date).ok()
}

/// How far apart two times are.
pub(super) fn between(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|error| error.duration())
}

/// The headers of a request that its signature does not cover.
fn unsigned_headers(request: &HttpRequest) -> Vec<(String, String)> {
    let authorization = request.headers().get("authorization").unwrap_or_default();
    let signed = authorization.split([',', ' ']).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        (name == "SignedHeaders").then_some(value)
    });
    let signed = signed.unwrap_or_default();
    let is_signed = |name: &str| signed.split(';').any(|known| known == name);
    request
        .headers()
        .iter()
        .filter(|(name, _)| !SIGNATURE.contains(name) && !is_signed(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What an endpoint says of how to sign for it; Bedrock's own say nothing.
fn auth_config<'a>(
    endpoint: Option<&'a Endpoint>,
    id: &AuthSchemeId,
) -> AuthSchemeEndpointConfig<'a> {
    let Some(endpoint) = endpoint else {
        return AuthSchemeEndpointConfig::empty();
    };
    if let Some(typed) = endpoint
        .auth_schemes()
        .iter()
        .find(|scheme| scheme.name() == id.inner())
    {
        return AuthSchemeEndpointConfig::from_typed(typed);
    }
    let schemes = match endpoint.properties().get("authSchemes") {
        Some(Document::Array(schemes)) => schemes.as_slice(),
        _ => &[],
    };
    let named = |scheme: &&Document| {
        let name = scheme.as_object().and_then(|scheme| scheme.get("name"));
        name.and_then(Document::as_string) == Some(id.inner())
    };
    AuthSchemeEndpointConfig::from(schemes.iter().find(named))
}
