//! The catalogue of BEDROCK.md §2.1.

use crate::{cause::Cause, error::RawError};

/// The code without namespace (`aws.bedrock#`) and suffix (`:http://…`).
pub(super) fn bare_code(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    code.rsplit_once('#').map_or(code, |(_, code)| code).trim()
}

/// The cause of `raw`, or the honest bucket for what is not in the catalogue.
pub(super) fn cause(raw: &RawError) -> Cause {
    match raw {
        RawError::Answered(_) | RawError::Unreadable(_) | RawError::Other(_) => Cause::Unknown,
        RawError::Connect(_) => Cause::Connect,
        RawError::Timeout(_) => Cause::Timeout,
        RawError::Credentials(_) => Cause::Credentials,
        RawError::NotSent(_) => Cause::InvalidRequest,
        RawError::Classified(error) => error.cause(),
    }
}
