use crate::cause::Cause;

/// A pattern, written as messages are read, and the cause it tells.
pub(super) type Rule = (&'static str, Cause);

/// Errors that code or status alone cannot tell apart: the first rule whose pattern the message
/// matches decides, and an unknown text changes nothing.
pub(super) struct Family {
    rules: &'static [&'static [Rule]],
    /// The cause when no rule matches.
    pub(super) otherwise: Cause,
    /// What takes over when the service only repeats what a model said.
    pub(super) wrapped: Option<&'static Self>,
}

impl Family {
    const fn new(otherwise: Cause, rules: &'static [&'static [Rule]]) -> Self {
        Self {
            rules,
            otherwise,
            wrapped: None,
        }
    }

    /// Texts do not matter.
    const fn plain(cause: Cause) -> Self {
        Self::new(cause, &[])
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &'static Rule> + use<> {
        self.rules.iter().copied().flatten()
    }
}

/// What the service says before it repeats a model's words (row 13).
pub(super) const WRAPPER: &str = "the model returned the following errors:";

// Rows 1 to 8: HTTP 429, and throttles in a stream.
pub(super) static THROTTLING: Family = Family::new(
    Cause::Throttled, // 8
    &[&[
        // Before 2 and 3, the words of which it may contain.
        ("tokens per day", Cause::TokensPerDay), // 1
        ("per day", Cause::AccountLimit), // One that we do not know, but no wait of minutes lifts it.
        ("too many tokens", Cause::TokenRate), // 2
        // With its second half, for "Too Many Requests" is the name that HTTP gives to any 429.
        ("too many requests, please wait", Cause::RequestRate), // 3
        ("you have sent too many requests", Cause::RequestRate), // 3
        ("your request rate is too high", Cause::RequestRate),  // 4
        ("model … is currently overloaded", Cause::ModelOverloaded), // 5
        ("model is not ready for inference", Cause::ModelNotReady), // 6
        ("tpm (", Cause::TokenRate),                            // 7
    ]],
);
pub(super) static OVERLOADED: Family = Family::plain(Cause::ModelOverloaded);
pub(super) static NOT_READY: Family = Family::plain(Cause::ModelNotReady);

// Rows 9, 10 and 16: HTTP 503.
pub(super) static UNAVAILABLE: Family = Family::new(
    Cause::ServiceUnavailable,                               // 10
    &[&[("too many connections", Cause::CapacityExceeded)]], // 9
);
pub(super) static SHORT_OF_CAPACITY: Family = Family::plain(Cause::CapacityExceeded);

// Row 11: HTTP 500.
pub(super) static INTERNAL: Family = Family {
    wrapped: Some(&WRAPPED),
    ..Family::plain(Cause::Internal)
};

// Row 12: HTTP 408.
pub(super) static MODEL_TIMEOUT: Family = Family::plain(Cause::ModelTimeout);
pub(super) static TIMEOUT: Family = Family::new(Cause::Timeout, &[MODEL_TIMED_OUT]);

// Rows 13 and 14: HTTP 424. The model's own status is in the error; retry and breaker look at it.
pub(super) static MODEL_ERROR: Family = Family::new(
    Cause::ModelFailed,
    &[MODEL_TIMED_OUT, SERVICE_FAULT, OVERFLOW],
);
pub(super) static MODEL_STREAM_ERROR: Family = Family::new(
    Cause::StreamFailed,
    &[MODEL_TIMED_OUT, SERVICE_FAULT, OVERFLOW],
);

// Row 15.
pub(super) static ACCOUNT_LIMIT: Family = Family::plain(Cause::AccountLimit);

// Rows 17 to 21: HTTP 400. Never a throttle, whatever the text says.
pub(super) static VALIDATION: Family = Family {
    rules: &[
        PROFILE,
        UNKNOWN_MODEL,
        TOO_MUCH_OUTPUT,
        OVERFLOW,
        ENTITLEMENT,
        CONTENT,
    ],
    otherwise: Cause::InvalidRequest, // 21, among others.
    wrapped: Some(&WRAPPED),
};
/// Row 13, as a validation or an internal error: no status tells what the model meant, but some of
/// its sentences do.
static WRAPPED: Family = Family::new(
    Cause::ModelFailed,
    &[
        TOO_MUCH_OUTPUT,
        OVERFLOW,
        RETENTION,
        ENTITLEMENT,
        CONTENT,
        MODELS_VALIDATION,
    ],
);
pub(super) static INVALID: Family = Family::plain(Cause::InvalidRequest);

// Rows 22 to 24: HTTP 403 and 404.
pub(super) static ACCESS: Family = Family::new(
    Cause::AccessDenied, // 22
    &[&[
        // 23, when the code does not say so: keys of Bedrock's own, and gateways.
        ("make sure your api key is valid", Cause::Credentials),
        ("bearer token has expired", Cause::Credentials),
        (
            "the security token included in the request is",
            Cause::Credentials,
        ),
        (
            "the request signature we calculated does not match",
            Cause::Credentials,
        ),
        ("^signature expired:", Cause::Credentials),
        ("^signature not yet current:", Cause::Credentials),
        ("=missing authentication token", Cause::Credentials),
    ]],
);
pub(super) static CREDENTIALS: Family = Family::plain(Cause::Credentials);
/// Row 24: another vendor's model would answer, so it is no matter of a wrong name.
pub(super) static NO_ENTITLEMENT: Family = Family::plain(Cause::AccessDenied);
pub(super) static NOT_FOUND: Family = Family::new(Cause::NotFound, &[ENTITLEMENT]);

