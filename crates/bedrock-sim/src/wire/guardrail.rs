//! `ApplyGuardrail`: every text passes, and the reply counts it (BEDROCK.md §1.1).

use serde::{Deserialize, Serialize};

use super::error::WireError;

/// Characters to a text unit, which is what guardrails are charged by.
const CHARACTERS_PER_UNIT: usize = 1_000;

#[derive(Deserialize)]
struct Request {
    source: String,
    content: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    text: Option<TextBlock>,
}

#[derive(Deserialize)]
struct TextBlock {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    usage: Usage,
    action: &'static str,
    outputs: [(); 0],
    assessments: [(); 0],
    guardrail_coverage: Coverage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    topic_policy_units: usize,
    content_policy_units: usize,
    word_policy_units: usize,
    sensitive_information_policy_units: usize,
    sensitive_information_policy_free_units: usize,
    contextual_grounding_policy_units: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Coverage {
    text_characters: TextCharacters,
}

#[derive(Serialize)]
struct TextCharacters {
    guarded: usize,
    total: usize,
}

/// Reads and checks a body, and answers it.
///
/// # Errors
///
/// The service's own refusals.
pub(crate) fn apply(body: &[u8]) -> Result<Vec<u8>, WireError> {
    let request: Request =
        serde_json::from_slice(body).map_err(|error| WireError::serialization(&error))?;
    if !matches!(request.source.as_str(), "INPUT" | "OUTPUT") {
        return Err(WireError::validation(
            "1 validation error detected: Value at 'source' failed to satisfy constraint: Member must \
             satisfy enum value set: [INPUT, OUTPUT]",
        ));
    }
    let texts = request
        .content
        .iter()
        .filter_map(|block| block.text.as_ref());
    let characters: usize = texts.map(|block| block.text.chars().count()).sum();
    let units = characters.div_ceil(CHARACTERS_PER_UNIT);
    let reply = Reply {
        usage: Usage {
            topic_policy_units: units,
            content_policy_units: units,
            word_policy_units: units,
            sensitive_information_policy_units: units,
            sensitive_information_policy_free_units: 0,
            contextual_grounding_policy_units: 0,
        },
        action: "NONE",
        outputs: [],
        assessments: [],
        guardrail_coverage: Coverage {
            text_characters: TextCharacters {
                guarded: characters,
                total: characters,
            },
        },
    };
    Ok(serde_json::to_vec(&reply).unwrap_or_default())
}
