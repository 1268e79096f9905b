//! Errors as text: the AWS command line, SDKs of all languages, this library.

use std::sync::LazyLock;

use regex::Regex;
use tower_bedrock::Cause;

use super::{super::cause_named, Found, Trouble};

/// Endings of codes, and codes that have none.
const CODE: &str = r"(?:[A-Za-z]\w*(?:Exception|Error|Failure|Fault)|UnrecognizedClient|IncompleteSignature|InvalidClientTokenId|ExpiredToken|FTUFormNotFilled|AccessDenied|SignatureDoesNotMatch|SlowDown)";

/// What others wrap an error in: not the service's code.
const WRAPPERS: &[&str] = &[
    "anthropicerror",
    "apiconnectionerror",
    "apierror",
    "apistatuserror",
    "bedrockexception",
    "bedrockruntimeexception",
    "boto3error",
    "botocoreerror",
    "clienterror",
    "dispatchfailure",
    "error",
    "eventstreamerror",
    "exception",
    "httperror",
    "operationerror",
    "ratelimiterror",
    "responseerror",
    "runtimeerror",
    "sdkerror",
    "sdkclientexception",
    "serviceerror",
    "statuserror",
    "typeerror",
    "valueerror",
];

/// Names that SDKs give to what went wrong before an answer came, in lower case.
const TROUBLES: &[(&str, Trouble)] = &[
    ("no credentials", Trouble::Credentials),
    ("nocredentials", Trouble::Credentials),
    ("unable to locate credentials", Trouble::Credentials),
    ("could not load credentials", Trouble::Credentials),
    ("failed to load credentials", Trouble::Credentials),
    ("credentialsnotloaded", Trouble::Credentials),
    ("unable to load credentials", Trouble::Credentials),
    ("no ec2 imds role found", Trouble::Credentials),
    ("tokenretrievalerror", Trouble::Credentials),
    ("read timeout", Trouble::Timeout),
    ("readtimeouterror", Trouble::Timeout),
    ("request timed out", Trouble::Timeout),
    ("operation timed out", Trouble::Timeout),
    ("operation timeout", Trouble::Timeout),
    ("context deadline exceeded", Trouble::Timeout),
    ("timeouterror", Trouble::Timeout),
    ("etimedout", Trouble::Timeout),
    ("connect timeout", Trouble::Connect),
    ("connecttimeouterror", Trouble::Connect),
    ("could not connect", Trouble::Connect),
    ("endpointconnectionerror", Trouble::Connect),
    ("connection refused", Trouble::Connect),
    ("connection reset", Trouble::Connect),
    ("connection was closed", Trouble::Connect),
    ("connection aborted", Trouble::Connect),
    ("econnrefused", Trouble::Connect),
    ("econnreset", Trouble::Connect),
    ("enotfound", Trouble::Connect),
    ("dns error", Trouble::Connect),
    ("no such host", Trouble::Connect),
    ("unable to execute http request", Trouble::Connect),
    ("dispatch failure", Trouble::Connect),
    ("unexpected eof", Trouble::Connect),
];

macro_rules! regex {
    ($name:ident, $($part:expr),+) => {
        // The patterns are constants, which the tests below compile.
        static $name: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(&[$($part),+].concat()).ok());
    };
}

