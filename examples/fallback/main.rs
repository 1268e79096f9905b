//! Keeps calling while a region is down and a model is overloaded, and shows who answers.
//!
//! ```text
//! cargo run --example fallback
//! cargo run --example fallback -- --help
//! ```

mod report;

use std::{process::ExitCode, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    config::{BehaviorVersion, Builder, Region},
    operation::converse::ConverseInput,
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use bedrock_sim::{Scenario, Server};
use clap::Parser;
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};
use tower_bedrock::{
    Bedrock, CircuitBreakers, CircuitPolicy, FallbackLayer, Ladder, Request, Residency, Rung, Stack,
};

use crate::report::Report;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SONNET: &str = "eu.anthropic.claude-sonnet-4-6";
const HAIKU: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1:0";
const GLOBAL: &str = "global.anthropic.claude-sonnet-4-6";

/// A call every 50 ms, until two seconds after the last fault.
const EVERY: Duration = Duration::from_millis(50);
const CALLS: u32 = 200;

/// Makes 20 calls a second for ten seconds to a local Bedrock whose first region fails, and whose
/// model is overloaded afterwards, and shows which route of the ladder answered them.
///
/// No AWS account is needed and nothing leaves the machine. The exit status is 0 only if every call
/// was answered and the first route answers again in the end.
#[derive(Debug, Parser)]
#[command(name = "fallback")]
struct Cli {
    /// Prints the counts as one JSON object
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = match run().await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("fallback: {error}");
            return ExitCode::FAILURE;
        }
    };
    match report.print(cli.json) {
        Ok(()) => ExitCode::from(u8::from(!report.is_well())),
        Err(error) => {
            eprintln!("fallback: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Report> {
    let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
    let server = Server::bind("127.0.0.1:0", scenario).await?;

    // The same model in the other region; then, rather than none, a smaller one; and one that the
    // calls may not take, for their data must not leave Europe.
    let ladder = Ladder::new()
        .then(Rung::in_region("eu-central-1"))
        .then(Rung::model(HAIKU.parse()?))
        .then(Rung::model(HAIKU.parse()?).at("eu-central-1"))
        .then(Rung::model(GLOBAL.parse()?));
    // Quicker than by default, so that ten seconds show it.
    let policy = CircuitPolicy::new()
        .with_consecutive_failures(3)
        .with_cooldown(Duration::from_millis(300), Duration::from_millis(600));
    let breakers = CircuitBreakers::new()
        .with_home_region("eu-west-1")
        .with_policy(policy)?;
    let bedrock = Stack::builder(Bedrock::from_builder(config(server.url())))
        .fallback(FallbackLayer::new(ladder)?)
        .circuit_breaker(breakers)
        .build()?;

    let start = Instant::now();
    let mut every = interval(EVERY);
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        every.tick().await;
        let request = Request::from(question(number)?)
            .within(Residency::Geo)
            .with_timeout(Duration::from_secs(10));
        let bedrock = bedrock.clone();
        calls.spawn(async move {
            let made = start.elapsed();
            let answer = bedrock.send(request).await;
            (made, answer.map(|response| response.served().clone()))
        });
    }
    let mut report = Report::default();
    while let Some(call) = calls.join_next().await {
        let (made, served) = call?;
        report.add(made, served);
    }
    report.set_wire(&server.service().ledger());
    Ok(report)
}

fn config(url: String) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
}

fn question(number: u32) -> Result<ConverseInput> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(format!("What is {number} and one?")))
        .build()?;
    Ok(ConverseInput::builder()
        .model_id(SONNET)
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(100).build())
        .build()?)
}
