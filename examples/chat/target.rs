//! What is called, and what is known of it.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Builder, Region, timeout::TimeoutConfig};
use bedrock_sim::{Scenario, Server};
use tower_bedrock::{Ladder, Quota, Route, Rung};

use crate::{Result, cli::Cli};

/// Where the local Bedrock is called, and where other regions are none of the configuration's.
const HOME: &str = "us-east-1";

/// The SDK has no read timeout of its own: a region that accepts calls and never answers would cost
/// each its whole deadline. A whole answer comes at once, at its end, so this is more than the longest
/// of them takes.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Everything that differs between the local Bedrock, another endpoint and the real service.
pub(crate) struct Target {
    /// Shown on the page.
    pub(crate) name: &'static str,
    pub(crate) config: Builder,
    pub(crate) ladder: Ladder,
    pub(crate) quotas: Vec<(Route, Quota)>,
    /// The local Bedrock lives as long as its server.
    pub(crate) server: Option<Server>,
}

impl Target {
    pub(crate) async fn of(cli: &Cli) -> Result<Self> {
        if cli.aws {
            let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
            return Ok(Self::elsewhere(cli, "AWS", Builder::from(&config)));
        }
        if let Some(url) = &cli.endpoint {
            return Ok(Self::elsewhere(cli, "another endpoint", unsigned(url)));
        }
        let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
        let server = Server::bind("127.0.0.1:0", scenario.clone()).await?;
        Ok(Self {
            name: "a local Bedrock",
            config: timed(unsigned(&server.url())),
            ladder: ladder(&scenario)?,
            quotas: quotas(&scenario)?,
            server: Some(server),
        })
    }

    fn elsewhere(cli: &Cli, name: &'static str, config: Builder) -> Self {
        let regions = cli.fallback_region.iter().cloned();
        let models = cli.fallback_model.iter().cloned().map(Rung::model);
        Self {
            name,
            config: timed(config),
            ladder: Ladder::regions(regions).and(models.collect()),
            quotas: vec![(
                Route::to(cli.model.clone()),
                quota(cli.rpm, cli.tpm, cli.tpd),
            )],
            server: None,
        }
    }
}

fn timed(config: Builder) -> Builder {
    config.timeout_config(TimeoutConfig::builder().read_timeout(READ_TIMEOUT).build())
}

/// A configuration for what does not look at signatures.
fn unsigned(url: &str) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(HOME))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
}

/// The other region for the same model, then the other models in all regions.
fn ladder(scenario: &Scenario) -> Result<Ladder> {
    let mut models = scenario.models().iter();
    let regions = models.next().and_then(|model| model.regions.as_deref());
    let others = regions.unwrap_or_default().iter().skip(1).cloned();
    let mut ladder = Ladder::regions(others);
    for model in models {
        for region in model.regions.iter().flatten() {
            ladder = ladder.then(Rung::model(model.id.parse()?).at(region.as_str()));
        }
    }
    Ok(ladder)
}

/// The same quotas that the scenario has the local Bedrock enforce.
fn quotas(scenario: &Scenario) -> Result<Vec<(Route, Quota)>> {
    let mut quotas = Vec::new();
    for model in scenario.models() {
        for region in model.regions.iter().flatten() {
            let route = Route::to(model.id.parse()?).in_region(region.as_str());
            quotas.push((route, quota(model.rpm, model.tpm, model.tpd)));
        }
    }
    Ok(quotas)
}

fn quota(rpm: Option<u64>, tpm: Option<u64>, tpd: Option<u64>) -> Quota {
    let mut quota = Quota::new();
    if let Some(requests) = rpm {
        quota = quota.with_requests_per_minute(requests);
    }
    if let Some(tokens) = tpm {
        quota = quota.with_tokens_per_minute(tokens);
    }
    if let Some(tokens) = tpd {
        quota = quota.with_tokens_per_day(tokens);
    }
    quota
}
