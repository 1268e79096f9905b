//! Finds out why calls of the AWS SDK fail, and keeps them off a route that is known to be sick, with
//! an interceptor alone: the client's HTTP client and its retries stay as they are.
//!
//! ```text
//! cargo run --example sdk_interceptor
//! ```

use std::process::ExitCode;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, Region},
    types::{ContentBlock, ConversationRole, Message},
};
use bedrock_sim::{Scenario, Server};
use clap::Parser;
use tower_bedrock::{Cause, CircuitBreakers, Error, Route, sdk::install::ResilienceInterceptor};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const MODEL: &str = "us.amazon.nova-lite-v1:0";

/// Makes three calls: to an overloaded model, to one whose circuit was opened by hand, and to one that
/// is well again.
///
/// It starts a local Bedrock; no AWS account is needed and nothing leaves the machine. The exit status
/// is 0 only if the first call is known to have failed for overload, the second was refused with
/// nothing sent, and the third was answered.
#[derive(Debug, Parser)]
#[command(name = "sdk_interceptor")]
struct Cli {}

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sdk_interceptor: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool> {
    let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
    let server = Server::bind("127.0.0.1:0", scenario).await?;
    let sent = || server.service().ledger().totals.requests;

    let breakers = CircuitBreakers::new().with_home_region("us-east-1");
    let interceptor = ResilienceInterceptor::new()
        .with_gate(breakers.clone())
        .on_failure(|error| println!("  the listener hears: {error}"));
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(server.url())
        .interceptor(interceptor);
    let client = Client::from_conf(config.build());
    let route = Route::to(MODEL.parse()?);

    println!("an overloaded model:");
    let overloaded = ask(&client).await?;
    println!("  {} requests on the wire", sent());

    println!("its circuit, opened by hand:");
    breakers.force_open(&route);
    let before = sent();
    let refused = ask(&client).await?;
    let is_quiet = sent() == before;
    println!("  {} requests on the wire", sent() - before);

    println!("closed again:");
    breakers.reset(&route);
    let answered = ask(&client).await?;
    Ok(overloaded == Some(Cause::ModelOverloaded)
        && refused == Some(Cause::CircuitOpen)
        && is_quiet
        && answered.is_none())
}

/// Asks something, and tells the cause if that fails.
async fn ask(client: &Client) -> Result<Option<Cause>> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text("What is 6 times 7?".to_owned()))
        .build()?;
    let call = client.converse().model_id(MODEL).messages(message);
    match call.send().await {
        Ok(_) => {
            println!("  answered");
            Ok(None)
        }
        Err(error) => {
            let known = Error::from_sdk(&error).ok_or("an error without a cause")?;
            println!("  the caller hears: {}", known.cause());
            Ok(Some(known.cause()))
        }
    }
}
