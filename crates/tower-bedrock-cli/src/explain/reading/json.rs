//! Errors in JSON: bodies of the service, records of CloudTrail, what SDKs and gateways log.

use serde_json::{Map, Value};

use super::{Found, text};

/// How deep an error may lie within the objects of a log.
const DEPTH: usize = 6;

/// The error in the JSON of `text`; `None` if there is none that says anything.
pub(super) fn read(text: &str) -> Option<Found> {
    let found = match serde_json::from_str::<Value>(text) {
        Ok(value) => value_in(&value, DEPTH),
        Err(_) => embedded(text),
    }?;
    (found != Found::default()).then_some(found)
}

/// JSON within a line of text; what stands around it may know the code or the status.
fn embedded(text: &str) -> Option<Found> {
    let (start, end) = (text.find('{')?, text.rfind('}')?);
    let json = text.get(start..=end)?;
    // Python shows its dictionaries with single quotes.
    let value = serde_json::from_str(json)
        .or_else(|_| serde_json::from_str(&json.replace('\'', "\"")))
        .ok()?;
    let inside = value_in(&value, DEPTH)?;
    inside.message.as_ref()?;
    let mut around = text::read(&text[..start]);
    around.message = None;
    Some(inside.or(around))
}

fn value_in(value: &Value, depth: usize) -> Option<Found> {
    match value {
        Value::Object(object) if depth > 0 => Some(object_in(object, depth)),
        Value::Array(values) if depth > 0 => {
            values.iter().find_map(|value| value_in(value, depth - 1))
        }
        Value::String(text) if depth > 0 => Some(read(text).unwrap_or_else(|| text::read(text))),
        _ => None,
    }
}

fn object_in(object: &Map<String, Value>, depth: usize) -> Found {
    let mut found = Found {
        code: string(
            object,
            &[
                "__type",
                "code",
                "errorCode",
                "error_code",
                "name",
                "exception",
            ],
        )
        .filter(|code| text::is_code(code))
        .map(|code| text::bare(&code)),
        status: number(
            object,
            &[
                "status",
                "statusCode",
                "status_code",
                "httpStatusCode",
                "http_status",
            ],
        ),
        original_status: number(object, &["originalStatusCode"]),
        request_id: string(object, &["requestId", "request_id", "requestID"]),
        ..Found::default()
    };
    if let Some(message) = string(object, &["message", "errorMessage", "error_message", "msg"]) {
        // Others put the whole error into their message, or into a string of JSON.
        let within = read(&message).unwrap_or_else(|| text::read(&message));
        if found.code.is_none() && (within.code.is_some() || within.status.is_some()) {
            found = found.or(within);
        }
        found.message.get_or_insert(message);
    }
    for (key, value) in object {
        let inner = match value {
            // An exception of an event stream goes by its member: {"throttlingException": {..}}.
            Value::Object(inner) if text::is_stream_exception(key) => Some(Found {
                code: Some(text::capitalized(key)),
                ..object_in(inner, depth.saturating_sub(1))
            }),
            Value::Object(_) | Value::Array(_) => value_in(value, depth.saturating_sub(1)),
            Value::String(words) if key.eq_ignore_ascii_case("error") => Some(text::read(words)),
            _ => None,
        };
        if let Some(inner) = inner {
            found = found.or(inner);
        }
    }
    found
}

fn string(object: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    let value = get(object, keys)?.as_str()?;
    (!value.is_empty()).then(|| value.to_owned())
}

fn number(object: &Map<String, Value>, keys: &[&str]) -> Option<u16> {
    let value = get(object, keys)?;
    let number = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    u16::try_from(number)
        .ok()
        .filter(|n| (100..600).contains(n))
}

/// The value of the first of `keys` that is there, blind to case.
fn get<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| {
        object
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    })
}
