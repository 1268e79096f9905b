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
use tower_bedrock::{
    Bedrock, CircuitBreakers, CircuitState, FallbackLayer, Ladder, Quota, QuotaWindow, Request,
    Route, Rung, Stack,
};

use crate::{cli::Cli, load::Outcome, report::Report, tally::Tally};

/// Where calls are sent.
const REGION: &str = "us-east-1";
/// Where they may go when that does not answer.
const SECOND_REGION: &str = "us-west-2";

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
    let config = target.config().await?;
    let sdk_alone = sdk_alone(cli, config, &target).await?;
    let config = target.config().await?;
    let tower_bedrock = stack(cli, config, &target).await?;
    Ok(Report {
        endpoint: target.to_string(),
        sdk_alone: sdk_alone.into(),
        tower_bedrock: tower_bedrock.into(),
    })
}

/// The SDK as it comes: three attempts.
async fn sdk_alone(cli: &Cli, config: Builder, target: &Target) -> Result<Outcome> {
    let tally = Tally::default();
    let client = Client::from_conf(config.interceptor(tally.clone()).build());
    let spread = target.spread();
    load::run("SDK alone", cli.calls(), spread, tally, |number| {
        let input = load::input(&cli.model, number)?;
        let call = client
            .converse()
            .set_model_id(input.model_id)
            .set_messages(input.messages)
            .set_inference_config(input.inference_config);
        Ok(async move { call.send().await.map(|_| 0) })
    })
    .await
}

/// The same SDK, its retries replaced by the layers.
async fn stack(cli: &Cli, config: Builder, target: &Target) -> Result<Outcome> {
    let tally = Tally::default();
    let bedrock = Bedrock::from_builder(config.interceptor(tally.clone()));
    let mut builder = Stack::builder(bedrock).fallback(FallbackLayer::new(target.ladder())?);
    for (route, quota) in target.quotas(cli)? {
        builder = builder.quota(route, quota);
    }
    let stack = builder.timeout(Duration::from_secs(60)).build()?;
    let mut transitions = stack.breakers().map(CircuitBreakers::subscribe);

    let spread = target.spread();
    let outcome = load::run("tower-bedrock", cli.calls(), spread, tally, |number| {
        let request = Request::from(load::input(&cli.model, number)?);
        let call = stack.send(request);
        Ok(async move { call.await.map(|response| response.served().route_index) })
    });
    let mut outcome = outcome.await?;
    if let Some(transitions) = &mut transitions {
        let opened = std::iter::from_fn(|| transitions.try_recv().ok())
            .filter(|transition| transition.to == CircuitState::Open);
        outcome.circuit_openings = Some(opened.count());
    }
    Ok(outcome)
}

/// What is called.
enum Target {
    /// A local Bedrock in this process, a fresh one for each load.
    Local {
        scenario: Box<Scenario>,
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
                scenario: Box::new(Scenario::from_toml(include_str!("scenario.toml"))?),
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
                let fresh = Server::bind("127.0.0.1:0", Scenario::clone(scenario)).await?;
                server.insert(fresh).url()
            }
        };
        Ok(Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
            .endpoint_url(url))
    }

    /// How long the second half of the calls takes to come; the first comes at once. The troubles of
    /// the local Bedrock take their time.
    const fn spread(&self) -> Duration {
        match self {
            Self::Local { .. } => Duration::from_secs(6),
            Self::Endpoint(_) | Self::Aws => Duration::ZERO,
        }
    }

    /// Where a call may go beside where it is sent. What others offer is not known here.
    fn ladder(&self) -> Ladder {
        match self {
            Self::Local { scenario, .. } => {
                let models = scenario.models().iter().skip(1);
                let others = models.filter_map(|model| model.id.parse().ok().map(Rung::model));
                Ladder::regions([SECOND_REGION]).and(others.collect())
            }
            Self::Endpoint(_) | Self::Aws => Ladder::new(),
        }
    }

    /// What the account may do. The local Bedrock's quotas stand in its scenario; of others the
    /// ledger knows what the flags say, and learns the rest from refusals.
    fn quotas(&self, cli: &Cli) -> Result<Vec<(Route, Quota)>> {
        let Self::Local { scenario, .. } = self else {
            let quota = quota(Quota::new(), cli.rpm, cli.tpm);
            return Ok(vec![(Route::to(cli.model.parse()?), quota)]);
        };
        let mut quotas = Vec::new();
        for model in scenario.models() {
            let mut base = Quota::new();
            if let Window::TokenBucket { burst_seconds } = scenario.quota().window {
                let burst = Duration::from_secs(burst_seconds);
                base = base.with_window(QuotaWindow::TokenBucket { burst });
            }
            let is_asked_for = model.id == cli.model;
            let rpm = cli.rpm.filter(|_| is_asked_for).or(model.rpm);
            let tpm = cli.tpm.filter(|_| is_asked_for).or(model.tpm);
            for region in model.regions.iter().flatten() {
                let route = Route::to(model.id.parse()?).in_region(region.as_str());
                quotas.push((route, quota(base.clone(), rpm, tpm)));
            }
        }
        Ok(quotas)
    }
}

fn quota(mut quota: Quota, rpm: Option<u64>, tpm: Option<u64>) -> Quota {
    if let Some(requests) = rpm {
        quota = quota.with_requests_per_minute(requests);
    }
    if let Some(tokens) = tpm {
        quota = quota.with_tokens_per_minute(tokens);
    }
    quota
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
    println!("{} calls to {}:", cli.calls(), report.endpoint);
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
