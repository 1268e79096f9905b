//! Why an answer in a model's own format stopped.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// What models call the reason, wherever in their answer it stands.
const NAMES: [&str; 7] = [
    // Anthropic, Llama, Mistral, OpenAI's newer ones
    "stop_reason",
    // Nova
    "stopReason",
    // Chat completions, Cohere
    "finish_reason",
    // AI21, TwelveLabs
    "finishReason",
    // Titan
    "completionReason",
    // Stability, one for each picture
    "finish_reasons",
    // AI21, within its reason
    "reason",
];

/// The reasons of a model that was done.
const DONE: [&str; 11] = [
    "end_turn",
    "stop_sequence",
    "tool_use",
    "stop",
    "tool_calls",
    "function_call",
    "finish",
    "complete",
    "endoftext",
    "eos",
    "success",
];

/// Whether an answer, or a chunk of one, names no reason to have stopped but that the model was done.
/// What is no JSON names none.
pub(super) fn is_whole(answer: &[u8]) -> bool {
    let mut is_cut = false;
    let mut json = serde_json::Deserializer::from_slice(answer);
    let walk = Walk {
        is_cut: &mut is_cut,
        is_reason: false,
    };
    // What could be read before it stopped being JSON counts.
    drop(walk.deserialize(&mut json));
    !is_cut
}

struct Walk<'a> {
    is_cut: &'a mut bool,
    /// Whether what comes is a reason.
    is_reason: bool,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_name) = map.next_key_seed(IsReason)? {
            // `{"finishReason": {"reason": "length", "length": 200}}`
            map.next_value_seed(Walk {
                is_cut: &mut *self.is_cut,
                is_reason: is_name,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            let item = Walk {
                is_cut: &mut *self.is_cut,
                is_reason: self.is_reason,
            };
            if items.next_element_seed(item)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.is_reason && !text.is_empty() {
            *self.is_cut |= !DONE.iter().any(|done| done.eq_ignore_ascii_case(text));
        }
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether a field's name is that of a reason.
struct IsReason;

impl<'de> DeserializeSeed<'de> for IsReason {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for IsReason {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(NAMES.contains(&name))
    }
}
