//! Answers of any status, with any headers and any body.

use std::str;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower::ServiceExt;
use tower_bedrock::{Cause, Error, Request, classify::retry_after};

use super::wire::{Answer, MODEL, Rig};

/// What an error may show in all: a message, a code and an id of the longest that are kept, and what
/// stands around them.
const LONGEST: usize = 20 * 1024;

/// A status, then headers one a line, an empty line, and a body. The answer is read, or is an error
/// whose cause is no refusal of ours, the same inside of the SDK and above it, of a bounded size, and
/// with the wait that its headers ask for.
pub fn classification(data: &[u8]) {
    let Some(answer) = answer(data) else {
        return;
    };
    let (status, headers) = (answer.status, answer.headers.clone());
    let (above, inside) = Rig::answering(answer, |rig| {
        rig.runtime.block_on(async {
            let above = rig.layers.clone().oneshot(Request::from(input())).await;
            let inside = rig.client.converse().model_id(MODEL).send().await;
            (above.err(), inside.err().map(|error| Cause::of_sdk(&error)))
        })
    });
    assert_eq!(above.as_ref().map(Error::cause), inside, "{above:?}");
    let Some(error) = above else {
        assert!(status.is_success(), "{status} is no answer");
        return;
    };
    let cause = error.cause();
    assert!(!cause.is_own_refusal(), "{cause}");
    assert!(!(status.is_success() && cause.is_throttle()), "{cause}");
    assert!(error.to_string().len() < LONGEST);
    if !status.is_success() {
        assert_eq!(error.status(), Some(status.as_u16()));
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A date is relative to the answer's, or else to a clock that nobody can look at twice.
        let is_date =
            |name| header(name).is_some_and(|value| httpdate::parse_http_date(value).is_ok());
        if !is_date("retry-after") || is_date("date") {
            let wait = retry_after(header, std::time::UNIX_EPOCH);
            assert_eq!(error.retry_after(), wait);
        }
    }
}

fn answer(data: &[u8]) -> Option<Answer> {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &data[data.len()..]),
    };
    let mut lines = head.split(|&byte| byte == b'\n');
    let status = str::from_utf8(lines.next()?).ok()?;
    // What is not final never comes to the SDK.
    let status = status
        .parse()
        .ok()
        .filter(|status| (200..=999).contains(status))?;
    let mut headers = HeaderMap::new();
    for line in lines {
        // The SDK takes no header that is no text.
        let Some((name, value)) = str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        let value = HeaderValue::from_str(value.trim());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.try_append(name, value).ok()?;
        }
    }
    Some(Answer {
        status: StatusCode::from_u16(status).ok()?,
        headers,
        pieces: [Bytes::copy_from_slice(body)].into(),
        breaks: false,
    })
}

fn input() -> aws_sdk_bedrockruntime::operation::converse::ConverseInput {
    let input = aws_sdk_bedrockruntime::operation::converse::ConverseInput::builder();
    input.model_id(MODEL).build().expect("no field is required")
}
