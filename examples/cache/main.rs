//! Asks one question ten times, and another one fifty times at once: each goes to Bedrock once.
//!
//! ```text
//! cargo run --example cache
//! cargo run --example cache -- --help
//! ```

use std::{process::ExitCode, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder, Region},
    operation::converse::{ConverseInput, ConverseOutput},
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use bedrock_sim::{Scenario, Server};
use clap::Parser;
use futures_util::future::try_join_all;
use tokio::time::Instant;
use tower_bedrock::{Bedrock, CacheLayer, CoalesceLayer, Request, Response, Stack, Usage};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Asks the same again and again, and counts what goes out.
///
/// Without options it starts a local Bedrock; no AWS account is needed and nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "cache")]
struct Cli {
    /// Calls a Bedrock that is running already: a simulator, a proxy
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// The model to call, by any id that Bedrock accepts
    #[arg(long, value_name = "ID", default_value = "us.amazon.nova-lite-v1:0")]
    model: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cache: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let local = match &cli.endpoint {
        Some(_) => None,
        None => {
            let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
            Some(Server::bind("127.0.0.1:0", scenario).await?)
        }
    };
    let url = match (&cli.endpoint, &local) {
        (Some(url), _) => url.clone(),
        (None, Some(server)) => server.url(),
        (None, None) => return Err("there is nothing to call".into()),
    };

    // 64 MiB for ten minutes. Both layers are about calls of temperature zero without tools.
    let cache = CacheLayer::new(64 << 20, Duration::from_secs(600))?;
    let bedrock = Stack::builder(Bedrock::from_builder(config(url)))
        .cache(cache)
        .coalesce(CoalesceLayer::new())
        .build()?;

    println!("one question, ten times, one after the other:");
    for _ in 0..10 {
        let start = Instant::now();
        let response = bedrock
            .send(question(&cli.model, "What is a tower?")?)
            .await?;
        tell(&response, start.elapsed());
    }
    if let Some(cache) = bedrock.cache() {
        println!("kept: {} answer, {} bytes", cache.entries(), cache.bytes());
    }

    println!("another one, fifty times at once:");
    let start = Instant::now();
    let calls = (0..50)
        .map(|_| Ok(bedrock.send(question(&cli.model, "What is bedrock?")?)))
        .collect::<Result<Vec<_>>>()?;
    let responses = try_join_all(calls).await?;
    let joined = responses
        .iter()
        .filter(|response| response.served().coalesced);
    let usage = responses
        .iter()
        .filter_map(Response::usage)
        .map(Usage::total);
    println!(
        "  {} answers in {:.1?}: {} joined the attempt of another, {} tokens used by all",
        responses.len(),
        start.elapsed(),
        joined.count(),
        usage.sum::<u64>(),
    );

    if let Some(server) = &local {
        let requests = server.service().ledger().totals.requests;
        println!("on the wire: {requests} requests for 60 answers");
    }
    Ok(())
}

/// A question of temperature zero: it may be expected to be answered the same.
fn question(model: &str, text: &str) -> Result<Request<ConverseInput>> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text.to_owned()))
        .build()?;
    let config = InferenceConfiguration::builder()
        .temperature(0.0)
        .max_tokens(200);
    let input = ConverseInput::builder()
        .model_id(model)
        .messages(message)
        .inference_config(config.build())
        .build()?;
    Ok(Request::from(input).with_timeout(Duration::from_secs(60)))
}

fn tell(response: &Response<ConverseOutput>, took: Duration) {
    let tokens = response.usage().map_or(0, Usage::total);
    let cache = response.served().cache;
    println!("  {took:>9.1?}  {tokens:>3} tokens  {cache:?}");
}

fn config(url: String) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
}