const MODEL_TIMED_OUT: &[Rule] = &[(
    "model has timed out in processing the request", // 12
    Cause::ModelTimeout,
)];

const SERVICE_FAULT: &[Rule] = &[
    // 11, "sometimes 424", in both wordings.
    (
        "the system encountered an unexpected error during processing",
        Cause::Internal,
    ),
    (
        "unexpected error when processing the request",
        Cause::Internal,
    ),
];

const PROFILE: &[Rule] = &[
    (
        "with on-demand throughput isn't supported",
        Cause::ProfileRequired,
    ), // 17
    (
        "model doesn't support on-demand throughput",
        Cause::ProfileRequired,
    ), // 17, older
];

const UNKNOWN_MODEL: &[Rule] = &[
    ("the provided model identifier is invalid", Cause::NotFound), // 18
    (
        "could not resolve the foundation model from",
        Cause::NotFound,
    ), // 18, older
];

/// Row 19, in the words of the models' vendors.
const OVERFLOW: &[Rule] = &[
    (
        "input is too long for requested model",
        Cause::ContextTooLong,
    ),
    (
        "input length and max_tokens exceed context limit",
        Cause::ContextTooLong,
    ),
    // Anchored: there are negative prompts, and system prompts, with limits of their own.
    ("^prompt is too long", Cause::ContextTooLong),
    ("too many total text bytes", Cause::ContextTooLong),
    (
        "too many input tokens. max input tokens:",
        Cause::ContextTooLong,
    ),
    (
        "number of input tokens exceeds maximum length",
        Cause::ContextTooLong,
    ),
    ("maximum context length is … tokens", Cause::ContextTooLong),
    (
        "too large for model with … maximum context length",
        Cause::ContextTooLong,
    ),
    (
        "total number of tokens in the prompt cannot exceed",
        Cause::ContextTooLong,
    ),
    (
        "exceeds the context window of this model",
        Cause::ContextTooLong,
    ),
];

/// Row 20. What would be generated can be asked for in smaller pieces: no matter of the context.
const TOO_MUCH_OUTPUT: &[Rule] = &[
    (
        "the maximum tokens you requested exceed",
        Cause::InvalidRequest,
    ),
    (
        "which is the maximum allowed number of output tokens",
        Cause::InvalidRequest,
    ),
];

const RETENTION: &[Rule] = &[(
    "data retention mode … is not available for this model", // 21
    Cause::InvalidRequest,
)];

/// Rows 22 and 24 under the codes of others: the account may not, or not yet, use this model.
const ENTITLEMENT: &[Rule] = &[
    (
        "your account is not authorized to invoke this api operation",
        Cause::AccessDenied,
    ),
    ("=operation not allowed", Cause::AccessDenied),
    (
        "access to anthropic models is not allowed from unsupported countries",
        Cause::AccessDenied,
    ),
    (
        "use case details have not been submitted",
        Cause::AccessDenied,
    ),
    (
        "the required use-case form for this model",
        Cause::AccessDenied,
    ),
    (
        "this model is marked by provider as legacy",
        Cause::AccessDenied,
    ),
];

const CONTENT: &[Rule] = &[
    ("blocked by our content filters", Cause::ContentBlocked),
    (
        "^output blocked by content filtering policy",
        Cause::ContentBlocked,
    ),
];

/// Row 13: sentences by which models refuse a request as wrong.
const MODELS_VALIDATION: &[Rule] = &[
    ("malformed input request", Cause::InvalidRequest),
    ("extra inputs are not permitted", Cause::InvalidRequest),
    ("input should be", Cause::InvalidRequest),
    ("field required", Cause::InvalidRequest),
    ("roles must alternate", Cause::InvalidRequest),
    ("must be non-empty", Cause::InvalidRequest),
    (
        "tool_use ids were found without tool_result",
        Cause::InvalidRequest,
    ),
    (
        "expected thinking or redacted_thinking, but found",
        Cause::InvalidRequest,
    ),
    ("must be greater than thinking", Cause::InvalidRequest),
    (
        "blocks with cache_control may be provided",
        Cause::InvalidRequest,
    ),
    ("is deprecated for this model", Cause::InvalidRequest),
    ("is not supported for this model", Cause::InvalidRequest),
    (
        "cannot both be specified for this model",
        Cause::InvalidRequest,
    ),
    ("^invalid beta flag", Cause::InvalidRequest),
    ("could not process image", Cause::InvalidRequest),
    ("image exceeds … maximum", Cause::InvalidRequest),
    (
        "image dimensions exceed max allowed size",
        Cause::InvalidRequest,
    ),
];

#[cfg(test)]
pub(super) static ALL: &[&Family] = &[
    &THROTTLING,
    &UNAVAILABLE,
    &TIMEOUT,
    &MODEL_ERROR,
    &MODEL_STREAM_ERROR,
    &VALIDATION,
    &WRAPPED,
    &ACCESS,
    &NOT_FOUND,
];
