//! The quotas as AWS tells them now.

use aws_config::{BehaviorVersion, SdkConfig};
use clap::Args;
use tower_bedrock::{
    ModelId, Region, Route,
    quotas::{AccountQuotas, Discovery, QuotaDiscovery},
};

use super::{Answer, Listed, Quotas};
use crate::output::Failure;

/// Where to ask, and as whom.
#[derive(Args)]
pub(super) struct Live {
    /// Asks AWS, with the credentials that the AWS command line would use.
    #[arg(long, conflicts_with = "list")]
    live: bool,
    /// The profile of the AWS configuration to ask with.
    #[arg(long, value_name = "NAME", requires = "live")]
    profile: Option<String>,
    /// Asks there instead: a local Bedrock, or a proxy of both services.
    #[arg(long, value_name = "URL", requires = "live")]
    endpoint_url: Option<String>,
}

impl Live {
    pub(super) const fn is_asked_for(&self) -> bool {
        self.live
    }

    pub(super) fn answer(&self, asked: &Quotas) -> Result<Answer, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Asked(format!("cannot ask AWS: {error}")))?;
        let found = runtime.block_on(self.found(asked))?;
        answer(asked, &found)
    }

    async fn found(&self, asked: &Quotas) -> Result<Discovery, Failure> {
        let config = self.config(asked).await;
        let mut regions = asked.region.clone();
        if regions.is_empty() {
            regions.extend(config.region().map(ToString::to_string));
        }
        if regions.is_empty() {
            return Err(Failure::Asked(
                "no region is known: give --region, or set AWS_REGION".to_owned(),
            ));
        }
        let mut discovery = QuotaDiscovery::new(&config, regions);
        for id in &asked.model {
            let model: ModelId = id
                .parse()
                .map_err(|error| Failure::Asked(format!("--model: {error}")))?;
            discovery = discovery.route(Route::to(model));
        }
        Ok(discovery.discover().await)
    }

    async fn config(&self, asked: &Quotas) -> SdkConfig {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = asked.region.first() {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        loader.load().await
    }
}

fn answer(asked: &Quotas, found: &Discovery) -> Result<Answer, Failure> {
    let mut answer = Answer {
        notes: found.to_string().lines().map(str::to_owned).collect(),
        ..Answer::default()
    };
    let missing = found.missing_permissions();
    answer.missing_permissions = missing.iter().map(ToString::to_string).collect();
    let listing = found.listing();
    let mut regions: Vec<(&Region, &AccountQuotas)> = listing.regions().collect();
    regions.sort_by_key(|(region, _)| *region);
    if regions.is_empty() {
        return Err(Failure::Asked(format!(
            "nothing could be read\n  {}",
            answer.notes.join("\n  ")
        )));
    }
    for (region, account) in regions {
        let listed = Listed {
            account,
            region: Some(region.as_str()),
            stands_for: &|model| listing.stands_for(model).clone(),
            is_applied: &|code| found.is_applied(region, code),
        };
        // What a model lacks stands among the notes.
        asked.add(&listed, Some(region.as_str()), &mut answer)?;
    }
    Ok(answer)
}
