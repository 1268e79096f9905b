//! Calls a Bedrock that is short of everything: with the AWS SDK alone, and through tower-bedrock.
//!
//! ```text
//! cargo run --release --example quickstart
//! cargo run --release --example quickstart -- --help
//! ```

mod cli;
mod load;
mod report;
mod tally;

use std::{process::ExitCode, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Builder, Region},
};
use bedrock_sim::{Scenario, Server, Window};
use clap::Parser;
use tower::{ServiceBuilder, ServiceExt};
use tower_bedrock::{
    Bedrock, ClassifyLayer, Quota, QuotaWindow, Quotas, Request, RetryLayer, Route,
    TokenBudgetLayer,
};

use crate::{cli::Cli, load::Outcome, report::Report, tally::Tally};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match compare(&cli).await {
        Ok(report) => {
            if let Err(error) = print(&cli, &report) {
                eprintln!("quickstart: {error}");
                return ExitCode::FAILURE;
            }
            ExitCode::from(u8::from(report.tower_bedrock.failed > 0))
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn compare(cli: &Cli) -> Result<Report> {
    let mut target = Target::of(cli)?;
    let sdk_alone = sdk_alone(cli, target.config().await?).await?;
    let tower_bedrock = stack(cli, target.config().await?, target.quota(cli)).await?;
    Ok(Report {
        endpoint: target.to_string(),
        sdk_alone: sdk_alone.into(),
        tower_bedrock: tower_bedrock.into(),
    })
}

/// The SDK as it comes: three attempts.
async fn sdk_alone(cli: &Cli, config: Builder) -> Result<Outcome> {
    let tally = Tally::default();
    let client = Client::from_conf(config.interceptor(tally.clone()).build());
    load::run("SDK alone", cli.calls(), tally, |number| {
        let input = load::input(&cli.model, number)?;
        let call = client
            .converse()
            .set_model_id(input.model_id)
            .set_messages(input.messages)
            .set_inference_config(input.inference_config);
        Ok(async move { call.send().await.map(drop) })
    })
    .await
}

/// The same SDK, its retries replaced by the layers.
async fn stack(cli: &Cli, config: Builder, quota: Quota) -> Result<Outcome> {
    let tally = Tally::default();
    let quotas = Quotas::new();
    quotas.set(&Route::to(cli.model.parse()?), quota)?;
    let bedrock = ServiceBuilder::new()
        .layer(RetryLayer::new())
        .layer(TokenBudgetLayer::new(quotas))
        .layer(ClassifyLayer::new())
        .service(Bedrock::from_builder(config.interceptor(tally.clone())));
    load::run("tower-bedrock", cli.calls(), tally, |number| {
        let request = Request::from(load::input(&cli.model, number)?);
        let call = bedrock
            .clone()
            .oneshot(request.with_timeout(Duration::from_secs(60)));
        Ok(async move { call.await.map(drop) })
    })
    .await
}

/// What is called.
enum Target {
    /// A local Bedrock in this process, a fresh one for each load.
    Local {
        scenario: Scenario,
        server: Option<Server>,
    },
    Endpoint(String),
    Aws,
}

impl Target {
    fn of(cli: &Cli) -> Result<Self> {
        Ok(match &cli.endpoint {
            Some(url) => Self::Endpoint(url.clone()),
            None if cli.aws => Self::Aws,
            None => Self::Local {
                scenario: Scenario::from_toml(include_str!("scenario.toml"))?,
                server: None,
            },
        })
    }

    /// A configuration that reaches it.
    async fn config(&mut self) -> Result<Builder> {
        let url = match self {
            Self::Aws => {
                let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
                return Ok(Builder::from(&config));
            }
            Self::Endpoint(url) => url.clone(),
            Self::Local { scenario, server } => {
                let fresh = Server::bind("127.0.0.1:0", scenario.clone()).await?;
                server.insert(fresh).url()
            }
        };
        Ok(Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
            .endpoint_url(url))
    }

    /// What the account may do. The local Bedrock's quotas stand in its scenario; of others the
    /// ledger knows what the flags say, and learns the rest from refusals.
    fn quota(&self, cli: &Cli) -> Quota {
        let mut quota = Quota::new();
        let (mut rpm, mut tpm) = (cli.rpm, cli.tpm);
        if let Self::Local { scenario, .. } = self {
            if let Window::TokenBucket { burst_seconds } = scenario.quota().window {
                let burst = Duration::from_secs(burst_seconds);
                quota = quota.with_window(QuotaWindow::TokenBucket { burst });
            }
            let model = scenario.models().iter().find(|model| model.id == cli.model);
            rpm = rpm.or(model.and_then(|model| model.rpm));
            tpm = tpm.or(model.and_then(|model| model.tpm));
        }
        if let Some(requests) = rpm {
            quota = quota.with_requests_per_minute(requests);
        }
        if let Some(tokens) = tpm {
            quota = quota.with_tokens_per_minute(tokens);
        }
        quota
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Local { .. } => "a local Bedrock in this process",
            Self::Endpoint(url) => url,
            Self::Aws => "AWS",
        })
    }
}

fn print(cli: &Cli, report: &Report) -> Result<()> {
    if cli.json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    println!("{} calls at once to {}:", cli.calls(), report.endpoint);
    println!("{}", report.table());
    for (name, side) in [
        ("SDK alone", &report.sdk_alone),
        ("tower-bedrock", &report.tower_bedrock),
    ] {
        if let Some(error) = &side.an_error {
            println!("{name}, one of {} errors: {error}", side.failed);
        }
    }
    Ok(())
}
