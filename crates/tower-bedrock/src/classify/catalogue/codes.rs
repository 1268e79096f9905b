use super::rules::{
    ACCESS, ACCOUNT_LIMIT, CREDENTIALS, Family, INTERNAL, INVALID, MODEL_ERROR, MODEL_STREAM_ERROR,
    MODEL_TIMEOUT, NO_ENTITLEMENT, NOT_FOUND, NOT_READY, OVERLOADED, SHORT_OF_CAPACITY, THROTTLING,
    TIMEOUT, UNAVAILABLE, VALIDATION,
};

/// The codes of each family, without `Exception`: the service model's (BEDROCK.md §1.2), those
/// common to all AWS services (DOC-ERR), the SDK's list of throttles (§7.2), and those of Anthropic's
/// own format, which come within streams.
static CODES: &[(&Family, &[&str])] = &[
    // Rows 1 to 5, 7 and 8.
    (
        &THROTTLING,
        &[
            "Throttling",
            "Throttled",
            "RequestThrottled",
            "TooManyRequests",
            "ProvisionedThroughputExceeded",
            "TransactionInProgress",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "LimitExceeded",
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2Throttled",
            "rate_limit_error",
        ],
    ),
    (&OVERLOADED, &["overloaded_error"]),
    // Row 6.
    (&NOT_READY, &["ModelNotReady"]),
    // Rows 9 and 10.
    (&UNAVAILABLE, &["ServiceUnavailable"]),
    // Row 11.
    (
        &INTERNAL,
        &[
            "InternalServer",
            "InternalServerError",
            "InternalFailure",
            "InternalError",
            "InternalService",
            "InternalServiceError",
            "api_error",
        ],
    ),
    // Row 12.
    (&MODEL_TIMEOUT, &["ModelTimeout", "timeout_error"]),
    (&TIMEOUT, &["RequestTimeout"]),
    // Rows 13 and 14.
    (&MODEL_ERROR, &["ModelError"]),
    (&MODEL_STREAM_ERROR, &["ModelStreamError"]),
    // Row 15.
    (&ACCOUNT_LIMIT, &["ServiceQuotaExceeded"]),
    // Row 16.
    (&SHORT_OF_CAPACITY, &["InsufficientThroughput"]),
    // Rows 13 and 17 to 21.
    (
        &VALIDATION,
        &[
            "Validation",
            "ValidationError",
            "BadRequest",
            "InvalidRequest",
            "invalid_request_error",
            "request_too_large",
        ],
    ),
    (
        &INVALID,
        &[
            "Conflict",
            "Serialization",
            "InvalidAction",
            "InvalidParameterValue",
            "InvalidParameterCombination",
            "InvalidQueryParameter",
            "MalformedHttpRequest",
            "MalformedQueryString",
            "MissingParameter",
            "MissingAction",
            "RequestEntityTooLarge",
            "UnsupportedMediaType",
        ],
    ),
    // Row 22.
    (
        &ACCESS,
        &[
            "AccessDenied",
            "NotAuthorized",
            "OptInRequired",
            "Forbidden",
            "permission_error",
        ],
    ),
    // Row 23.
    (
        &CREDENTIALS,
        &[
            "ExpiredToken",
            "UnrecognizedClient",
            "InvalidSignature",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "InvalidToken",
            "MissingAuthenticationToken",
            "RequestExpired",
            "RequestTimeTooSkewed",
            "RequestInTheFuture",
            "TokenRefreshRequired",
            "AuthFailure",
            "Unauthorized",
            "authentication_error",
        ],
    ),
    // Row 24.
    (&NO_ENTITLEMENT, &["FTUFormNotFilled"]),
    (
        &NOT_FOUND,
        &[
            "ResourceNotFound",
            "NotFound",
            "UnknownOperation",
            "not_found_error",
        ],
    ),
];

/// The code without namespace (`aws.bedrock#`) and suffix (`:http://…`).
pub(in super::super) fn bare(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    code.rsplit_once('#').map_or(code, |(_, code)| code).trim()
}

/// The family of a code in any of its spellings: with or without namespace and suffix, in Pascal
/// case as an answer has it or in camel case as a stream has it, with or without `Exception`.
pub(super) fn family(code: &str) -> Option<&'static Family> {
    let code = stem(bare(code));
    CODES
        .iter()
        .find(|(_, codes)| codes.iter().any(|known| known.eq_ignore_ascii_case(code)))
        .map(|(family, _)| *family)
}

fn stem(code: &str) -> &str {
    const EXCEPTION: &str = "exception";
    match code.len().checked_sub(EXCEPTION.len()) {
        Some(at) if at > 0 && code.is_char_boundary(at) => {
            let (stem, suffix) = code.split_at(at);
            if suffix.eq_ignore_ascii_case(EXCEPTION) {
                stem
            } else {
                code
            }
        }
        _ => code,
    }
}

/// The family of an error of which nothing but the status is known.
///
/// Bedrock names its errors, so one without a code it knows comes from something in between.
pub(super) const fn family_of_status(status: u16) -> Option<&'static Family> {
    Some(match status {
        401 => &CREDENTIALS,
        403 => &ACCESS,
        404 => &NOT_FOUND,
        // Not `MODEL_TIMEOUT`: whether the model was asked at all is not known.
        408 => &TIMEOUT,
        400 | 413 | 422 => &VALIDATION,
        424 => &MODEL_ERROR,
        // The SDK does not take a bare 429 for a throttle (§7.2); what else would it be?
        429 => &THROTTLING,
        402..=499 => &INVALID,
        502..=504 => &UNAVAILABLE,
        529 => &OVERLOADED,
        500..=599 => &INTERNAL,
        _ => return None,
    })
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    CODES.iter().flat_map(|(_, codes)| codes.iter().copied())
}
