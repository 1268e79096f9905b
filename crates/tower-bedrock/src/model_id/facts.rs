//! What is known of a model by its name. Published facts age: every one of these is a default that
//! a setting overrides.

use super::ModelId;

/// Output multiplier of a Claude whose generation can't be read (BEDROCK.md §3.3).
const UNKNOWN_CLAUDE_BURNDOWN: u32 = 5;
/// What quota tooling assumes of a model it does not know (BEDROCK.md §3.2, QH).
const UNKNOWN_MAX_OUTPUT: u32 = 4096;

impl ModelId {
    /// How many quota tokens one output token costs when the call settles.
    ///
    /// By the family's name (BEDROCK.md §3.3, DOC-BURN): 15 for Claude 4.8, 10 for Claude 5, GPT-5.6
    /// and Kimi K3, 5 for every other Claude, 1 for the rest and for ids that do not tell.
    #[must_use]
    pub fn default_burndown_rate(&self) -> u32 {
        let Some(base) = self.base_model() else {
            return 1;
        };
        match claude(base) {
            Some(Some((4, 8))) => 15,
            Some(Some((5, _))) => 10,
            Some(_) => UNKNOWN_CLAUDE_BURNDOWN,
            None if base.contains("gpt-5.6") || base.contains("kimi-k3") => 10,
            None => 1,
        }
    }

    /// The output tokens that the service sets aside for a call without `maxTokens`.
    ///
    /// The model's maximum (BEDROCK.md §3.2, QH): 128 000 for Claude 4.6 to 5, 64 000 for Claude 4
    /// to 4.5, 8192 for Claude 3.5, 5120 for Nova, 4096 where it is not known.
    #[must_use]
    pub fn default_max_output_tokens(&self) -> u32 {
        let Some(base) = self.base_model() else {
            return UNKNOWN_MAX_OUTPUT;
        };
        match claude(base) {
            Some(Some((4, minor))) if minor >= 6 => 128_000,
            Some(Some((4, _))) => 64_000,
            Some(Some((generation, _))) if generation >= 5 => 128_000,
            Some(_) if base.contains("claude-3-5") => 8192,
            None if base.starts_with("amazon.nova") => 5120,
            _ => UNKNOWN_MAX_OUTPUT,
        }
    }

    /// About how many bytes of text in UTF-8 make a token (BEDROCK.md §3.7, SHAPER): 3 for Nova, 4
    /// for all others.
    pub(crate) fn bytes_per_token(&self) -> u64 {
        match self.base_model() {
            Some(base) if base.starts_with("amazon.nova") => 3,
            _ => 4,
        }
    }
}

/// Generation and minor version of a `claude-FAMILY-G[-M]` name: `None` if it is not a Claude,
/// `Some(None)` if it is one of another naming.
fn claude(base: &str) -> Option<Option<(u32, u32)>> {
    let name = base.split_once("claude-")?.1;
    let mut parts = name.split('-');
    let family = parts.next()?;
    if !matches!(family, "opus" | "sonnet" | "haiku" | "fable" | "mythos") {
        return Some(None);
    }
    // A version part has one or two digits; `20250929` is a date and `v1:0` a revision.
    let version =
        |part: Option<&str>| -> Option<u32> { part.filter(|part| part.len() <= 2)?.parse().ok() };
    let Some(generation) = version(parts.next()) else {
        return Some(None);
    };
    Some(Some((generation, version(parts.next()).unwrap_or(0))))
}