// An error occurred (X) when calling the Y operation (reached max retries: 4): message
regex!(
    COMMAND_LINE,
    r"An error occurred \((\w+)\) when calling the \w+ operation(?: \([^)]*\))?:\s*(?s)(.*)"
);
// Java: message (Service: BedrockRuntime, Status Code: 429, Request ID: ..)
regex!(
    JAVA,
    r"(?s)(?:([\w.$]+): )?(.*?) \(Service: [^,)]+, Status Code: (\d{3}), Request ID: ([^,) ]+)"
);
// Go: https response error StatusCode: 429, RequestID: .., ThrottlingException: message
regex!(
    GO,
    r"(?s)StatusCode: (\d{3}), RequestID: ([^,]*), (?:api error )?(\w+): (.*)"
);
// Rust: ThrottlingException(ThrottlingException { message: Some("..") or code: Some(".."), message: Some("..")
regex!(
    RUST_VARIANT,
    r#"(\w+Exception)(?:\(\w+)? \{ message: Some\("((?:[^"\\]|\\.)*)"\)"#
);
regex!(
    RUST_METADATA,
    r#"code: Some\("(\w+)"\), message: Some\("((?:[^"\\]|\\.)*)"\)"#
);
// This library: Converse to M failed: cause (X, HTTP 429): message [request id ..] [attempt 4]
regex!(
    OURS,
    r"(?s)\b(?:failed: )?([a-z_]+) \((?:(\w+)(?:, )?)?(?:HTTP (\d{3}))?\)(?:: (.*))?"
);
regex!(OURS_BARE, r"(?s)\bfailed: ([a-z_]+)(?:: (.*))?");
regex!(
    STATUS,
    r"(?i)(?:status(?:[ _]?code)?|HTTP(?:/\d(?:\.\d)?)?|error code|api error|code)\W{0,5}([45]\d\d)\b"
);
regex!(STATUS_FIRST, r"^\W*([45]\d\d)\b");
regex!(
    REQUEST_ID,
    r"(?i)request[ _-]?id\W{1,5}([0-9a-f]{8}-[0-9a-f-]{27})"
);
regex!(ANY_CODE, r"\b(", CODE, r")\b(?:[:,\s]+|\W*$)");
regex!(WHOLE_CODE, r"^[A-Za-z][\w.$]*(?:#\w+)?(?::.*)?$");
regex!(NOTES, r"(?: \[(?:request id|attempt) [^\]]*\])+$");

/// The error in `text`. What is not recognised is its message.
pub(super) fn read(text: &str) -> Found {
    let text = text.trim();
    let mut found = shaped(text).unwrap_or_else(|| loose(text));
    found.request_id = found.request_id.or_else(|| capture(&REQUEST_ID, text, 1));
    if let Some(message) = &mut found.message {
        let end = find(&NOTES, message).unwrap_or(message.len());
        message.truncate(end);
        *message = message.trim().to_owned();
    }
    found.message = found.message.filter(|message| !message.is_empty());
    if found.code.is_none() && found.status.is_none() && found.cause.is_none() {
        let low = text.to_lowercase();
        found.trouble = TROUBLES
            .iter()
            .find(|(words, _)| low.contains(words))
            .map(|(_, trouble)| *trouble);
    }
    found
}

/// The forms that tell code and message apart.
fn shaped(text: &str) -> Option<Found> {
    let found = |code: Option<String>, message: Option<String>| Found {
        code,
        message,
        ..Found::default()
    };
    if let Some(parts) = captures(&COMMAND_LINE, text) {
        return Some(found(parts(1), parts(2)));
    }
    if let Some(parts) = captures(&GO, text) {
        return Some(Found {
            status: parts(1).and_then(|status| status.parse().ok()),
            request_id: parts(2).filter(|id| !id.is_empty()),
            ..found(parts(3).filter(|code| is_service_code(code)), parts(4))
        });
    }
    if let Some(parts) = captures(&JAVA, text) {
        let code = parts(1).map(|code| bare(&code));
        return Some(Found {
            status: parts(3).and_then(|status| status.parse().ok()),
            request_id: parts(4),
            ..found(code.filter(|code| is_service_code(code)), parts(2))
        });
    }
    for form in [&RUST_METADATA, &RUST_VARIANT] {
        if let Some(parts) = captures(form, text) {
            let message = parts(2).map(|message| message.replace("\\\"", "\""));
            return Some(found(parts(1), message));
        }
    }
    ours(text)
}

