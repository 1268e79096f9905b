//! Runs an unchanged program on the AWS SDK's fluent client twice: as it is, and with one line more
//! where its client is made.
//!
//! ```text
//! cargo run --example sdk_native
//! ```

mod program;

use std::{process::ExitCode, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, Region},
};
use bedrock_sim::{Scenario, Server};
use clap::Parser;
use tower_bedrock::{Quota, QuotaWindow, Route, StackLayer, sdk::install::Resilience};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const QUESTIONS: u32 = 100;

/// Asks a hundred questions at once through the AWS SDK's own client, without tower-bedrock and with
/// it.
///
/// It starts a local Bedrock with a quota of fifty calls at once; no AWS account is needed and nothing
/// leaves the machine. The exit status is 0 only if every question was answered with tower-bedrock.
#[derive(Debug, Parser)]
#[command(name = "sdk_native")]
struct Cli {}

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse();
    match run().await {
        Ok(QUESTIONS) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sdk_native: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<u32> {
    let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
    let server = Server::bind("127.0.0.1:0", scenario).await?;
    let requests = || server.service().ledger().totals.requests;

    let client = Client::from_conf(config(&server).build());
    let answered = program::ask_all(&client, QUESTIONS).await;
    let sent = requests();
    println!("the SDK alone: {answered} of {QUESTIONS} answered, {sent} requests");

    server.service().reset();
    let nova = Route::to("us.amazon.nova-lite-v1:0".parse()?);
    let quota = Quota::new()
        .with_requests_per_minute(600)
        .with_tokens_per_minute(120_000)
        .with_window(QuotaWindow::TokenBucket {
            burst: Duration::from_secs(5),
        });
    let layers = StackLayer::builder("us-east-1")
        .quota(nova, quota)
        .build_layer()?;

    let config = Resilience::new(layers).install(config(&server)); // the one line

    let client = Client::from_conf(config.build());
    let answered = program::ask_all(&client, QUESTIONS).await;
    let sent = requests();
    println!("with tower-bedrock: {answered} of {QUESTIONS} answered, {sent} requests");
    Ok(answered)
}

/// A configuration that reaches the local Bedrock.
fn config(server: &Server) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(server.url())
}
