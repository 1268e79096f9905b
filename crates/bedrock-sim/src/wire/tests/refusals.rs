//! Requests that the service refuses, and requests that it takes.

use serde_json::{Value, json};

use super::{read, user};
use crate::{
    scenario::Vendor,
    wire::{
        guardrail,
        request::{Dialect, parse},
    },
};

fn anthropic(change: &Value) -> Value {
    let mut body = json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hello"}],
    });
    let fields = body.as_object_mut().expect("an object");
    for (name, value) in change.as_object().expect("an object") {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    body
}

fn refused(dialect: Dialect, body: &Value) -> String {
    let error = read(dialect, body).err().expect("the service refuses this");
    assert_eq!(error.status, 400);
    assert_eq!(error.code, "ValidationException");
    error.message.into_owned()
}

// Converse refuses what is no conversation, in the service's words.
#[test]
fn converse_wants_a_conversation() {
    let assistant = json!({"role": "assistant", "content": [{"text": "Hello"}]});
    let start = "A conversation must start with a user message. Try again with a conversation that \
                 starts with a user message.";
    for (messages, text) in [
        (json!([]), start),
        (json!([assistant]), start),
        (
            json!([user("a"), {"role": "user", "content": []}]),
            "The content field in the Message object at messages.1 is empty. Add a ContentBlock \
             object to the content field and try again.",
        ),
        (
            json!([user("a"), assistant, {"role": "user", "content": [{"text": "b"}, {"text": " \n"}]}]),
            "The text field in the ContentBlock object at messages.2.content.1 is blank. Add text \
             to the text field, and try again.",
        ),
        (
            json!([user("a"), {"role": "robot", "content": [{"text": "b"}]}]),
            "1 validation error detected: Value at 'messages.2.member.role' failed to satisfy \
             constraint: Member must satisfy enum value set: [user, assistant]",
        ),
    ] {
        let body = json!({ "messages": messages });
        assert_eq!(refused(Dialect::Converse, &body), text);
    }
    assert_eq!(refused(Dialect::Converse, &json!({})), start);
}

// Converse and Nova refuse inference parameters out of their range, each in its own words.
#[test]
fn parameters_have_their_range() {
    for (config, converse, nova) in [
        (
            json!({"maxTokens": 0}),
            "Value '0' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have \
             value greater than or equal to 1",
            "#/inferenceConfig/maxTokens: 0 is not greater or equal to 1",
        ),
        (
            json!({"maxTokens": -5}),
            "Value '-5' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must \
             have value greater than or equal to 1",
            "#/inferenceConfig/maxTokens: -5 is not greater or equal to 1",
        ),
        (
            json!({"temperature": 1.5}),
            "Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must \
             have value less than or equal to 1",
            "#/inferenceConfig/temperature: 1.5 is not less or equal to 1",
        ),
        (
            json!({"topP": -0.1}),
            "Value '-0.1' at 'inferenceConfig.topP' failed to satisfy constraint: Member must have \
             value greater than or equal to 0",
            "#/inferenceConfig/topP: -0.1 is not greater or equal to 0",
        ),
    ] {
        let body = json!({"messages": [user("a")], "inferenceConfig": config});
        let text = format!("1 validation error detected: {converse}");
        assert_eq!(refused(Dialect::Converse, &body), text);
        let text =
            format!("Malformed input request: {nova}, please reformat your input and try again.");
        assert_eq!(refused(Dialect::Nova, &body), text);
    }
    for config in [
        json!({"maxTokens": 1, "temperature": 0, "topP": 1}),
        json!({"temperature": 1.0, "topP": 0.0}),
        json!({}),
    ] {
        let body = json!({"messages": [user("a")], "inferenceConfig": config});
        assert!(read(Dialect::Converse, &body).is_ok());
        assert!(read(Dialect::Nova, &body).is_ok());
    }
}

// Anthropic's body must name its version and its largest output, and start with the user.
#[test]
fn anthropic_wants_its_fields() {
    for (change, text) in [
        (
            json!({"anthropic_version": null}),
            "anthropic_version: Field required",
        ),
        (json!({"max_tokens": null}), "max_tokens: Field required"),
        (
            json!({"max_tokens": 0}),
            "max_tokens: must be greater than or equal to 1",
        ),
        (json!({"temperature": 1.1}), "temperature: range: 0..1"),
        (json!({"top_p": -1}), "top_p: range: 0..1"),
        (
            json!({"messages": []}),
            "messages: at least one message is required",
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "hi"}]}),
            "messages: first message must use the \"user\" role",
        ),
        (
            json!({"messages": [{"role": "user", "content": ""}]}),
            "messages: text content blocks must be non-empty",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
            "messages: text content blocks must be non-empty",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": " \n"}]}]}),
            "messages: text content blocks must contain non-whitespace text",
        ),
    ] {
        assert_eq!(refused(Dialect::Anthropic, &anthropic(&change)), text);
    }
    assert!(read(Dialect::Anthropic, &anthropic(&json!({}))).is_ok());
}

