use aws_sdk_bedrockruntime::{
    primitives::Blob,
    types::{
        ConversationRole, DocumentFormat, ImageBlock, ImageFormat, ImageSource, ToolResultBlock,
        ToolSpecification, ToolUseBlock,
    },
};

use super::*;

fn message(blocks: impl IntoIterator<Item = ContentBlock>) -> Message {
    let message = Message::builder().role(ConversationRole::User);
    let blocks = blocks.into_iter().collect();
    message.set_content(Some(blocks)).build().unwrap()
}

fn image() -> ImageBlock {
    ImageBlock::builder()
        .format(ImageFormat::Png)
        .source(ImageSource::Bytes(Blob::new(vec![0; 50_000])))
        .build()
        .unwrap()
}

fn schema() -> Document {
    let city = Document::Object([("type".to_owned(), "string".into())].into());
    let fields = Document::Object([("city".to_owned(), city)].into());
    Document::Object(
        [
            ("type".to_owned(), "object".into()),
            ("properties".to_owned(), fields),
        ]
        .into(),
    )
}

const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#;

/// Everything that is fed to the model counts, each in its own kind: text of messages and system
/// prompts, tool definitions, calls and results, documents, images.
#[test]
fn everything_in_a_conversation_counts() {
    let pdf = DocumentBlock::builder()
        .name("report")
        .format(DocumentFormat::Pdf)
        .source(DocumentSource::Bytes(Blob::new(vec![0; 3000])))
        .build()
        .unwrap();
    let call = ToolUseBlock::builder()
        .tool_use_id("t-1")
        .name("weather")
        .input(schema());
    let result = ToolResultBlock::builder()
        .tool_use_id("t-1")
        .content(ToolResultContentBlock::Text("sunny".to_owned()))
        .content(ToolResultContentBlock::Image(image()));
    let messages = [
        message([
            ContentBlock::Text("four".to_owned()),
            ContentBlock::Image(image()),
            ContentBlock::Document(pdf),
        ]),
        message([ContentBlock::ToolUse(call.build().unwrap())]),
        message([ContentBlock::ToolResult(result.build().unwrap())]),
    ];
    let system = [SystemContentBlock::Text("be kind".to_owned())];
    let tool = ToolSpecification::builder()
        .name("weather")
        .description("tells it")
        .input_schema(ToolInputSchema::Json(schema()));
    let tools = ToolConfiguration::builder()
        .tools(Tool::ToolSpec(tool.build().unwrap()))
        .build()
        .unwrap();

    let size = of_conversation(&messages, &system, Some(&tools));
    let schema = SCHEMA.len() as u64;
    let text = "four".len() + "be kind".len() + "report".len() + "weather".len() + "sunny".len();
    assert_eq!(size.text_bytes, text as u64 + schema);
    assert_eq!(
        size.tool_bytes,
        "weather".len() as u64 + "tells it".len() as u64 + schema
    );
    assert_eq!(size.document_bytes, 3000);
    assert_eq!(size.images, 2);
    assert_eq!(size.parts, 3 + 5 + 1);
}

/// The length of a document is that of its compact JSON.
#[test]
fn documents_are_as_long_as_their_json() {
    let document = Document::Array(vec![
        schema(),
        Document::Bool(true),
        Document::Bool(false),
        Document::Null,
        Document::Number(Number::PosInt(1234)),
        Document::Number(Number::NegInt(-7)),
        Document::Number(Number::PosInt(0)),
        Document::Array(vec![]),
    ]);
    let json = format!("[{SCHEMA},true,false,null,1234,-7,0,[]]");
    assert_eq!(json_bytes(&document), json.len() as u64);
}

