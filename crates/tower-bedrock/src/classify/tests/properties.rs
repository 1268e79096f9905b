//! What holds for every error, known or not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use proptest::{option, prelude::*, sample};

use super::{answered, cause};
use crate::{
    cause::Cause,
    classify::Classifier,
    error::{BoxError, Error, ErrorDetails, RawError},
};

/// Pieces of what services say, so that arbitrary messages come near to known ones.
const WORDS: &[&str] = &[
    "Too many tokens",
    "Too many requests",
    "per day",
    ", please wait before trying again.",
    "Model x",
    "is currently overloaded.",
    "is not ready for inference.",
    "Too many connections",
    "The model returned the following errors:",
    "Input is too long for requested model.",
    "prompt is too long",
    "input length and `max_tokens` exceed context limit",
    "with on-demand throughput isn\u{2019}t supported",
    "The provided model identifier is invalid.",
    "blocked by our content filters",
    "Model has timed out in processing the request.",
    "The security token included in the request is expired",
    "Malformed input request",
    "Operation not allowed",
    "tpm (InputTokens)",
    ":",
    "\n",
    "é",
];

const CODES: &[&str] = &[
    "ThrottlingException",
    "TooManyRequestsException",
    "ModelNotReadyException",
    "ServiceUnavailableException",
    "InternalServerException",
    "ModelTimeoutException",
    "ModelErrorException",
    "ModelStreamErrorException",
    "ServiceQuotaExceededException",
    "InsufficientThroughputException",
    "ValidationException",
    "AccessDeniedException",
    "ExpiredTokenException",
    "ResourceNotFoundException",
    "FTUFormNotFilled",
    "SomethingNewException",
];

fn message() -> impl Strategy<Value = String> {
    let known =
        prop::collection::vec(sample::select(WORDS), 0..5).prop_map(|words| words.join(" "));
    prop_oneof![known, ".*"]
}

fn status() -> impl Strategy<Value = Option<u16>> {
    option::of(prop_oneof![400_u16..600, any::<u16>()])
}

fn code() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![
        sample::select(CODES).prop_map(str::to_owned),
        ".*"
    ])
}

/// What only the layers themselves find out.
const NEVER_ANSWERED: [Cause; 3] = [Cause::StreamTruncated, Cause::StreamStalled, Cause::Connect];

