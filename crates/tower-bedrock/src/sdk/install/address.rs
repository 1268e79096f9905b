//! Sends a request where a route says, after the SDK has written it for another.

use aws_sdk_bedrockruntime::config::endpoint::Params;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        endpoint::{EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver},
        orchestrator::HttpRequest,
    },
};
use aws_smithy_types::{body::SdkBody, endpoint::Endpoint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::body::with_member;
use crate::{
    call::{CallContext, Operation},
    model_id::ModelId,
    route::{Region, ServiceTier},
};

/// What may stand in a path label as it is: all but the unreserved characters is escaped.
const LABEL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The endpoint of `region`, as the SDK's own resolver finds it. An endpoint URL of the user's goes
/// before the region, as it does in the SDK.
pub(super) async fn endpoint_in(
    region: &Region,
    params: Option<&Params>,
    endpoints: &SharedEndpointResolver,
) -> Result<Endpoint, BoxError> {
    let params = Params::builder()
        .region(region.as_str())
        .set_use_dual_stack(params.and_then(Params::use_dual_stack))
        .set_use_fips(params.and_then(Params::use_fips))
        .set_endpoint(params.and_then(Params::endpoint).map(str::to_owned))
        .build()?;
    let params = EndpointResolverParams::new(params);
    endpoints.resolve_endpoint(&params).await
}

/// Moves `request` from the endpoint `from` to the endpoint `to`.
pub(super) fn move_to(
    request: &mut HttpRequest,
    from: Option<&Endpoint>,
    to: &Endpoint,
) -> Result<(), BoxError> {
    let (_, path) = split(request.uri());
    let base = from.map_or("", |from| split(from.url()).1);
    let base = base.trim_end_matches('/');
    let rest = path
        .strip_prefix(base)
        .filter(|rest| rest.starts_with('/'))
        .ok_or("the request is not below the endpoint that it was written for")?
        .to_owned();
    request.set_uri(rest)?;
    request.uri_mut().set_endpoint(to.url())?;
    for (name, values) in to.headers() {
        request.headers_mut().remove(name);
        for value in values {
            request
                .headers_mut()
                .append(name.to_owned(), value.to_owned());
        }
    }
    Ok(())
}

/// Changes what differs between the call that `request` was written for and `call`, but for the region.
pub(super) fn rewrite(
    request: &mut HttpRequest,
    written: &CallContext,
    call: &CallContext,
) -> Result<(), BoxError> {
    if call.route.model != written.route.model {
        let model = call.route.model.as_ref();
        set_model(request, model.ok_or("the request's route names no model")?)?;
    }
    if call.route.tier != written.route.tier {
        set_tier(request, call.operation, call.route.tier)?;
    }
    match call.tokens.max_output {
        Some(tokens) if call.tokens.max_output != written.tokens.max_output => {
            set_max_tokens(request, tokens)
        }
        _ => Ok(()),
    }
}

/// Writes `model` into the one label that names a model.
fn set_model(request: &mut HttpRequest, model: &ModelId) -> Result<(), BoxError> {
    const MODEL: &str = "/model/";
    let uri = request.uri();
    let start = uri
        .rfind(MODEL)
        .ok_or("the request's path names no model")?
        + MODEL.len();
    let label = uri[start..].find('/').map_or(uri.len(), |end| start + end);
    let uri = format!(
        "{}{}{}",
        &uri[..start],
        utf8_percent_encode(model.as_str(), LABEL),
        &uri[label..]
    );
    request.set_uri(uri)?;
    Ok(())
}

/// Asks for `tier`: in a header or in the body, as the operation has it; operations without a tier
/// stay as they are.
fn set_tier(
    request: &mut HttpRequest,
    operation: Operation,
    tier: ServiceTier,
) -> Result<(), BoxError> {
    match operation {
        Operation::InvokeModel | Operation::InvokeModelWithResponseStream => {
            let headers = request.headers_mut();
            headers.insert("x-amzn-bedrock-service-tier", tier.as_str());
            Ok(())
        }
        Operation::Converse | Operation::ConverseStream => {
            let tier = format!(r#"{{"type":"{tier}"}}"#);
            set_member(request, &["serviceTier"], &tier)
        }
        _ => Ok(()),
    }
}

/// Has a conversation generate at most `tokens`.
fn set_max_tokens(request: &mut HttpRequest, tokens: u32) -> Result<(), BoxError> {
    set_member(
        request,
        &["inferenceConfig", "maxTokens"],
        &tokens.to_string(),
    )
}

/// Whether what [`set_max_tokens`] does can be done for the call.
pub(super) const fn takes_max_tokens(call: &CallContext) -> bool {
    matches!(
        call.operation,
        Operation::Converse | Operation::ConverseStream
    )
}

fn set_member(request: &mut HttpRequest, path: &[&str], value: &str) -> Result<(), BoxError> {
    let body = request
        .body()
        .bytes()
        .ok_or("the request's body is not in memory")?;
    let body = with_member(body, path, value)?;
    if request.headers().contains_key("content-length") {
        let length = body.len().to_string();
        request.headers_mut().insert("content-length", length);
    }
    *request.body_mut() = SdkBody::from(body);
    Ok(())
}

/// A URL's scheme and authority, and the rest.
fn split(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..]
        .find('/')
        .map_or(url.len(), |path| authority + path);
    url.split_at(path)
}
