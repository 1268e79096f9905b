//! Two calls share an answer only if the service could not tell them apart.

use std::{
    collections::HashMap,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_sdk_bedrockruntime::{
    operation::{
        apply_guardrail::ApplyGuardrailInput, converse::ConverseInput,
        converse_stream::ConverseStreamInput, count_tokens::CountTokensInput,
        invoke_model::InvokeModelInput,
        invoke_model_with_response_stream::InvokeModelWithResponseStreamInput,
    },
    primitives::Blob,
    types::{
        CachePointBlock, CachePointType, ContentBlock, ConversationRole, DocumentBlock,
        DocumentFormat, DocumentSource, GuardrailConfiguration, GuardrailContentBlock,
        GuardrailContentSource, GuardrailOutputScope, GuardrailStreamConfiguration,
        GuardrailStreamProcessingMode, GuardrailTextBlock, GuardrailTrace, ImageBlock, ImageFormat,
        ImageSource, InferenceConfiguration, Message, OutputConfig, PerformanceConfigLatency,
        PerformanceConfiguration, PromptVariableValues, S3Location, ServiceTier, ServiceTierType,
        SystemContentBlock, Tool, ToolConfiguration, ToolInputSchema, ToolSpecification,
        ToolUseBlock, Trace,
    },
};
use aws_smithy_types::{Document, Number};
use futures_util::FutureExt;
use tower::{Layer, Service, service_fn};
use tower_bedrock::{
    AnswerPart, CacheControl, CacheLayer, Error, KeyedInput, OperationInput, Request, Response,
    Served,
};
use tower_bedrock_tests::{apply_guardrail, count_tokens, invoke, message};

/// Which attempt it was that answered.
#[derive(Clone)]
struct Attempt(u32);

impl AnswerPart for Attempt {
    fn held_bytes(&self) -> usize {
        0
    }
}

/// Asks for each of `inputs` in turn, through one cache; tells for each which attempt answered it.
pub(super) fn attempts<Op>(inputs: impl IntoIterator<Item = Op>) -> Vec<u32>
where
    Op: KeyedInput + OperationInput,
{
    let attempts = Arc::new(AtomicU32::new(0));
    let cache = CacheLayer::new(1 << 30, Duration::from_secs(3600)).unwrap();
    let mut service = cache.layer(service_fn(move |_: Request<Op>| {
        let attempt = Attempt(attempts.fetch_add(1, Ordering::Relaxed));
        ready(Ok::<_, Error>(Response::new(
            attempt,
            Served::default(),
            None,
        )))
    }));
    let ask = |input| {
        let request = Request::from(input).with_cache(CacheControl::Use);
        let answer = service.call(request).now_or_never();
        answer.unwrap().unwrap().output().0
    };
    inputs.into_iter().map(ask).collect()
}

/// An input, one that differs from it in one thing, and both again: the same share, others do not.
fn assert_apart<Op>(input: Op, change: &str, other: Op)
where
    Op: KeyedInput + OperationInput + Clone,
{
    let seen = attempts([input.clone(), other.clone(), input, other]);
    assert_eq!(seen, [0, 1, 0, 1], "{change}");
}

type Change<Op> = (&'static str, fn(&mut Op));

fn assert_all_apart<Op>(input: &Op, changes: &[Change<Op>])
where
    Op: KeyedInput + OperationInput + Clone,
{
    let changed = |change: fn(&mut Op)| {
        let mut input = input.clone();
        change(&mut input);
        input
    };
    for (what, change) in changes {
        assert_apart(input.clone(), what, changed(*change));
    }
    // Nor do any two of the changed ones share.
    let all = changes.iter().map(|(_, change)| changed(*change));
    let seen = attempts(all.clone().chain(all));
    let numbers: Vec<_> = (0..u32::try_from(changes.len()).unwrap()).collect();
    assert_eq!(seen, [&numbers[..], &numbers[..]].concat());
}

fn number(number: f64) -> Document {
    let fields = HashMap::from([("top_k".to_owned(), Document::Number(Number::Float(number)))]);
    Document::Object(fields)
}

pub(super) fn tools(schema: Document) -> ToolConfiguration {
    let tool = ToolSpecification::builder()
        .name("weather")
        .input_schema(ToolInputSchema::Json(schema))
        .build()
        .unwrap();
    let tools = ToolConfiguration::builder().tools(Tool::ToolSpec(tool));
    tools.build().unwrap()
}

pub(super) fn said(block: ContentBlock) -> Vec<Message> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(block)
        .build();
    vec![message.unwrap()]
}

pub(super) fn image(source: ImageSource) -> ContentBlock {
    let image = ImageBlock::builder()
        .format(ImageFormat::Png)
        .source(source);
    ContentBlock::Image(image.build().unwrap())
}

pub(super) fn document(format: DocumentFormat) -> ContentBlock {
    let document = DocumentBlock::builder()
        .name("plan")
        .format(format)
        .source(DocumentSource::Text("the same".into()));
    ContentBlock::Document(document.build().unwrap())
}

pub(super) fn tool_use(input: Document) -> ContentBlock {
    let used = ToolUseBlock::builder()
        .tool_use_id("one")
        .name("weather")
        .input(input);
    ContentBlock::ToolUse(used.build().unwrap())
}

/// Every field of both conversations, as different as two of its values can be and be told apart.
macro_rules! conversation_changes {
    ($guardrail:ident) => {
        &[
            ("model", |input| {
                input.model_id = Some("amazon.nova-pro-v1:0".into())
            }),
            ("no model", |input| input.model_id = None),
            ("text", |input| {
                input.messages = Some(vec![message("hullo")])
            }),
            ("no message", |input| input.messages = Some(Vec::new())),
            ("no messages", |input| input.messages = None),
            ("a message twice", |input| {
                input.messages = Some(vec![message("hello"), message("hello")]);
            }),
            ("text in two blocks", |input| {
                let message = Message::builder()
                    .role(ConversationRole::User)
                    .content(ContentBlock::Text("hel".into()))
                    .content(ContentBlock::Text("lo".into()));
                input.messages = Some(vec![message.build().unwrap()]);
            }),
            ("role", |input| {
                let message = Message::builder()
                    .role(ConversationRole::Assistant)
                    .content(ContentBlock::Text("hello".into()));
                input.messages = Some(vec![message.build().unwrap()]);
            }),
            ("cache point", |input| {
                let point = CachePointBlock::builder().r#type(CachePointType::Default);
                let point = ContentBlock::CachePoint(point.build().unwrap());
                input.messages.as_mut().unwrap().extend(said(point));
            }),
            ("image", |input| {
                input.messages = Some(said(image(ImageSource::Bytes(Blob::new("one")))));
            }),
            ("other image", |input| {
                input.messages = Some(said(image(ImageSource::Bytes(Blob::new("two")))));
            }),
            ("image elsewhere", |input| {
                let place = S3Location::builder().uri("s3://one/two").build().unwrap();
                input.messages = Some(said(image(ImageSource::S3Location(place))));
            }),
            ("image of another owner", |input| {
                let place = S3Location::builder().uri("s3://one/two").bucket_owner("me");
                let place = place.build().unwrap();
                input.messages = Some(said(image(ImageSource::S3Location(place))));
            }),
            ("document", |input| {
                input.messages = Some(said(document(DocumentFormat::Txt)))
            }),
            ("format of a document", |input| {
                input.messages = Some(said(document(DocumentFormat::Md)));
            }),
            ("tool use", |input| {
                input.messages = Some(said(tool_use(number(1.0))))
            }),
            ("other tool use", |input| {
                input.messages = Some(said(tool_use(number(2.0))))
            }),
            ("system", |input| {
                input.system = Some(vec![SystemContentBlock::Text("hello".into())]);
            }),
            ("most tokens", |input| {
                let config = InferenceConfiguration::builder().max_tokens(5);
                input.inference_config = Some(config.build());
            }),
            ("temperature", |input| {
                let config = InferenceConfiguration::builder().temperature(0.0);
                input.inference_config = Some(config.build());
            }),
            ("sign of the temperature", |input| {
                let config = InferenceConfiguration::builder().temperature(-0.0);
                input.inference_config = Some(config.build());
            }),
            ("top p", |input| {
                let config = InferenceConfiguration::builder().top_p(0.0);
                input.inference_config = Some(config.build());
            }),
            ("stop sequences", |input| {
                let config = InferenceConfiguration::builder().stop_sequences("stop");
                input.inference_config = Some(config.build());
            }),
            ("tools", |input| {
                input.tool_config = Some(tools(number(1.0)))
            }),
            ("schema of a tool", |input| {
                input.tool_config = Some(tools(number(2.0)))
            }),
            ("guardrail", |input| {
                let guardrail = $guardrail::builder()
                    .guardrail_identifier("one")
                    .guardrail_version("1");
                input.guardrail_config = Some(guardrail.build());
            }),
            ("version of a guardrail", |input| {
                let guardrail = $guardrail::builder()
                    .guardrail_identifier("one")
                    .guardrail_version("2");
                input.guardrail_config = Some(guardrail.build());
            }),
            ("trace of a guardrail", |input| {
                let guardrail = $guardrail::builder()
                    .guardrail_identifier("one")
                    .guardrail_version("1")
                    .trace(GuardrailTrace::Enabled);
                input.guardrail_config = Some(guardrail.build());
            }),
            ("more fields", |input| {
                input.additional_model_request_fields = Some(number(0.0));
            }),
            ("sign of a number", |input| {
                input.additional_model_request_fields = Some(number(-0.0));
            }),
            ("kind of a number", |input| {
                let fields = HashMap::from([("top_k".into(), Document::from(0_u64))]);
                input.additional_model_request_fields = Some(Document::Object(fields));
            }),
            ("null", |input| {
                input.additional_model_request_fields = Some(Document::Null)
            }),
            ("variables", |input| {
                let value = PromptVariableValues::Text("one".into());
                input.prompt_variables = Some(HashMap::from([("a".into(), value)]));
            }),
            ("name of a variable", |input| {
                let value = PromptVariableValues::Text("one".into());
                input.prompt_variables = Some(HashMap::from([("b".into(), value)]));
            }),
            ("fields to tell of", |input| {
                input.additional_model_response_field_paths = Some(vec!["/stop".into()]);
            }),
            ("metadata", |input| {
                input.request_metadata = Some(HashMap::from([("team".into(), "a".into())]));
            }),
            ("other metadata", |input| {
                input.request_metadata = Some(HashMap::from([("team".into(), "b".into())]));
            }),
            ("performance", |input| {
                let config = PerformanceConfiguration::builder();
                let config = config.latency(PerformanceConfigLatency::Optimized);
                input.performance_config = Some(config.build());
            }),
            ("tier", |input| {
                let tier = ServiceTier::builder().r#type(ServiceTierType::Flex);
                input.service_tier = Some(tier.build().unwrap());
            }),
            ("a tier that is said", |input| {
                let tier = ServiceTier::builder().r#type(ServiceTierType::Default);
                input.service_tier = Some(tier.build().unwrap());
            }),
            ("output", |input| {
                input.output_config = Some(OutputConfig::builder().effort("high").build());
            }),
        ]
    };
}

/// Every field of a conversation parts calls.
#[test]
fn conversations_that_differ_do_not_share() {
    let input = ConverseInput::builder()
        .model_id("amazon.nova-lite-v1:0")
        .messages(message("hello"))
        .build()
        .unwrap();
    assert_all_apart(&input, conversation_changes!(GuardrailConfiguration));
}

/// So it does of one that is answered as a stream, the mode of its guardrail included.
#[test]
fn streams_that_differ_do_not_share() {
    let input = ConverseStreamInput::builder()
        .model_id("amazon.nova-lite-v1:0")
        .messages(message("hello"))
        .build()
        .unwrap();
    assert_all_apart(&input, conversation_changes!(GuardrailStreamConfiguration));
    let with = |mode| {
        let guardrail = GuardrailStreamConfiguration::builder()
            .guardrail_identifier("one")
            .guardrail_version("1")
            .stream_processing_mode(mode);
        let mut input = input.clone();
        input.guardrail_config = Some(guardrail.build());
        input
    };
    let sync = with(GuardrailStreamProcessingMode::Sync);
    let other = with(GuardrailStreamProcessingMode::Async);
    assert_apart(sync, "mode of a guardrail", other);
}

macro_rules! invocation_changes {
    () => {
        &[
            ("body", |input| input.body = Some(Blob::new("{}"))),
            ("space in a body", |input| {
                input.body = Some(Blob::new("{ }"))
            }),
            ("no body", |input| input.body = None),
            ("content type", |input| {
                input.content_type = Some("text/plain".into())
            }),
            ("accept", |input| input.accept = Some("image/png".into())),
            ("model", |input| {
                input.model_id = Some("amazon.nova-pro-v1:0".into())
            }),
            ("trace", |input| input.trace = Some(Trace::Enabled)),
            ("guardrail", |input| {
                input.guardrail_identifier = Some("one".into())
            }),
            ("version", |input| {
                input.guardrail_version = Some("1".into())
            }),
            ("latency", |input| {
                input.performance_config_latency = Some(PerformanceConfigLatency::Optimized);
            }),
            ("tier", |input| {
                input.service_tier = Some(ServiceTierType::Priority)
            }),
            ("metadata", |input| {
                input.request_metadata = Some("{}".into())
            }),
        ]
    };
}

/// Every field of an invocation parts calls, and every byte of its body.
#[test]
fn invocations_that_differ_do_not_share() {
    assert_all_apart::<InvokeModelInput>(&invoke(), invocation_changes!());
    let stream = tower_bedrock_tests::invoke_stream();
    assert_all_apart::<InvokeModelWithResponseStreamInput>(&stream, invocation_changes!());
}

/// Counting and guarding are no different.
#[test]
fn other_operations_that_differ_do_not_share() {
    use aws_sdk_bedrockruntime::types::{
        ConverseTokensRequest, CountTokensInput as Counted, InvokeModelTokensRequest,
    };
    let changes: &[Change<CountTokensInput>] = &[
        ("model", |input| {
            input.model_id = Some("amazon.nova-pro-v1:0".into())
        }),
        ("nothing", |input| input.input = None),
        ("text", |input| {
            let request = ConverseTokensRequest::builder().messages(message("hullo"));
            input.input = Some(Counted::Converse(request.build()));
        }),
        ("form", |input| {
            let request = InvokeModelTokensRequest::builder().body(Blob::new("{}"));
            input.input = Some(Counted::InvokeModel(request.build().unwrap()));
        }),
    ];
    assert_all_apart(&count_tokens(), changes);

    let changes: &[Change<ApplyGuardrailInput>] = &[
        ("guardrail", |input| {
            input.guardrail_identifier = Some("other".into())
        }),
        ("version", |input| {
            input.guardrail_version = Some("2".into())
        }),
        ("source", |input| {
            input.source = Some(GuardrailContentSource::Output)
        }),
        ("scope", |input| {
            input.output_scope = Some(GuardrailOutputScope::Full)
        }),
        ("text", |input| {
            let text = GuardrailTextBlock::builder().text("hullo").build().unwrap();
            input.content = Some(vec![GuardrailContentBlock::Text(text)]);
        }),
    ];
    assert_all_apart(&apply_guardrail(), changes);
}