proptest! {
    /// Any answer has a cause, and never one that only our layers can know.
    #[test]
    fn every_answer_has_a_cause(code in code(), status in status(), message in option::of(message())) {
        let found = cause(code.as_deref(), status, message.as_deref());
        prop_assert!(!found.is_own_refusal() && !NEVER_ANSWERED.contains(&found), "{found}");
        let error = Classifier::default().classify(answered(code.as_deref(), status, message.as_deref()));
        prop_assert_eq!(error.cause(), found);
        prop_assert_eq!(error.status(), status);
    }

    /// A throttle is never taken for a fault of the request, whatever its text: it would not be
    /// retried.
    #[test]
    fn a_throttle_stays_a_throttle(status in status(), message in message()) {
        let found = cause(Some("ThrottlingException"), status, Some(&message));
        let is_daily = message.to_lowercase().contains("day") && found == Cause::AccountLimit;
        let is_throttle = found.is_throttle() || found == Cause::ModelNotReady || is_daily;
        prop_assert!(is_throttle, "{found}: {message}");
    }

    /// A wrong request is never taken for a throttle, whatever its text: it would be retried for
    /// nothing, and the token budget would learn a limit that is none.
    #[test]
    fn a_wrong_request_is_no_throttle(status in status(), message in message()) {
        let found = cause(Some("ValidationException"), status, Some(&message));
        prop_assert!(!found.is_throttle(), "{found}: {message}");
        let retried = [
            Cause::ModelNotReady,
            Cause::CapacityExceeded,
            Cause::ServiceUnavailable,
            Cause::Internal,
            Cause::ModelTimeout,
            Cause::Timeout,
        ];
        prop_assert!(!retried.contains(&found), "{found}: {message}");
    }

    /// A known code decides; no status changes what it means.
    #[test]
    fn the_code_comes_before_the_status(code in sample::select(&CODES[..15]), status in status(), message in message()) {
        prop_assert_eq!(
            cause(Some(code), status, Some(&message)),
            cause(Some(code), None, Some(&message))
        );
    }

    /// A message alone means nothing: anybody may have said it.
    #[test]
    fn a_message_alone_means_nothing(message in message()) {
        prop_assert_eq!(cause(None, None, Some(&message)), Cause::Unknown);
    }

    /// Letters and white space are writing, not meaning.
    #[test]
    fn writing_is_not_meaning(code in code(), status in status(), message in message()) {
        let as_is = cause(code.as_deref(), status, Some(&message));
        let upper = (code.as_deref().map(str::to_ascii_uppercase), message.to_ascii_uppercase());
        prop_assert_eq!(cause(upper.0.as_deref(), status, Some(&upper.1)), as_is);
        let lower = (code.as_deref().map(str::to_ascii_lowercase), message.to_ascii_lowercase());
        prop_assert_eq!(cause(lower.0.as_deref(), status, Some(&lower.1)), as_is);
        let wide = format!("  {}\t", message.replace(' ', " \n\u{a0} "));
        prop_assert_eq!(cause(code.as_deref(), status, Some(&wide)), as_is);
    }

    /// What stands behind a known text, however long, changes nothing.
    #[test]
    fn an_endless_message_keeps_its_cause(filler in "[a-z ]{1,64}", times in 1_usize..2_000) {
        let message = format!(
            "Too many tokens, please wait before trying again. {}",
            filler.replace("day", "").repeat(times)
        );
        prop_assert_eq!(cause(Some("ThrottlingException"), Some(429), Some(&message)), Cause::TokenRate);
    }

    /// The caller's own rules win over the catalogue, and are asked in the order they were added,
    /// none after the one that decides.
    #[test]
    fn own_rules_come_first_and_in_order(
        code in code(),
        status in status(),
        message in option::of(message()),
        verdicts in prop::collection::vec(option::of(sample::select(Cause::ALL)), 0..5),
    ) {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut classifier = Classifier::default();
        for (index, &verdict) in verdicts.iter().enumerate() {
            let asked = Arc::clone(&asked);
            classifier = classifier.with_rule(move |_| {
                let before = asked.fetch_add(1, Ordering::Relaxed);
                assert_eq!(before, index, "asked out of turn");
                verdict
            });
        }
        let raw = answered(code.as_deref(), status, message.as_deref());
        let found = classifier.cause(&raw);
        let decided = verdicts.iter().position(Option::is_some);
        let expected = decided.and_then(|at| verdicts[at]);
        prop_assert_eq!(found, expected.unwrap_or_else(|| Classifier::default().cause(&raw)));
        prop_assert_eq!(
            asked.load(Ordering::Relaxed),
            decided.map_or(verdicts.len(), |at| at + 1)
        );
    }
}

/// An answer that could not be read is known by its head; our own trouble with its body is not
/// taken for the service's words.
#[test]
fn an_unreadable_answer_is_known_by_its_head() {
    let unreadable = |code: Option<&str>, status: Option<u16>| {
        Classifier::default().cause(&RawError::Unreadable(Box::new(ErrorDetails {
            code: code.map(str::to_owned),
            status,
            message: Some("too many tokens per day: expected `,` at line 1".into()),
            ..ErrorDetails::default()
        })))
    };
    assert_eq!(unreadable(None, Some(500)), Cause::Internal);
    assert_eq!(unreadable(None, Some(503)), Cause::ServiceUnavailable);
    assert_eq!(unreadable(None, Some(429)), Cause::Throttled);
    assert_eq!(
        unreadable(Some("ThrottlingException"), None),
        Cause::Throttled
    );
    assert_eq!(unreadable(None, Some(200)), Cause::Unknown);
    assert_eq!(unreadable(None, None), Cause::Unknown);
}

