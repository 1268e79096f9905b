//! What answers say beside their text.

use serde_json::{Value, json};
use tower_bedrock::{Served, Usage};

pub(crate) fn served(served: &Served) -> Value {
    json!({
        "model": served.route.model.as_ref().map(|model| model.as_str()),
        "region": served.route.region.as_ref().map(|region| region.as_str()),
        "attempts": served.attempts,
        "degraded": served.degraded,
    })
}

pub(crate) fn usage(usage: Option<&Usage>) -> Value {
    let tokens = |usage: &Usage| json!({ "input": usage.input, "output": usage.output });
    usage.map_or(Value::Null, tokens)
}
