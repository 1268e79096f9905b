//! The wire protocol: what bytes a request is made of, and what bytes answer it.
//!
//! Nothing here knows a clock, a socket or the quotas.

use http::HeaderValue;

pub(crate) mod answer;
pub(crate) mod auth;
pub(crate) mod cache;
pub(crate) mod content;
pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod guardrail;
pub(crate) mod replay;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod script;
#[cfg(test)]
mod tests;
pub(crate) mod uri;

/// `content-type` of everything but streams.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `content-type` of streams.
pub(crate) const EVENT_STREAM: HeaderValue =
    HeaderValue::from_static("application/vnd.amazon.eventstream");

/// The largest body that the service takes, in bytes (BEDROCK.md §1.3).
pub(crate) const MAX_BODY: usize = 25_000_000;

/// Header names (BEDROCK.md §5.1).
pub(crate) mod header {
    use http::HeaderName;

    pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
    pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
    pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-amz-retry-after");
    pub(crate) const CONTENT_TYPE: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-content-type");
    pub(crate) const SERVICE_TIER: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-service-tier");
    pub(crate) const LATENCY_MODE: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-performanceconfig-latency");
    pub(crate) const INPUT_TOKENS: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-input-token-count");
    pub(crate) const OUTPUT_TOKENS: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-output-token-count");
    pub(crate) const CACHE_READ_TOKENS: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-cache-read-input-token-count");
    pub(crate) const CACHE_WRITE_TOKENS: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-cache-write-input-token-count");
    pub(crate) const INVOCATION_LATENCY: HeaderName =
        HeaderName::from_static("x-amzn-bedrock-invocation-latency");
}
