//! The token counter, and that all its users agree.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SCALE, content, user};
use crate::{
    scenario::Vendor,
    wire::{
        content::{Scale, Size},
        request::{Dialect, parse_count},
    },
};

fn tokens(dialect: Dialect, body: &Value) -> u64 {
    SCALE.tokens(content(dialect, body).size)
}

/// The same conversation as Converse, Anthropic and Nova have it.
fn bodies(system: &str, question: &str, schema: &Value) -> [(Dialect, Value); 3] {
    let converse = json!({
        "system": [{"text": system}],
        "messages": [user(question)],
        "toolConfig": {"tools": [{"toolSpec": {
            "name": "weather", "description": "Tells it.", "inputSchema": {"json": schema}
        }}]},
    });
    let anthropic = json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 10,
        "system": system,
        "messages": [{"role": "user", "content": question}],
        "tools": [{"name": "weather", "description": "Tells it.", "input_schema": schema}],
    });
    [
        (Dialect::Converse, converse.clone()),
        (Dialect::Anthropic, anthropic),
        (Dialect::Nova, converse),
    ]
}

// Bytes are divided by the model's rate and rounded up; nothing is free; images count flat.
#[test]
fn scale_rounds_up() {
    let text = |bytes| SCALE.tokens(Size { bytes, images: 0 });
    assert_eq!(
        [text(0), text(1), text(4), text(5), text(8)],
        [1, 1, 1, 2, 2]
    );
    let nova = Scale {
        bytes_per_token: 3.0,
        ..SCALE
    };
    assert_eq!(
        nova.tokens(Size {
            bytes: 10,
            images: 2
        }),
        4 + 200
    );
}

// Text counts by its UTF-8 bytes, however its JSON escapes it.
#[test]
fn text_counts_by_its_bytes() {
    let escaped =
        r#"{"messages":[{"role":"user","content":[{"text":"\u00e9\u00e9\u00e9\u00e9"}]}]}"#;
    let escaped: Value = serde_json::from_str(escaped).expect("JSON");
    assert_eq!(content(Dialect::Converse, &escaped).size.bytes, 8);
    assert_eq!(
        tokens(Dialect::Converse, &json!({"messages": [user("éééé")]})),
        2
    );
}

// Each kind of content has its weight.
#[test]
fn content_has_its_weight() {
    let document = STANDARD.encode([7; 30]);
    let size = |block: Value| {
        let body = json!({"messages": [{"role": "user", "content": [block]}]});
        content(Dialect::Converse, &body).size
    };
    let bytes = |bytes| Size { bytes, images: 0 };
    assert_eq!(
        size(json!({"document": {"format": "pdf", "name": "d", "source": {"bytes": document}}})),
        bytes(30)
    );
    assert_eq!(
        size(json!({"document": {"format": "txt", "name": "d", "source": {"text": "12345"}}})),
        bytes(5)
    );
    assert_eq!(
        size(json!({"image": {"format": "png", "source": {"bytes": document}}})),
        Size {
            bytes: 0,
            images: 1
        }
    );
    assert_eq!(
        size(json!({"toolUse": {"toolUseId": "t", "name": "abc", "input": {"a": 1}}})),
        bytes(3 + 7)
    );
    assert_eq!(
        size(json!({"toolResult": {"toolUseId": "t", "content": [
            {"text": "1234"}, {"json": {"b": true}}, {"image": {"format": "png", "source": {"bytes": "AA=="}}},
        ]}})),
        Size {
            bytes: 4 + 10,
            images: 1
        }
    );
    assert_eq!(
        size(json!({"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "s"}}})),
        bytes(3)
    );
    assert_eq!(
        size(json!({"guardContent": {"text": {"text": "1234"}}})),
        bytes(4)
    );
}

// The blocks of Anthropic's own format weigh what those of Converse do.
#[test]
fn anthropic_blocks_weigh_the_same() {
    let document = STANDARD.encode([7; 31]);
    let blocks = json!([
        {"type": "text", "text": "12345"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": document}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}},
        {"type": "tool_use", "id": "t", "name": "abc", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "1234"}]},
        {"type": "tool_result", "tool_use_id": "t", "content": "12"},
        {"type": "thinking", "thinking": "hmm", "signature": "s"},
    ]);
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": blocks}],
    });
    let expected = Size {
        bytes: 5 + 31 + 3 + (3 + 7) + 4 + 2 + 3,
        images: 1,
    };
    assert_eq!(content(Dialect::Anthropic, &body).size, expected);
}

// CountTokens refuses an input that is not exactly one of its two members.
#[test]
fn count_takes_one_member() {
    for input in [
        json!({}),
        json!({"converse": {"messages": [user("a")]}, "invokeModel": {"body": "e30="}}),
    ] {
        let body = json!({ "input": input }).to_string();
        let error = parse_count(body.as_bytes(), Vendor::Nova).expect_err("not one member");
        assert_eq!(error.code, "ValidationException");
    }
}

proptest! {
    // The same conversation counts alike in every format, and CountTokens agrees with each of them,
    // through both of its members.
    #[test]
    fn every_way_of_counting_agrees(system in "[^\\s].{0,40}", question in "[^\\s].{0,80}") {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let bodies = bodies(&system, &question, &schema);
        let counts = bodies.each_ref().map(|(dialect, body)| tokens(*dialect, body));
        prop_assert_eq!([counts[0]; 3], counts);
        for (dialect, body) in &bodies {
            let vendor = match dialect {
                Dialect::Anthropic => Vendor::Anthropic,
                Dialect::Converse | Dialect::Nova => Vendor::Nova,
            };
            let input = match dialect {
                Dialect::Converse => json!({"converse": body}),
                _ => json!({"invokeModel": {"body": STANDARD.encode(body.to_string())}}),
            };
            let request = json!({"input": input}).to_string();
            let counted = parse_count(request.as_bytes(), vendor).expect("a sound request");
            prop_assert_eq!(SCALE.tokens(counted.size), counts[0]);
        }
    }

    // More content never counts less.
    #[test]
    fn counting_is_monotonic(a in ".{1,60}", b in ".{0,60}") {
        let text = |text: &str| tokens(Dialect::Converse, &json!({"messages": [user(&format!("x{text}"))]}));
        let together = format!("{a}{b}");
        prop_assert!(text(&together) >= text(&a));
    }
}
