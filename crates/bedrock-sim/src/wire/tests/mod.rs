//! Tests of the wire protocol, without clock and socket.

mod cache;
mod counting;
mod faults;
mod head;
mod recordings;
mod refusals;
mod streams;

use serde_json::{Value, json};

use super::{
    cache::InputTokens,
    content::{Content, Scale},
    error::WireError,
    request::{Dialect, Prompt, parse},
};

/// Four bytes to a token, as for most models.
const SCALE: Scale = Scale {
    bytes_per_token: 4.0,
    tokens_per_image: 100,
};

fn read(dialect: Dialect, body: &Value) -> Result<Prompt, WireError> {
    parse(dialect, body.to_string().as_bytes())
}

fn content(dialect: Dialect, body: &Value) -> Content {
    read(dialect, body).expect("a sound body").content
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"text": text}]})
}

fn plain(tokens: u64) -> InputTokens {
    InputTokens {
        plain: tokens,
        ..InputTokens::default()
    }
}
