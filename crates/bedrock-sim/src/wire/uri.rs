//! Which operation a request line names (BEDROCK.md §1.1, §4).

use http::Method;
use percent_encoding::percent_decode_str;

use super::error::WireError;
use crate::engine::{ErrorText, Operation};

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A call of a model.
    Model {
        /// The operation.
        operation: Operation,
        /// The model id, decoded.
        model_id: String,
    },
    /// `ApplyGuardrail`, of whatever guardrail: each passes everything.
    Guardrail,
    /// The simulator's own pages.
    Own(OwnPage),
}

/// The simulator's own pages, beside those of Bedrock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnPage {
    /// `GET /_sim/ledger`
    Ledger,
    /// `POST /_sim/reset`
    Reset,
    /// `GET /_sim/health`
    Health,
}

impl Target {
    /// Reads method and path.
    ///
    /// Labels are split before they are decoded, and decoded once: an ARN's slashes, sent as `%2F`,
    /// stay inside its label.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, WireError> {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let labels = [(); 6].map(|()| segments.next());
        match (method, labels) {
            (&Method::POST, [Some("model"), Some(label), Some(action), None, ..]) => {
                let operation = model_operation(action).ok_or_else(WireError::unknown_operation)?;
                let model_id = decode(label)?;
                Ok(Self::Model {
                    operation,
                    model_id,
                })
            }
            (
                &Method::POST,
                [
                    Some("guardrail"),
                    Some(id),
                    Some("version"),
                    Some(version),
                    Some("apply"),
                    None,
                ],
            ) => {
                decode(id)?;
                decode(version)?;
                Ok(Self::Guardrail)
            }
            (&Method::GET, [Some("_sim"), Some("ledger"), None, ..]) => {
                Ok(Self::Own(OwnPage::Ledger))
            }
            (&Method::POST, [Some("_sim"), Some("reset"), None, ..]) => {
                Ok(Self::Own(OwnPage::Reset))
            }
            (&Method::GET, [Some("_sim"), Some("health"), None, ..]) => {
                Ok(Self::Own(OwnPage::Health))
            }
            _ => Err(WireError::unknown_operation()),
        }
    }
}

fn model_operation(action: &str) -> Option<Operation> {
    Some(match action {
        "converse" => Operation::Converse,
        "converse-stream" => Operation::ConverseStream,
        "invoke" => Operation::InvokeModel,
        "invoke-with-response-stream" => Operation::InvokeModelWithResponseStream,
        "count-tokens" => Operation::CountTokens,
        _ => return None,
    })
}

fn decode(label: &str) -> Result<String, WireError> {
    if label.is_empty() {
        return Err(WireError::unknown_operation());
    }
    percent_decode_str(label)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| WireError::known(ErrorText::UnknownModel))
}
