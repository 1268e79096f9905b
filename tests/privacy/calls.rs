//! Calls with a canary wherever somebody can put something.

use aws_sdk_bedrockruntime::{
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    primitives::Blob,
    types::{
        self, ContentBlock, ConversationRole, ConverseTokensRequest, DocumentBlock, DocumentFormat,
        DocumentSource, GuardrailContentBlock, GuardrailContentSource, GuardrailTextBlock,
        ImageBlock, ImageFormat, ImageSource, InferenceConfiguration, Message, SystemContentBlock,
        Tool, ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock,
        ToolSpecification, ToolUseBlock,
    },
};
use aws_smithy_types::Document;
use tower_bedrock_tests::MODEL;

use crate::canaries::{
    BODY, DOCUMENT, DOCUMENT_NAME, FIELDS, GUARDED, IMAGE, SYSTEM, TEXT, TOOL, TOOL_INPUT,
    TOOL_RESULT,
};

const SET: &str = "all fields are set";

fn document(word: &str) -> Document {
    Document::Object([("word".to_owned(), Document::String(word.to_owned()))].into())
}

fn messages() -> Vec<Message> {
    let image = ImageBlock::builder()
        .format(ImageFormat::Png)
        .source(ImageSource::Bytes(Blob::new(IMAGE)));
    let paper = DocumentBlock::builder()
        .format(DocumentFormat::Txt)
        .name(DOCUMENT_NAME)
        .source(DocumentSource::Bytes(Blob::new(DOCUMENT)));
    let asked = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(TEXT.to_owned()))
        .content(ContentBlock::Image(image.build().expect(SET)))
        .content(ContentBlock::Document(paper.build().expect(SET)));
    let tool_use = ToolUseBlock::builder()
        .tool_use_id("t1")
        .name("look")
        .input(document(TOOL_INPUT));
    let used = Message::builder()
        .role(ConversationRole::Assistant)
        .content(ContentBlock::ToolUse(tool_use.build().expect(SET)));
    let tool_result = ToolResultBlock::builder()
        .tool_use_id("t1")
        .content(ToolResultContentBlock::Json(document(TOOL_RESULT)));
    let told = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::ToolResult(tool_result.build().expect(SET)));
    [asked, used, told]
        .map(|message| message.build().expect(SET))
        .into()
}

fn tools() -> ToolConfiguration {
    let tool = ToolSpecification::builder()
        .name("look")
        .description(TOOL)
        .input_schema(ToolInputSchema::Json(document(TOOL)));
    ToolConfiguration::builder()
        .tools(Tool::ToolSpec(tool.build().expect(SET)))
        .build()
        .expect(SET)
}

fn system() -> SystemContentBlock {
    SystemContentBlock::Text(SYSTEM.to_owned())
}

fn inference() -> InferenceConfiguration {
    InferenceConfiguration::builder()
        .max_tokens(100)
        .stop_sequences(TEXT)
        .build()
}

pub(crate) fn converse() -> ConverseInput {
    ConverseInput::builder()
        .model_id(MODEL)
        .set_messages(Some(messages()))
        .system(system())
        .tool_config(tools())
        .inference_config(inference())
        .additional_model_request_fields(document(FIELDS))
        .build()
        .expect(SET)
}

pub(crate) fn converse_stream() -> ConverseStreamInput {
    ConverseStreamInput::builder()
        .model_id(MODEL)
        .set_messages(Some(messages()))
        .system(system())
        .tool_config(tools())
        .inference_config(inference())
        .additional_model_request_fields(document(FIELDS))
        .build()
        .expect(SET)
}

fn body() -> Blob {
    Blob::new(format!(
        r#"{{"messages":[{{"role":"user","content":[{{"text":"{BODY}"}}]}}],"inferenceConfig":{{"maxTokens":100}}}}"#
    ))
}

pub(crate) fn invoke() -> InvokeModelInput {
    InvokeModelInput::builder()
        .model_id(MODEL)
        .body(body())
        .content_type("application/json")
        .build()
        .expect(SET)
}

pub(crate) fn invoke_stream() -> InvokeModelWithResponseStreamInput {
    InvokeModelWithResponseStreamInput::builder()
        .model_id(MODEL)
        .body(body())
        .content_type("application/json")
        .build()
        .expect(SET)
}

pub(crate) fn count_tokens() -> CountTokensInput {
    let counted = ConverseTokensRequest::builder()
        .set_messages(Some(messages()))
        .system(system());
    CountTokensInput::builder()
        .model_id(MODEL)
        .input(types::CountTokensInput::Converse(counted.build()))
        .build()
        .expect(SET)
}

pub(crate) fn apply_guardrail() -> ApplyGuardrailInput {
    let text = GuardrailTextBlock::builder().text(GUARDED).build();
    ApplyGuardrailInput::builder()
        .guardrail_identifier("gr1234567890")
        .guardrail_version("1")
        .source(GuardrailContentSource::Input)
        .content(GuardrailContentBlock::Text(text.expect(SET)))
        .build()
        .expect(SET)
}
