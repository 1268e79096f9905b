//! What an answer tells the layers, read off HTTP.

use std::{borrow::Cow, time::SystemTime};

use aws_sdk_bedrockruntime::{error::SdkError, operation::converse::ConverseError};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{orchestrator::HttpResponse, result::ConnectorError},
    http::Headers,
};
use aws_smithy_types::body::SdkBody;
use aws_types::request_id::RequestId;
use serde::Deserialize;

use super::usage;
use crate::{
    call::Operation,
    classify::retry_after,
    error::{ErrorDetails, RawError},
    route::ServiceTier,
    sdk::intercept::counts_in_headers,
    stream::TokenCounts,
};

#[derive(Deserialize)]
struct Used {
    usage: Option<Counts>,
}

#[derive(Deserialize)]
struct Tiered<'a> {
    #[serde(borrow, rename = "serviceTier")]
    service_tier: Option<Tier<'a>>,
}

#[derive(Deserialize)]
struct Tier<'a> {
    #[serde(borrow, rename = "type")]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

/// What an error answer's body may hold.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "__type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "Message")]
    capital_message: Option<Cow<'a, str>>,
    #[serde(rename = "originalStatusCode")]
    original_status: Option<u16>,
}

/// What a whole answer used.
pub(super) fn counts(operation: Operation, http: &HttpResponse) -> Option<TokenCounts> {
    match operation {
        Operation::Converse => {
            let body = http.body().bytes()?;
            usage::at_the_end(body).or_else(|| {
                let used: Used = serde_json::from_slice(body).ok()?;
                used.usage.map(TokenCounts::from)
            })
        }
        Operation::InvokeModel => counts_in_headers(http.headers()),
        _ => None,
    }
}

/// The tier that a whole answer names.
pub(super) fn tier(operation: Operation, http: &HttpResponse) -> Option<ServiceTier> {
    match operation {
        Operation::Converse => {
            let body = http.body().bytes()?;
            let tiered: Tiered<'_> = serde_json::from_slice(body).ok()?;
            let tier = tiered.service_tier?.name?;
            Some(tier_named(&tier))
        }
        Operation::InvokeModel => tier_in_headers(http),
        _ => None,
    }
}

/// Whether a whole answer cannot be what the operation answers: a page of a proxy's, say. The SDK
/// looks closer.
pub(super) fn is_foreign(operation: Operation, http: &HttpResponse) -> bool {
    if operation == Operation::InvokeModel {
        return false;
    }
    let body = http.body().bytes().unwrap_or_default().trim_ascii();
    !(body.starts_with(b"{") && body.ends_with(b"}"))
}

/// An answer that is an error, as the layers see it. The answer is kept, to be handed on.
pub(super) fn refusal(http: HttpResponse, now: SystemTime) -> RawError {
    let mut details = told_by(&http, now);
    details.answer = Some(Box::new(http));
    RawError::Answered(Box::new(details))
}

/// What an answer that is an error tells.
pub(super) fn told_by(http: &HttpResponse, now: SystemTime) -> ErrorDetails {
    let mut details = ErrorDetails {
        status: Some(http.status().as_u16()),
        request_id: http.request_id().map(str::to_owned),
        retry_after: retry_after(|name| http.headers().get(name), now),
        ..ErrorDetails::default()
    };
    read_refusal(&mut details, http);
    details.cut();
    details
}

/// What an answer that is an error says of it in its header and in its body.
pub(in crate::sdk) fn read_refusal(details: &mut ErrorDetails, http: &HttpResponse) {
    let body = http.body().bytes().unwrap_or_default();
    let refusal: Refusal<'_> = serde_json::from_slice(body).unwrap_or_default();
    let in_header = http.headers().get("x-amzn-errortype").map(Cow::Borrowed);
    let code = in_header.or(refusal.code).or(refusal.kind);
    let message = refusal.message.or(refusal.capital_message);
    details.code = code.map(Cow::into_owned);
    details.message = message.map(Cow::into_owned);
    details.original_status = refusal.original_status;
}

/// The first header `name`, in lower case. A map would parse the name and hash it first, which takes
/// longer than to go through as few as there are.
pub(super) fn header_bytes<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let (_, value) = headers.iter_bytes().find(|(known, _)| *known == name)?;
    Some(value)
}

/// The same, if it is text.
pub(super) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    str::from_utf8(header_bytes(headers, name)?).ok()
}

/// A success whose body is not what the operation answers.
pub(super) fn unreadable(http: HttpResponse) -> RawError {
    RawError::Unreadable(Box::new(ErrorDetails {
        message: Some("the answer is not what the operation answers".to_owned()),
        status: Some(http.status().as_u16()),
        request_id: http.request_id().map(str::to_owned),
        answer: Some(Box::new(http)),
        ..ErrorDetails::default()
    }))
}

/// A connection that failed.
pub(super) fn no_answer(error: ConnectorError) -> RawError {
    SdkError::<ConverseError, HttpResponse>::dispatch_failure(error).into()
}

/// Hung on the head of an answer whose rest never came.
#[derive(Clone, Debug)]
pub(super) struct BrokeOff;

/// A connection that broke after the head of an answer; `http` has that head.
pub(super) fn half_an_answer(error: BoxError, mut http: HttpResponse) -> RawError {
    let head = HttpResponse::new(http.status(), SdkBody::taken());
    let mut raw: RawError =
        SdkError::<ConverseError, HttpResponse>::response_error(error, head).into();
    if let Some(details) = raw.details_mut() {
        details.request_id = http.request_id().map(str::to_owned);
        http.add_extension(BrokeOff);
        details.answer = Some(Box::new(http));
    }
    raw
}

/// The tier that InvokeModel answers in a header.
pub(super) fn tier_in_headers(http: &HttpResponse) -> Option<ServiceTier> {
    let tier = http.headers().get("x-amzn-bedrock-service-tier")?;
    Some(tier_named(tier))
}

/// A tier that this version does not know counts as the default one.
fn tier_named(name: &str) -> ServiceTier {
    [
        ServiceTier::Priority,
        ServiceTier::Flex,
        ServiceTier::Reserved,
    ]
    .into_iter()
    .find(|tier| tier.as_str() == name)
    .unwrap_or_default()
}

impl From<Counts> for TokenCounts {
    fn from(counts: Counts) -> Self {
        Self {
            input: counts.input_tokens,
            output: counts.output_tokens,
            cache_read: counts.cache_read_input_tokens,
            cache_write: counts.cache_write_input_tokens,
            total: counts.total_tokens,
        }
    }
}
