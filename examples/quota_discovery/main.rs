//! Reads what an account may do, goes by it, and notices when it may do more.
//!
//! ```text
//! cargo run -p tower-bedrock-examples --example quota_discovery --features quota-discovery
//! ```
//!
//! The account is a local one: nothing leaves the machine. With one of your own, leave out
//! `endpoint_url` and the credentials.

use std::{process::ExitCode, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    operation::converse::ConverseInput,
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use bedrock_sim::{Scenario, Server};
use tokio::sync::mpsc;
use tower_bedrock::{
    Bedrock, Limit, Quotas, Request, Route, Stack,
    quotas::{DiscoveryEvent, QuotaDiscovery},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const REGION: &str = "us-east-1";
const NOVA: &str = "us.amazon.nova-lite-v1:0";
const PROFILE: &str =
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quota_discovery: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let scenario = Scenario::from_toml(include_str!("scenario.toml"))?;
    let aws = Server::bind("127.0.0.1:0", scenario).await?;
    let config = config(aws.url()).await;

    let (refreshed, mut refreshes) = mpsc::channel(1);
    let discovery = QuotaDiscovery::new(&config, [REGION, "us-west-2"]).on_event(move |event| {
        let what = match event {
            DiscoveryEvent::Read { .. } => "all was read again",
            _ => "something was not read, and stays as it was",
        };
        // Who does not listen misses nothing: the ledgers go by it.
        refreshed.try_send(what).ok();
    });
    let found = discovery.discover().await;
    for (route, quota) in found.found() {
        println!(
            "{route}: {} tokens, {} requests per minute",
            shown(quota.limit(Limit::TokensPerMinute)),
            shown(quota.limit(Limit::RequestsPerMinute)),
        );
    }
    for (profile, model) in found.listing().profiles() {
        println!("{profile} is {model}");
    }
    // What may not be read, and what leaves a doubt.
    print!("{found}");

    let bedrock = Stack::builder(Bedrock::new(&config))
        .listing(found.listing().clone())
        .build()?;
    let quotas = bedrock.quotas().ok_or("no token budget")?.clone();
    for id in [NOVA, PROFILE] {
        bedrock.send(Request::from(hello(id)?)).await?;
    }
    let route = Route::to(NOVA.parse()?).in_region(REGION);
    let snapshot = quotas.snapshot_of(&route);
    println!(
        "both names were counted together: {} requests of {}",
        snapshot.requests_used,
        shown(snapshot.requests_per_minute),
    );

    // Once an hour is often enough; this one is for the impatient.
    let every = Duration::from_secs(1);
    let refresh = tokio::spawn(discovery.refresh_after(found, every, quotas.clone()));
    aws.service().change_control_plane(|plane| {
        let quotas = plane.quotas.iter_mut();
        quotas
            .filter(|quota| quota.code == "L-7C42E72A")
            .for_each(|quota| quota.value = Some(300_000.0));
    });
    wait_for(&quotas, &route, 300_000, &mut refreshes).await?;
    refresh.abort();
    Ok(())
}

/// Waits for a refresh that finds the raised quota.
async fn wait_for(
    quotas: &Quotas,
    route: &Route,
    tokens: u64,
    refreshes: &mut mpsc::Receiver<&'static str>,
) -> Result<()> {
    while let Some(what) = refreshes.recv().await {
        let limit = quotas.snapshot_of(route).limit(Limit::TokensPerMinute);
        println!("{what}: {} tokens per minute", shown(limit));
        if limit == Some(tokens) {
            return Ok(());
        }
    }
    Err("nobody refreshes".into())
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or("any number of".to_owned(), |limit| limit.to_string())
}

async fn config(url: String) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
        .load()
        .await
}

fn hello(model: &str) -> Result<ConverseInput> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text("Hello".to_owned()))
        .build()?;
    Ok(ConverseInput::builder()
        .model_id(model)
        .messages(message)
        .inference_config(InferenceConfiguration::builder().max_tokens(100).build())
        .build()?)
}
