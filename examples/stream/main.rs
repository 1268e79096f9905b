//! Prints an answer as it is generated, although what answers first is a throttle.
//!
//! ```text
//! cargo run --example stream
//! cargo run --example stream -- --help
//! ```

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder, Region},
    operation::converse_stream::ConverseStreamInput,
    types::{
        ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput,
        InferenceConfiguration, Message,
    },
};
use bedrock_sim::{Scenario, Server};
use clap::Parser;
use tower_bedrock::{
    Bedrock, MessageAssembler, Request, RetryEvent, RetryLayer, Stack, StreamLimits,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Streams one answer through tower-bedrock and prints it as it comes.
///
/// Without options it starts a local Bedrock whose first stream begins with a throttle; no AWS
/// account is needed and nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "stream")]
struct Cli {
    /// What to ask
    #[arg(default_value = "Tell me about tower.")]
    prompt: String,

    /// Calls a Bedrock that is running already: a simulator, a proxy
    #[arg(long, value_name = "URL", conflicts_with = "aws")]
    endpoint: Option<String>,

    /// Calls the real service, with your own credentials: one call, which costs a little money
    #[arg(long)]
    aws: bool,

    /// The model to call, by any id that Bedrock accepts
    #[arg(long, value_name = "ID", default_value = "us.amazon.nova-lite-v1:0")]
    model: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match stream(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nstream: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn stream(cli: &Cli) -> Result<()> {
    // The local Bedrock lives as long as its server.
    let server = match (&cli.endpoint, cli.aws) {
        (None, false) => {
            let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
            Some(Server::bind("127.0.0.1:0", scenario).await?)
        }
        _ => None,
    };
    let endpoint = server.as_ref().map(Server::url).or(cli.endpoint.clone());

    let limits = StreamLimits::new().with_between_events(Duration::from_secs(60));
    let bedrock = Bedrock::from_builder(config(endpoint).await).with_stream_limits(limits);
    let bedrock = Stack::builder(bedrock)
        .retry(RetryLayer::new().on_event(tell))
        .build()?;

    let request = Request::from(question(cli)?).with_timeout(Duration::from_secs(120));
    let mut stream = bedrock.send(request).await?;
    let mut answer = MessageAssembler::new();
    let mut out = io::stdout();
    while let Some(event) = stream.next().await {
        let event = event?;
        answer.push(&event);
        if let ConverseStreamOutput::ContentBlockDelta(event) = &event
            && let Some(ContentBlockDelta::Text(text)) = event.delta()
        {
            write!(out, "{text}")?;
            out.flush()?;
        }
    }
    writeln!(out)?;

    // The answer as a message, to go on talking with.
    let blocks = answer
        .into_message()
        .map_or(0, |message| message.content().len());
    let served = stream.served();
    eprintln!(
        "{blocks} content block(s) by {} in {} attempts, {:?}",
        served.route,
        served.attempts,
        stream.usage()
    );
    Ok(())
}

/// Shows what the retry layer does.
fn tell(event: &RetryEvent<'_>) {
    if let RetryEvent::Retrying { error, after, .. } = event {
        eprintln!("{error}; again in {} ms", after.as_millis());
    }
}

fn question(cli: &Cli) -> Result<ConverseStreamInput> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(cli.prompt.clone()))
        .build()?;
    Ok(ConverseStreamInput::builder()
        .model_id(&cli.model)
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(500).build())
        .build()?)
}

/// A configuration that reaches `endpoint`, or else the real service.
async fn config(endpoint: Option<String>) -> Builder {
    let Some(url) = endpoint else {
        let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
        return Builder::from(&config);
    };
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
}
