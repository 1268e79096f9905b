//! What the simulated model says: a text of exactly as many tokens as the engine decided, or the
//! arguments of a tool that the request forces.

use serde_json::{Map, Value};

/// What every answer is cut from. ASCII, so that it can be cut anywhere.
const TEXT: &str = "This is a simulated answer. No model has read the question, so the words mean \
                    nothing: they only take as many tokens as an answer would. ";

/// Tokens to a delta of a stream.
const TOKENS_PER_DELTA: u64 = 4;

/// Bytes of a tool's input to a delta, at least.
const INPUT_BYTES_PER_DELTA: usize = 4;

/// The most deltas that a stream is cut into.
const MAX_DELTAS: u64 = 256;

/// The longest text that is written, in bytes: what the service takes as a body. A scenario may ask
/// for any number of tokens.
const MAX_TEXT: u64 = super::MAX_BODY as u64;

/// An answer.
pub(crate) struct Answer {
    /// How long it is, in tokens.
    pub(crate) tokens: u64,
    /// Whether `maxTokens` cut it short.
    pub(crate) hit_max_tokens: bool,
    /// Bytes of text to a token.
    pub(crate) bytes_per_token: f64,
    /// The tool that is called; text without it.
    pub(crate) tool: Option<ToolCall>,
}

/// A tool that the answer calls.
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
    /// The input as it is streamed.
    json: String,
}

impl Answer {
    /// The whole text.
    pub(crate) fn text(&self) -> String {
        self.text_between(0, self.tokens)
    }

    /// Why it ended, in words that every format shares.
    pub(crate) fn stop_reason(&self) -> &'static str {
        match (self.hit_max_tokens, &self.tool) {
            (true, _) => "max_tokens",
            (false, Some(_)) => "tool_use",
            (false, None) => "end_turn",
        }
    }

    /// How many deltas a stream of this answer has, at least one.
    pub(crate) fn deltas(&self) -> u64 {
        let most = match &self.tool {
            Some(tool) => tool.json.len().div_ceil(INPUT_BYTES_PER_DELTA) as u64,
            None => MAX_DELTAS,
        };
        let deltas = self.tokens.div_ceil(TOKENS_PER_DELTA);
        deltas.min(most).clamp(1, MAX_DELTAS)
    }

    /// What a delta says, counted from 0.
    pub(crate) fn delta(&self, index: u64) -> String {
        match &self.tool {
            Some(tool) => tool.slice(index, self.deltas()),
            None => self.text_between(self.tokens_after(index), self.tokens_after(index + 1)),
        }
    }

    /// How many tokens have been sent after that many deltas.
    pub(crate) fn tokens_after(&self, deltas: u64) -> u64 {
        share(self.tokens, deltas, self.deltas())
    }

    fn text_between(&self, from: u64, to: u64) -> String {
        let (from, to) = (self.offset(from), self.offset(to));
        let mut text = String::with_capacity(to - from);
        let mut at = from % TEXT.len();
        while text.len() < to - from {
            let end = TEXT.len().min(at + (to - from - text.len()));
            text.push_str(&TEXT[at..end]);
            at = 0;
        }
        text
    }

    fn offset(&self, token: u64) -> usize {
        let bytes = (token as f64 * self.bytes_per_token) as u64;
        bytes.min(MAX_TEXT) as usize
    }
}

impl ToolCall {
    /// A call with the smallest input that fits the tool's JSON schema, as far as that is plain.
    pub(crate) fn new(id: String, name: String, schema: &Value) -> Self {
        let input = match example(schema) {
            object @ Value::Object(_) => object,
            _ => Value::Object(Map::new()),
        };
        Self {
            id,
            name,
            json: input.to_string(),
            input,
        }
    }

    fn slice(&self, index: u64, of: u64) -> String {
        let length = self.json.len() as u64;
        let boundary = |index| {
            let byte = usize::try_from(share(length, index, of)).unwrap_or(self.json.len());
            self.json.floor_char_boundary(byte)
        };
        self.json[boundary(index)..boundary(index + 1)].to_owned()
    }
}

/// The first `parts` of `of` parts of a whole.
fn share(whole: u64, parts: u64, of: u64) -> u64 {
    let share = u128::from(whole) * u128::from(parts) / u128::from(of.max(1));
    u64::try_from(share).unwrap_or(whole)
}

/// A value that fits a schema.
fn example(schema: &Value) -> Value {
    let first = |key| schema.get(key).and_then(|values| values.get(0));
    if let Some(value) = schema.get("const").or_else(|| first("enum")) {
        return value.clone();
    }
    if let Some(alternative) = first("anyOf").or_else(|| first("oneOf")) {
        return example(alternative);
    }
    // Of several types the first will do.
    match first("type").or(schema.get("type")).and_then(Value::as_str) {
        Some("string") => Value::from("simulated"),
        Some("number" | "integer") => schema.get("minimum").cloned().unwrap_or(Value::from(1)),
        Some("boolean") => Value::Bool(true),
        Some("array") => Value::Array(items(schema)),
        Some("null") => Value::Null,
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            let examples = fields.map(|(name, schema)| (name.clone(), example(schema)));
            Value::Object(examples.collect())
        }
    }
}

/// No item, or one where there has to be any. More would multiply in arrays of arrays.
fn items(schema: &Value) -> Vec<Value> {
    let least = schema.get("minItems").and_then(Value::as_u64);
    let one = schema.get("items").filter(|_| least > Some(0));
    one.map(example).into_iter().collect()
}
