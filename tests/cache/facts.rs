//! What inputs tell of how they will be answered.

use std::collections::HashMap;

use aws_sdk_bedrockruntime::{
    operation::{converse::ConverseInput, invoke_model::InvokeModelInput},
    primitives::Blob,
    types::{
        ContentBlock, ConversationRole, GuardrailConfiguration, ImageBlock, ImageFormat,
        ImageSource, InferenceConfiguration, Message, PromptVariableValues, S3Location, Tool,
        ToolConfiguration, ToolInputSchema, ToolSpecification,
    },
};
use aws_smithy_types::Document;
use tower_bedrock::KeyedInput;
use tower_bedrock_tests::{apply_guardrail, count_tokens, message};

fn cold() -> ConverseInput {
    ConverseInput::builder()
        .model_id("amazon.nova-lite-v1:0")
        .messages(message("hello"))
        .inference_config(InferenceConfiguration::builder().temperature(0.0).build())
        .build()
        .unwrap()
}

fn fields(name: &str) -> Document {
    Document::Object(HashMap::from([(name.to_owned(), Document::from(1_u64))]))
}

/// A conversation is repeatable if it says a temperature of zero; and not with tools, wherever they are
/// given to the model, nor if the temperature is said twice, nor if anything lies elsewhere.
#[test]
fn what_makes_a_conversation_repeatable() {
    assert!(cold().facts().is_repeatable());
    let mut other = cold();
    other.additional_model_request_fields = Some(fields("top_k"));
    assert!(other.facts().is_repeatable());
    let mut guarded = cold();
    let guardrail = |version: &str| {
        let guardrail = GuardrailConfiguration::builder()
            .guardrail_identifier("one")
            .guardrail_version(version);
        Some(guardrail.build())
    };
    guarded.guardrail_config = guardrail("1");
    assert!(guarded.facts().is_repeatable());

    let tool = ToolSpecification::builder()
        .name("weather")
        .input_schema(ToolInputSchema::Json(fields("a")))
        .build()
        .unwrap();
    let tools = ToolConfiguration::builder().tools(Tool::ToolSpec(tool));
    let mut with_tools = cold();
    with_tools.tool_config = Some(tools.build().unwrap());
    assert!(with_tools.facts().has_tools);
    let mut claudes_tools = cold();
    claudes_tools.additional_model_request_fields = Some(fields("tools"));
    assert!(claudes_tools.facts().has_tools);
    let mut twice = cold();
    twice.additional_model_request_fields = Some(fields("temperature"));
    assert_eq!(twice.facts().temperature, None);
    let mut unsaid = cold();
    unsaid.inference_config = None;
    assert_eq!(unsaid.facts().temperature, None);
    let mut warm = cold();
    let config = InferenceConfiguration::builder().temperature(0.5);
    warm.inference_config = Some(config.build());
    assert_eq!(warm.facts().temperature, Some(0.5));
    for input in [with_tools, claudes_tools, twice, unsaid, warm] {
        assert!(!input.facts().is_repeatable());
    }

    let place = S3Location::builder().uri("s3://one/two").build().unwrap();
    let image = ImageBlock::builder()
        .format(ImageFormat::Png)
        .source(ImageSource::S3Location(place))
        .build()
        .unwrap();
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Image(image))
        .build();
    let mut in_s3 = cold();
    in_s3.messages = Some(vec![message.unwrap()]);
    let mut draft = cold();
    draft.guardrail_config = guardrail("DRAFT");
    let mut prompt = cold();
    prompt.model_id = Some("arn:aws:bedrock:us-east-1:111122223333:prompt/ABCDEFGHIJ".into());
    let mut variables = cold();
    let value = PromptVariableValues::Text("one".into());
    variables.prompt_variables = Some(HashMap::from([("a".into(), value)]));
    for input in [in_s3, draft, prompt, variables] {
        let facts = input.facts();
        assert!(
            facts.refers_elsewhere && !facts.is_repeatable(),
            "{facts:?}"
        );
    }
}

fn invocation(body: &str) -> InvokeModelInput {
    InvokeModelInput::builder()
        .model_id("amazon.nova-lite-v1:0")
        .body(Blob::new(body))
        .build()
        .unwrap()
}

/// Bodies say their temperature in the formats of the models' makers; what cannot be read says nothing.
#[test]
fn what_makes_an_invocation_repeatable() {
    for body in [
        r#"{"temperature":0,"messages":[]}"#,
        r#"{"temperature":0.0,"prompt":"hello","max_gen_len":10}"#,
        r#"{"inferenceConfig":{"temperature":0,"maxTokens":10},"messages":[]}"#,
        r#"{"textGenerationConfig":{"temperature":0},"inputText":"hello"}"#,
    ] {
        assert!(invocation(body).facts().is_repeatable(), "{body}");
        let mut draft = invocation(body);
        draft.guardrail_version = Some("DRAFT".into());
        assert!(!draft.facts().is_repeatable(), "{body}");
    }
    for body in [
        "",
        "hello",
        "{}",
        r#"{"temperature":0.7}"#,
        r#"{"temperature":"0"}"#,
        r#"{"temperature":1,"temperature":0}"#,
        r#"{"messages":[{"temperature":0}]}"#,
        r#"{"temperature":0,"tools":[]}"#,
        r#"{"temperature":0,"functions":[]}"#,
        r#"{"inferenceConfig":{"temperature":0},"toolConfig":{"tools":[]}}"#,
        r#"{"temperature":0,"source":{"s3Location":{"uri":"s3://one/two"}}}"#,
        r#"{"temperature":0,"source":{"type":"url","url":"https://example.com/one.png"}}"#,
    ] {
        assert!(!invocation(body).facts().is_repeatable(), "{body}");
    }
}

/// What has no temperature is repeatable by nobody's rule but one's own.
#[test]
fn counting_and_guarding_are_left_to_the_caller() {
    assert!(!count_tokens().facts().is_repeatable());
    assert!(!apply_guardrail().facts().is_repeatable());
    assert!(!apply_guardrail().facts().refers_elsewhere);
    let mut draft = apply_guardrail();
    draft.guardrail_version = Some("draft".into());
    assert!(draft.facts().refers_elsewhere);
}
