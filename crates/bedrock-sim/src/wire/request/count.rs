//! The body of `CountTokens` (BEDROCK.md §1.1).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{Dialect, anthropic, converse, text::Text};
use crate::{
    scenario::Vendor,
    wire::{content::Content, error::WireError},
};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    input: Input<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    #[serde(borrow)]
    converse: Option<converse::Body<'a>>,
    #[serde(borrow)]
    invoke_model: Option<InvokeModel<'a>>,
}

#[derive(Deserialize)]
struct InvokeModel<'a> {
    #[serde(borrow)]
    body: Text<'a>,
}

/// Reads and checks a body: what it counts.
pub(crate) fn parse_count(body: &[u8], vendor: Vendor) -> Result<Content, WireError> {
    let body: Body<'_> =
        serde_json::from_slice(body).map_err(|error| WireError::serialization(&error))?;
    match (body.input.converse, body.input.invoke_model) {
        (Some(conversation), None) => conversation.into_content(converse::Wording::Converse),
        (None, Some(invocation)) => count_invocation(&invocation, vendor),
        _ => Err(WireError::validation(
            "The input must have exactly one of the members converse and invokeModel.",
        )),
    }
}

fn count_invocation(invocation: &InvokeModel<'_>, vendor: Vendor) -> Result<Content, WireError> {
    let malformed = || WireError::malformed_input("");
    let body = STANDARD
        .decode(invocation.body.as_bytes())
        .map_err(|_| malformed())?;
    match Dialect::of_vendor(vendor)? {
        Dialect::Anthropic => serde_json::from_slice::<anthropic::Body<'_>>(&body)
            .map_err(|_| malformed())?
            .into_content(),
        Dialect::Nova | Dialect::Converse => serde_json::from_slice::<converse::Body<'_>>(&body)
            .map_err(|_| malformed())?
            .into_content(converse::Wording::Nova),
    }
}
