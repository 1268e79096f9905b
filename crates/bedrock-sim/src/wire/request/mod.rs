//! Requests: what a body holds, checked as the service checks it.

mod anthropic;
mod converse;
mod count;
mod text;

use serde_json::Value;

pub(crate) use count::parse_count;

use super::{content::Content, error::WireError};
use crate::scenario::Vendor;

/// The format of a body, and of what answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `Converse` and `ConverseStream`, for every model.
    Converse,
    /// `InvokeModel` of Anthropic models: their messages API.
    Anthropic,
    /// `InvokeModel` of Amazon Nova models.
    Nova,
}

impl Dialect {
    /// The format that `InvokeModel` takes for a vendor's models.
    ///
    /// # Errors
    ///
    /// Other vendors' formats are not modelled; the message says so.
    pub(crate) fn of_vendor(vendor: Vendor) -> Result<Self, WireError> {
        match vendor {
            Vendor::Anthropic => Ok(Self::Anthropic),
            Vendor::Nova => Ok(Self::Nova),
            Vendor::Other => Err(WireError::validation(
                "bedrock-sim knows the InvokeModel bodies of Anthropic and Amazon Nova models alone. \
                 Call this model with Converse.",
            )),
        }
    }
}

/// What the simulator has to know of a request.
#[derive(Default)]
pub(crate) struct Prompt {
    pub(crate) content: Content,
    pub(crate) max_tokens: Option<u64>,
    /// The tool that the request forces the model to call.
    pub(crate) forced_tool: Option<Tool>,
    /// `serviceTier.type`, which the response repeats.
    pub(crate) tier: Option<String>,
    /// `performanceConfig.latency`, which the response repeats.
    pub(crate) latency_mode: Option<String>,
}

/// A tool that a request offers.
#[derive(Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// Reads and checks a body.
///
/// # Errors
///
/// The service's own refusals, but for those that need the model's numbers: they are the engine's.
pub(crate) fn parse(dialect: Dialect, body: &[u8]) -> Result<Prompt, WireError> {
    match dialect {
        Dialect::Converse => serde_json::from_slice::<converse::Body<'_>>(body)
            .map_err(|error| WireError::serialization(&error))?
            .check(converse::Wording::Converse),
        Dialect::Nova => serde_json::from_slice::<converse::Body<'_>>(body)
            .map_err(|_| WireError::malformed_input(""))?
            .check(converse::Wording::Nova),
        Dialect::Anthropic => serde_json::from_slice::<anthropic::Body<'_>>(body)
            .map_err(|_| WireError::malformed_input(""))?
            .check(),
    }
}