/// Errors that are no answers mean what they are, and an error of a type nobody knows means nothing.
#[test]
fn what_is_no_answer_means_what_it_is() {
    let details = || {
        Box::new(ErrorDetails {
            code: Some("ThrottlingException".into()),
            status: Some(429),
            ..ErrorDetails::default()
        })
    };
    let boxed: BoxError = "Too many tokens".into();
    for (raw, expected) in [
        (RawError::Connect(details()), Cause::Connect),
        (RawError::Timeout(details()), Cause::Timeout),
        (RawError::Credentials(details()), Cause::Credentials),
        (RawError::NotSent(details()), Cause::InvalidRequest),
        (RawError::Truncated(details()), Cause::StreamTruncated),
        (RawError::Garbled(details()), Cause::StreamFailed),
        (RawError::Stalled(details()), Cause::StreamStalled),
        (RawError::Other(boxed), Cause::Unknown),
        (
            RawError::Classified(Error::new(Cause::CircuitOpen)),
            Cause::CircuitOpen,
        ),
    ] {
        let error = Classifier::default().classify(raw);
        assert_eq!(error.cause(), expected);
    }
}

/// An error of a type nobody knows keeps its words, and is found below ours.
#[test]
fn an_unknown_error_keeps_its_words() {
    let boxed: BoxError = "out of ideas".into();
    let error = Classifier::default().classify(RawError::Other(boxed));
    assert_eq!(error.message(), Some("out of ideas"));
    assert!(std::error::Error::source(&error).is_some());
}

/// The codes that are common to AWS's services (BEDROCK.md §7.2, DOC-ERR), with no status to lean on.
#[test]
fn codes_common_to_all_services_have_their_cause() {
    for (expected, codes) in [
        (
            Cause::Throttled,
            "Throttling ThrottlingException ThrottledException RequestThrottledException \
             RequestThrottled TooManyRequestsException ProvisionedThroughputExceededException \
             TransactionInProgressException RequestLimitExceeded BandwidthLimitExceeded \
             LimitExceededException SlowDown PriorRequestNotComplete EC2ThrottledException",
        ),
        (
            Cause::Credentials,
            "ExpiredToken ExpiredTokenException UnrecognizedClient UnrecognizedClientException \
             InvalidSignature InvalidSignatureException SignatureDoesNotMatch IncompleteSignature \
             IncompleteSignatureException InvalidClientTokenId MissingAuthenticationToken \
             MissingAuthenticationTokenException RequestExpired RequestTimeTooSkewed",
        ),
        (Cause::Timeout, "RequestTimeout RequestTimeoutException"),
        (
            Cause::Internal,
            "InternalFailure InternalServerError InternalError",
        ),
        (Cause::ServiceUnavailable, "ServiceUnavailable"),
        (
            Cause::InvalidRequest,
            "ValidationError SerializationException InvalidAction MissingParameter \
             MalformedHttpRequestException ConflictException",
        ),
        (
            Cause::AccessDenied,
            "AccessDenied NotAuthorized OptInRequired FTUFormNotFilled",
        ),
        (
            Cause::NotFound,
            "UnknownOperationException ResourceNotFound",
        ),
    ] {
        for code in codes.split_whitespace() {
            assert_eq!(cause(Some(code), None, None), expected, "{code}");
        }
    }
}

/// What is no code, or only looks like one, is left to the status.
#[test]
fn what_is_no_known_code_is_left_to_the_status() {
    for code in [
        "",
        " ",
        ":",
        "#",
        "Exception",
        "exception",
        "ThrottlingExceptionX",
        "Throttling Exception",
        "é",
    ] {
        assert_eq!(
            cause(Some(code), Some(503), None),
            Cause::ServiceUnavailable,
            "{code:?}"
        );
        assert_eq!(cause(Some(code), None, None), Cause::Unknown, "{code:?}");
    }
}

/// A status alone has a cause from 400 to 599, and none elsewhere.
#[test]
fn a_status_alone_tells_the_kind() {
    for status in 0..=u16::MAX {
        let found = cause(None, Some(status), None);
        let expected = match status {
            401 => Cause::Credentials,
            403 => Cause::AccessDenied,
            404 => Cause::NotFound,
            408 => Cause::Timeout,
            424 => Cause::ModelFailed,
            429 => Cause::Throttled,
            400..=499 => Cause::InvalidRequest,
            502..=504 => Cause::ServiceUnavailable,
            529 => Cause::ModelOverloaded,
            500..=599 => Cause::Internal,
            _ => Cause::Unknown,
        };
        assert_eq!(found, expected, "{status}");
    }
}
