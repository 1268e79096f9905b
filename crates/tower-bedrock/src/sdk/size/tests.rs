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
