//! Signs a request again, as the SDK did: with its signer, its identities and its clock.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

use super::{answer::header_bytes, call::on_top, parts::Parts};
use crate::route::Region;

/// What the SDK signs a call's requests by, as it stood when it signed the first.
pub(super) struct Signing {
    config: Option<SigV4OperationSigningConfig>,
    payload: Option<PayloadSigningOverride>,
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
    pub(super) fn of(&self, cfg: &mut ConfigBag) -> Arc<Signing> {
        // It is put on top by those who have one. An override cannot be compared, and is rare.
        if let Some(payload) = on_top::<PayloadSigningOverride>(cfg).cloned() {
            return Arc::new(Signing::of(cfg, Some(payload)));
        }
        let last = self.last().clone();
        if let Some(signing) = last.filter(|signing| signing.is_of(cfg)) {
            return signing;
        }
        let signing = Arc::new(Signing::of(cfg, None));
        *self.last() = Some(Arc::clone(&signing));
        signing
    }

    fn last(&self) -> MutexGuard<'_, Option<Arc<Signing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signing {
    fn of(cfg: &mut ConfigBag, payload: Option<PayloadSigningOverride>) -> Self {
        Self {
            config: cfg.load::<SigV4OperationSigningConfig>().cloned(),
            payload,
            endpoint: on_top::<Endpoint>(cfg).cloned(),
            endpoint_params: endpoint_params(cfg).cloned(),
            corrects_clock: corrects_clock(cfg),
        }
    }

    /// Whether the call of `cfg` is signed by the same.
    fn is_of(&self, cfg: &mut ConfigBag) -> bool {
        self.config.as_ref() == cfg.load::<SigV4OperationSigningConfig>()
            && self.endpoint.as_ref() == on_top::<Endpoint>(cfg)
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

        let bag = self.bag(credential_scope(request), region);
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
    fn bag(&self, scope: Option<CredentialScope<'_>>, region: Option<&Region>) -> ConfigBag {
        let mut layer = Layer::new("tower-bedrock");
        if let Some(config) = &self.config {
            layer.store_put(config.clone());
        }
        let region = region.map(Region::as_str);
        if let Some(region) = region.or(scope.map(|scope| scope.region)) {
            let region = aws_types::region::Region::new(region.to_owned());
            layer.store_put(SigningRegion::from(region));
        }
        if let Some(scope) = scope {
            layer.store_put(SigningName::from(scope.service.to_owned()));
        }
        if let Some(payload) = &self.payload {
            layer.store_put(payload.clone());
        }
        ConfigBag::of_layers([layer])
    }
}

/// What the SDK resolves the call's endpoint by.
pub(super) fn endpoint_params(cfg: &mut ConfigBag) -> Option<&Params> {
    on_top::<EndpointResolverParams>(cfg)?.get()
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
    match header_bytes(request.headers(), "authorization") {
        Some(value) if value.starts_with(b"AWS4-HMAC-SHA256 ") => Scheme::SigV4,
        Some(value) if value.starts_with(b"AWS4-ECDSA-P256-SHA256 ") => Scheme::Foreign,
        Some(value) if value.starts_with(b"Bearer ") => Scheme::Bearer,
        _ => Scheme::Unknown,
    }
}

/// What a signature is good for.
#[derive(Clone, Copy)]
struct CredentialScope<'a> {
    region: &'a str,
    service: &'a str,
}

/// The scope that `request` was signed for, out of its header
/// `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/us-east-1/bedrock/aws4_request, SignedHeaders=…`:
/// whatever the SDK went by, this is what came of it.
fn credential_scope(request: &HttpRequest) -> Option<CredentialScope<'_>> {
    let authorization = request.headers().get("authorization")?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let (credential, _) = credential.split_once(',')?;
    let mut parts = credential.rsplit('/').skip(1);
    let (service, region) = (parts.next()?, parts.next()?);
    Some(CredentialScope { region, service })
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
