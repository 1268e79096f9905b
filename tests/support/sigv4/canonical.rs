//! The canonical request: one spelling for all requests that mean the same.

use std::{borrow::Cow, fmt::Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{Rejection, SignedRequest};

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The canonical request over the headers in `signed`, a list as the `Authorization` header has it.
pub(super) fn request(
    request: &SignedRequest<'_>,
    signed: &str,
    is_normalized: bool,
) -> Result<String, Rejection> {
    if !request.target.starts_with('/') {
        return Err(Rejection::Malformed("the path"));
    }
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((request.target, ""));
    let path = if is_normalized {
        Cow::Owned(without_dots(path))
    } else {
        Cow::Borrowed(path)
    };
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        encoded_path(&path),
        sorted_query(query)
    );
    for name in signed.split(';') {
        let values = values(request, name);
        if values.is_empty() {
            return Err(Rejection::Malformed("a signed header is not there"));
        }
        let _infallible = writeln!(text, "{name}:{}", values.join(","));
    }
    let _infallible = write!(text, "\n{signed}\n{}", payload(request)?);
    Ok(text)
}

/// The hex of a SHA-256.
pub(super) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes.as_ref()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// The path as it is sent, each segment encoded. All services but S3 have it so: what the sender has
/// encoded already is encoded twice.
fn encoded_path(path: &str) -> String {
    let segments = path.split('/').map(encoded);
    segments.collect::<Vec<_>>().join("/")
}

/// The path without `.`, `..` and empty segments. One slash at the end stays.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let is_folder = path.ends_with('/') && !kept.is_empty();
    format!("/{}{}", kept.join("/"), if is_folder { "/" } else { "" })
}

/// The parameters encoded, sorted by name and then by value.
fn sorted_query(query: &str) -> String {
    let mut parameters: Vec<(String, String)> = query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (encoded_once(name), encoded_once(value))
        })
        .collect();
    parameters.sort();
    let parameters = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    parameters.collect::<Vec<_>>().join("&")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn encoded_once(text: &str) -> String {
    encoded(&percent_decode_str(text).decode_utf8_lossy())
}

/// All values of a header in their order, each trimmed, and with single spaces.
fn values(request: &SignedRequest<'_>, name: &str) -> Vec<String> {
    let words = |value: &str| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    request.headers_named(name).map(words).collect()
}

/// The hash of the body. Where the request names one itself, it must be that.
fn payload(request: &SignedRequest<'_>) -> Result<String, Rejection> {
    let hash = sha256(request.body);
    let is_named = request
        .headers_named("x-amz-content-sha256")
        .all(|named| named == hash);
    is_named.then_some(hash).ok_or(Rejection::Payload)
}