/// The bodies of the common model families tell their input and what they may generate.
#[test]
fn bodies_of_all_families_are_read() {
    let base64 = "A".repeat(4000);
    let anthropic = format!(
        r#"{{"anthropic_version":"bedrock-2023-05-31","max_tokens":300,"system":"be kind",
            "messages":[{{"role":"user","content":[
                {{"type":"text","text":"hello"}},
                {{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{base64}"}}}},
                {{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"{base64}"}}}}
            ]}},{{"role":"assistant","content":"more"}}],
            "tools":[{{"name":"weather"}}]}}"#
    );
    let (size, max_output) = of_body(anthropic.as_bytes());
    assert_eq!(max_output, Some(300));
    assert_eq!(
        size.text_bytes,
        ("be kind".len() + "hello".len() + "more".len()) as u64
    );
    assert_eq!((size.images, size.document_bytes), (1, 3000));
    assert!((15..=25).contains(&size.tool_bytes), "{size:?}");

    let nova = format!(
        r#"{{"system":[{{"text":"be kind"}}],"inferenceConfig":{{"maxTokens":400,"temperature":0.5}},
            "messages":[{{"role":"user","content":[
                {{"text":"hello"}},
                {{"image":{{"format":"png","source":{{"bytes":"{base64}"}}}}}},
                {{"document":{{"format":"pdf","name":"report","source":{{"bytes":"{base64}"}}}}}}
            ]}}]}}"#
    );
    let (size, max_output) = of_body(nova.as_bytes());
    assert_eq!(max_output, Some(400));
    assert_eq!(size.text_bytes, ("be kind".len() + "hello".len()) as u64);
    assert_eq!(
        (size.images, size.document_bytes),
        (1, 3000 + "report".len() as u64)
    );

    let titan = r#"{"inputText":"hello","textGenerationConfig":{"maxTokenCount":50}}"#;
    let (size, max_output) = of_body(titan.as_bytes());
    assert_eq!((size.text_bytes, max_output), (5, Some(50)));
    let llama = r#"{"prompt":"hello","max_gen_len":60,"temperature":1}"#;
    let (size, max_output) = of_body(llama.as_bytes());
    assert_eq!((size.text_bytes, max_output), (5, Some(60)));
}

/// Whatever the body is, it has a size, and no reading of it panics.
#[test]
fn a_body_that_is_no_json_counts_by_its_bytes() {
    for body in [
        "",
        "{",
        "hello",
        r#"{"messages":[{"content":"#,
        "[1,2",
        "\u{0}",
    ] {
        let (size, max_output) = of_body(body.as_bytes());
        assert_eq!(
            (size.text_bytes, max_output),
            (body.len() as u64, None),
            "{body}"
        );
    }
    let (size, max_output) = of_body(br#"{"max_tokens":-1,"messages":7}"#);
    assert_eq!((size.text_bytes, max_output), (0, None));
}

/// A field's place among its siblings tells nothing: serde_json writes `data` before `media_type`.
#[test]
fn a_document_is_a_document_in_any_order_of_its_fields() {
    let base64 = "A".repeat(4000);
    let body = format!(
        r#"{{"messages":[{{"content":[
            {{"source":{{"data":"{base64}","media_type":"application/pdf","type":"base64"}},"type":"document"}},
            {{"source":{{"data":"{base64}","media_type":"image/png","type":"base64"}},"type":"image"}}
        ],"role":"user"}}]}}"#
    );
    let (size, _) = of_body(body.as_bytes());
    assert_eq!(
        (size.document_bytes, size.images, size.text_bytes),
        (3000, 1, 0)
    );
}

/// The arguments of a tool's use are input as a whole, whatever their names are and whatever is
/// under them.
#[test]
fn arguments_of_tools_count_whatever_they_are_called() {
    let text = "x".repeat(1000);
    for arguments in [
        format!(r#"{{"query":"{text}"}}"#),
        format!(r#"{{"data":"{text}"}}"#),
        format!(r#"{{"media_type":"{text}"}}"#),
        format!(r#"{{"data":{{"rows":["{text}",1,null]}},"media_type":[1]}}"#),
        format!(r#"{{"image":{{"document":"{text}"}}}}"#),
        format!(r#"["{text}"]"#),
    ] {
        for block in [
            format!(r#"{{"type":"tool_use","name":"find","input":{arguments}}}"#),
            format!(r#"{{"toolUse":{{"name":"find","input":{arguments}}}}}"#),
            format!(r#"{{"toolResult":{{"content":[{{"json":{arguments}}}]}}}}"#),
        ] {
            let messages = format!(r#"[{{"role":"assistant","content":[{block}]}}]"#);
            let body = format!(r#"{{"max_tokens":9,"messages":{messages}}}"#);
            let (size, max_output) = of_body(body.as_bytes());
            assert!((1000..1100).contains(&size.text_bytes), "{block}: {size:?}");
            assert_eq!((size.images, size.document_bytes), (0, 0), "{block}");
            assert_eq!(max_output, Some(9), "{block}");
        }
    }
}

/// Neither nesting nor size is a way to stop a process.
#[test]
fn a_hostile_body_is_read_in_time() {
    for name in ["messages", "tools", "other", "max_tokens"] {
        let deep = format!(r#"{{"{name}":{}"#, "[".repeat(1_000_000));
        assert_eq!(of_body(deep.as_bytes()).0.text_bytes, deep.len() as u64);
        let closed = format!(r#"{deep}{}}}"#, "]".repeat(1_000_000));
        of_body(closed.as_bytes());
    }
}
