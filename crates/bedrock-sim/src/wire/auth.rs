//! The region a request is meant for, read from what signed it (BEDROCK.md §5.5).
//!
//! Signatures are not verified: the simulator holds no secrets.

use http::{HeaderMap, Uri, header};

use super::error::WireError;
use crate::engine::ErrorText;

/// The region that the request names, if it names one.
///
/// `service` is what the request has to be signed for. The credential scope of a SigV4 header tells it; behind an API key the host may.
///
/// # Errors
///
/// What the service says to a request without credentials, or with ones it cannot read.
pub(crate) fn region<'a>(
    headers: &'a HeaderMap,
    uri: &'a Uri,
    service: &'static str,
) -> Result<Option<&'a str>, WireError> {
    let value = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(unauthenticated)?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        if rest.trim().is_empty() {
            return Err(unauthenticated());
        }
        return Ok(region_of_host(headers, uri));
    }
    match scheme {
        "AWS4-HMAC-SHA256" => region_of_scope(rest, service).map(Some),
        // SigV4a signs for a set of regions, so that its scope names none.
        "AWS4-ECDSA-P256-SHA256" => Ok(region_of_host(headers, uri)),
        _ => Err(unauthenticated()),
    }
}

fn unauthenticated() -> WireError {
    WireError::known(ErrorText::MissingAuthenticationToken)
}

/// `Credential=AKID/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=…, Signature=…`
fn region_of_scope<'a>(parameters: &'a str, service: &'static str) -> Result<&'a str, WireError> {
    let credential = parameters
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("Credential="))
        .ok_or_else(WireError::incomplete_signature)?;
    // From the right: nothing forbids a slash in an access key id.
    let mut scope = credential.rsplitn(5, '/');
    match (
        scope.next(),
        scope.next(),
        scope.next(),
        scope.next(),
        scope.next(),
    ) {
        (Some("aws4_request"), Some(signed_for), Some(region), Some(_date), Some(_key))
            if signed_for == service && !region.is_empty() =>
        {
            Ok(region)
        }
        (Some("aws4_request"), Some(_), Some(_), Some(_), Some(_)) => {
            Err(WireError::wrong_signing_service(service))
        }
        _ => Err(WireError::incomplete_signature()),
    }
}

/// `bedrock-runtime.us-east-1.amazonaws.com` and its FIPS and dual-stack forms.
fn region_of_host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let host = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok()?,
        None => uri.host()?,
    };
    let rest = host
        .strip_prefix("bedrock-runtime.")
        .or_else(|| host.strip_prefix("bedrock-runtime-fips."))
        .or_else(|| host.strip_prefix("bedrock."))
        .or_else(|| host.strip_prefix("servicequotas."))?;
    let (region, _domain) = rest.split_once('.')?;
    (!region.is_empty()).then_some(region)
}