// What is not JSON, or not the operation's, is refused without quoting it.
#[test]
fn malformed_json_is_refused_in_silence() {
    let secret = "hunter2";
    for body in [
        format!("{{\"messages\": [{secret}"),
        format!("{{\"messages\": \"{secret}\"}}"),
        format!("{{\"messages\": [{{\"role\": \"user\", \"content\": [\"{secret}\"]}}]}}"),
        format!("{{\"inferenceConfig\": {{\"maxTokens\": \"{secret}\"}}}}"),
        String::new(),
    ] {
        let converse = parse(Dialect::Converse, body.as_bytes())
            .err()
            .expect("malformed");
        assert_eq!(converse.code, "SerializationException");
        assert_eq!(converse.status, 400);
        assert!(!converse.message.contains(secret));
        let nova = parse(Dialect::Nova, body.as_bytes())
            .err()
            .expect("malformed");
        assert_eq!(nova.code, "ValidationException");
        assert_eq!(
            nova.message,
            "Malformed input request, please reformat your input and try again."
        );
    }
}

// Fields that the simulator does not know are no reason to refuse.
#[test]
fn unknown_fields_are_taken() {
    let body = json!({
        "messages": [{"role": "user", "content": [{"text": "a"}, {"searchResult": {"source": "x"}}]}],
        "outputConfig": {"effort": "high"},
        "additionalModelRequestFields": {"top_k": 5},
        "requestMetadata": {"team": "blue"},
    });
    assert!(read(Dialect::Converse, &body).is_ok());
    let body = anthropic(&json!({"thinking": {"type": "adaptive"}, "top_k": 5}));
    assert!(read(Dialect::Anthropic, &body).is_ok());
}

// A role of its own for system messages is taken, but does not start a conversation.
#[test]
fn system_messages_do_not_start() {
    let system = json!({"role": "system", "content": [{"text": "Be brief."}]});
    let body = json!({"messages": [system, user("a")]});
    assert!(read(Dialect::Converse, &body).is_ok());
    let body = json!({"messages": [system]});
    assert!(read(Dialect::Converse, &body).is_err());
}

// A forced tool is found by name, or the first is taken; a free choice forces none.
#[test]
fn forced_tool_is_found() {
    let tool =
        |name| json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}});
    for (choice, forced) in [
        (json!({"any": {}}), Some("one")),
        (json!({"tool": {"name": "two"}}), Some("two")),
        (json!({"auto": {}}), None),
    ] {
        let body = json!({
            "messages": [user("a")],
            "toolConfig": {"tools": [tool("one"), tool("two")], "toolChoice": choice},
        });
        let prompt = read(Dialect::Converse, &body).expect("a sound body");
        assert_eq!(prompt.forced_tool.map(|tool| tool.name).as_deref(), forced);
    }
    let tools = json!([{"name": "one", "input_schema": {}}, {"name": "two", "input_schema": {}}]);
    for (choice, forced) in [
        (json!({"type": "any"}), Some("one")),
        (json!({"type": "tool", "name": "two"}), Some("two")),
        (json!({"type": "auto"}), None),
        (json!({"type": "none"}), None),
    ] {
        let body = anthropic(&json!({"tools": tools, "tool_choice": choice}));
        let prompt = read(Dialect::Anthropic, &body).expect("a sound body");
        assert_eq!(prompt.forced_tool.map(|tool| tool.name).as_deref(), forced);
    }
}

// A tool that is not offered cannot be forced, and is not named in the refusal.
#[test]
fn forced_tool_has_to_be_offered() {
    let spec = json!({"toolSpec": {"name": "one", "inputSchema": {"json": {}}}});
    let choice = json!({"tool": {"name": "hunter2"}});
    let body = json!({
        "messages": [user("a")],
        "toolConfig": {"tools": [spec], "toolChoice": choice},
    });
    let choice = json!({"type": "tool", "name": "hunter2"});
    let tools = json!([{"name": "one", "input_schema": {}}]);
    for (dialect, body) in [
        (Dialect::Converse, &body),
        (Dialect::Nova, &body),
        (
            Dialect::Anthropic,
            &anthropic(&json!({"tools": tools, "tool_choice": choice})),
        ),
    ] {
        let message = refused(dialect, body);
        assert!(message.contains("tool") && !message.contains("hunter2"));
    }
}

// Vendors whose bodies are not modelled are refused with a word on what to do.
#[test]
fn other_vendors_are_told() {
    let error = Dialect::of_vendor(Vendor::Other).expect_err("not modelled");
    assert!(error.message.contains("Converse"));
}

// A guardrail wants to know what it looks at, and passes everything.
#[test]
fn guardrail_passes() {
    let body = json!({"source": "INPUT", "content": [{"text": {"text": "x".repeat(1001)}}]});
    let reply = guardrail::apply(body.to_string().as_bytes()).expect("a sound body");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(reply["action"], "NONE");
    assert_eq!(reply["usage"]["contentPolicyUnits"], 2);
    let error = guardrail::apply(br#"{"source": "BOTH", "content": []}"#).expect_err("no source");
    assert_eq!(error.code, "ValidationException");
}
