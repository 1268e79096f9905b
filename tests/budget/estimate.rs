//! Estimates of real inputs, against what the simulator counts.

use std::time::Duration;

use aws_sdk_bedrockruntime::{
    operation::converse::ConverseInput,
    primitives::Blob,
    types::{
        ContentBlock, ConversationRole, DocumentBlock, DocumentFormat, DocumentSource, ImageBlock,
        ImageFormat, ImageSource, InferenceConfiguration, Message, SystemContentBlock, Tool,
        ToolConfiguration, ToolInputSchema, ToolSpecification,
    },
};
use aws_smithy_types::Document;
use bedrock_sim::{Scenario, SimService};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{Bedrock, ClassifyLayer, Quotas, Request, TokenBudgetLayer};
use tower_bedrock_tests::{MODEL, in_process, model};

use crate::bedrock::route;

const MAX_TOKENS: i32 = 100;

fn text(rng: &mut StdRng, most: usize) -> String {
    let words = [
        "quota",
        "of",
        "tokens",
        "überall",
        "the",
        "minute",
        "日本語",
        "settles",
        "a",
    ];
    let count = rng.random_range(1..=most);
    let words: Vec<_> = (0..count)
        .map(|_| words[rng.random_range(0..words.len())])
        .collect();
    words.join(" ")
}

fn tool(rng: &mut StdRng) -> Tool {
    let fields = (0..rng.random_range(1..=12)).map(|n| {
        let field = [
            ("type".to_owned(), "string".into()),
            ("description".to_owned(), text(rng, 12).into()),
        ];
        (format!("field_{n}"), Document::Object(field.into()))
    });
    let schema = [
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), Document::Object(fields.collect())),
    ];
    let schema = ToolInputSchema::Json(Document::Object(schema.into()));
    let tool = ToolSpecification::builder()
        .name("lookup")
        .description(text(rng, 40));
    Tool::ToolSpec(tool.input_schema(schema).build().expect("the name is set"))
}

fn message(rng: &mut StdRng) -> Message {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text(rng, 600)));
    let message = match rng.random_range(0..4) {
        0 => message.content(ContentBlock::Image(
            ImageBlock::builder()
                .format(ImageFormat::Png)
                .source(ImageSource::Bytes(Blob::new(vec![
                    7;
                    rng.random_range(
                        1000..60_000
                    )
                ])))
                .build()
                .expect("the format is set"),
        )),
        1 => message.content(ContentBlock::Document(
            DocumentBlock::builder()
                .name("report")
                .format(DocumentFormat::Txt)
                .source(DocumentSource::Bytes(Blob::new(text(rng, 2000))))
                .build()
                .expect("the name is set"),
        )),
        _ => message,
    };
    message.build().expect("role and content are set")
}

/// A conversation of a mixed corpus: long and short, with tools, images, documents and system
/// prompts.
fn conversation(rng: &mut StdRng) -> ConverseInput {
    let mut input = ConverseInput::builder()
        .model_id(MODEL)
        .messages(message(rng))
        .inference_config(
            InferenceConfiguration::builder()
                .max_tokens(MAX_TOKENS)
                .build(),
        );
    if rng.random_bool(0.5) {
        input = input.system(SystemContentBlock::Text(text(rng, 300)));
    }
    if rng.random_bool(0.3) {
        let tools = (0..rng.random_range(1..=4)).map(|_| tool(rng)).collect();
        let tools = ToolConfiguration::builder().set_tools(Some(tools)).build();
        input = input.tool_config(tools.expect("there are tools"));
    }
    input.build().expect("no field is required")
}

/// After fifty calls, estimates are off by less than 10 % on average, whatever the model's tokenizer
/// makes of a byte.
#[tokio::test(start_paused = true)]
async fn estimates_learn_from_usage() {
    for bytes_per_token in [2.0, 3.3, 5.0] {
        let spec = model()
            .bytes_per_token(bytes_per_token)
            .output_tokens(1)
            .latency(Duration::from_secs(1));
        let scenario = Scenario::builder()
            .seed(7)
            .model(spec)
            .build()
            .expect("a valid scenario");
        let sim = SimService::new(scenario);
        let quotas = Quotas::new();
        let bedrock = ServiceBuilder::new()
            .layer(TokenBudgetLayer::new(quotas.clone()))
            .layer(ClassifyLayer::new())
            .service(Bedrock::from_builder(in_process(&sim)));
        let mut rng = StdRng::seed_from_u64(5);
        let mut errors = Vec::new();
        for _ in 0..100 {
            let request = Request::from(conversation(&mut rng));
            let request = request.with_route(route());
            let call = tokio::spawn(bedrock.clone().oneshot(request));
            sleep(Duration::from_millis(500)).await;
            let held = quotas.snapshot_of(&route()).tokens_held;
            let response = call
                .await
                .expect("no call panics")
                .expect("the call is answered");
            let estimated = held as f64 - f64::from(MAX_TOKENS);
            let counted = response.usage().expect("usage is told").input as f64;
            errors.push((estimated / counted - 1.0).abs());
        }
        let mean = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
        let (first, later) = (mean(&errors[..10]), mean(&errors[50..]));
        assert!(later < 0.10, "{bytes_per_token} bytes a token: {later}");
        assert!(
            first > later,
            "{bytes_per_token} bytes a token: {first}, then {later}"
        );
    }
}