/// What this library prints.
fn ours(text: &str) -> Option<Found> {
    if let Some(parts) = captures(&OURS, text)
        && let Some(cause) = parts(1).as_deref().and_then(cause_named)
    {
        return Some(Found {
            cause: Some(cause),
            code: parts(2).filter(|code| is_service_code(code)),
            status: parts(3).and_then(|status| status.parse().ok()),
            message: parts(4),
            ..Found::default()
        });
    }
    let named = |cause: &str| cause_named(cause.trim());
    let (cause, message) = match captures(&OURS_BARE, text) {
        Some(parts) => (parts(1)?, parts(2)),
        None => (text.to_owned(), None),
    };
    named(&cause).map(|cause: Cause| Found {
        cause: Some(cause),
        message,
        ..Found::default()
    })
}

/// A code, a status and a message somewhere in `text`.
fn loose(text: &str) -> Found {
    let mut found = Found {
        status: capture(&STATUS, text, 1)
            .or_else(|| capture(&STATUS_FIRST, text, 1))
            .and_then(|status| status.parse().ok()),
        ..Found::default()
    };
    let mut message = text;
    if let Some(pattern) = ANY_CODE.as_ref() {
        let codes = pattern.captures_iter(text).filter_map(|parts| {
            let code = parts.get(1)?.as_str();
            is_service_code(code).then_some((code, parts.get(0)?.end()))
        });
        // The innermost stands last.
        if let Some((code, end)) = codes.last() {
            found.code = Some(capitalized(code));
            message = &text[end..];
        }
    }
    found.message = Some(message.trim_start_matches([':', ' ', '-']).to_owned());
    found
}

/// Whether `name` is a code, with or without its namespace and what follows a colon.
pub(super) fn is_code(name: &str) -> bool {
    WHOLE_CODE
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(name))
        && is_service_code(&bare(name))
}

/// Whether `name` may be the service's own: neither a wrapper nor what an SDK calls its troubles.
fn is_service_code(name: &str) -> bool {
    let low = name.to_ascii_lowercase();
    let stem = |name: &str| name.strip_suffix("error").unwrap_or(name).to_owned();
    !WRAPPERS.contains(&low.as_str())
        && !TROUBLES.iter().any(|(words, _)| stem(&low) == stem(words))
}

/// Whether `key` is a member of an event stream that stands for an exception.
pub(super) fn is_stream_exception(key: &str) -> bool {
    key.ends_with("Exception") && key.starts_with(|first: char| first.is_ascii_lowercase())
}

/// `code` without its namespace and without what follows a colon.
pub(super) fn bare(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or(code);
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit(['.', '$']).next().unwrap_or(code).to_owned()
}

/// `name` with a capital first, as codes are written.
pub(super) fn capitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(chars)
        .collect()
}

fn captures<'t>(
    pattern: &LazyLock<Option<Regex>>,
    text: &'t str,
) -> Option<impl Fn(usize) -> Option<String> + use<'t>> {
    let parts = pattern.as_ref()?.captures(text)?;
    Some(move |index| parts.get(index).map(|part| part.as_str().to_owned()))
}

fn capture(pattern: &LazyLock<Option<Regex>>, text: &str, index: usize) -> Option<String> {
    captures(pattern, text)?(index)
}

fn find(pattern: &LazyLock<Option<Regex>>, text: &str) -> Option<usize> {
    Some(pattern.as_ref()?.find(text)?.start())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern that does not compile would match nothing, in silence.
    #[test]
    fn every_pattern_compiles() {
        for pattern in [
            &COMMAND_LINE,
            &JAVA,
            &GO,
            &RUST_VARIANT,
            &RUST_METADATA,
            &OURS,
            &OURS_BARE,
            &STATUS,
            &STATUS_FIRST,
            &REQUEST_ID,
            &ANY_CODE,
            &WHOLE_CODE,
            &NOTES,
        ] {
            assert!(pattern.is_some());
        }
    }
}
