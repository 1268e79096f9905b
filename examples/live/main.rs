//! What the chat example has not, for `cargo xtask ops --live` to scrape: a stack with a cache, shared
//! attempts and discovered quotas, on a simulated account where one permission is taken away.
//!
//! ```text
//! cargo run -p tower-bedrock-examples --example live --features quota-discovery
//! ```

use std::{iter::repeat_n, process::ExitCode, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::{
    operation::converse::ConverseInput,
    types::{ContentBlock, ConversationRole, InferenceConfiguration, Message},
};
use axum::{Router, routing::get};
use bedrock_sim::{Scenario, Server};
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{net::TcpListener, time::sleep};
use tower_bedrock::{
    Bedrock, CacheLayer, CoalesceLayer, Request, Stack, metrics::buckets, quotas::QuotaDiscovery,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const REGION: &str = "us-east-1";
const NOVA: &str = "us.amazon.nova-lite-v1:0";
/// Room for some dozen answers: the older ones are given up.
const CACHE_BYTES: u64 = 32 << 10;
/// How often everything is done.
const EVERY: Duration = Duration::from_millis(200);
/// As many ask the same at once.
const TOGETHER: usize = 4;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("live: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let recorder = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&buckets::SECONDS)?
        .install_recorder()?;
    let aws = Server::bind(
        "127.0.0.1:0",
        Scenario::from_toml(include_str!("scenario.toml"))?,
    )
    .await?;
    let config = config(aws.url()).await;

    let discovery = QuotaDiscovery::new(&config, [REGION]);
    let found = discovery.discover().await;
    let stack = Stack::builder(Bedrock::new(&config))
        .listing(found.listing().clone())
        .cache(CacheLayer::new(CACHE_BYTES, Duration::from_secs(600))?)
        .coalesce(CoalesceLayer::new())
        .build()?;
    let quotas = stack.quotas().ok_or("no token budget")?.clone();
    // From here on the lists cannot be read to their end.
    aws.service().change_control_plane(|plane| {
        plane
            .denied
            .push("bedrock:ListInferenceProfiles".to_owned());
    });
    tokio::spawn(discovery.refresh_after(found, Duration::from_secs(1), quotas));

    // Some ask what was asked before, some what nobody has asked, and a few of them at once.
    let asked = stack.clone();
    tokio::spawn(async move {
        for number in 0_u64.. {
            let texts = [number % 3, number + 3].map(|number| format!("question {number}"));
            let calls = texts
                .iter()
                .flat_map(|text| repeat_n(text, TOGETHER))
                .filter_map(|text| question(text).ok());
            join_all(calls.map(|call| asked.send(call))).await;
            sleep(EVERY).await;
        }
    });

    let metrics = get(move || {
        stack.report_metrics();
        recorder.run_upkeep();
        std::future::ready(recorder.render())
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("live listening on http://{}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/metrics", metrics)).await?;
    Ok(())
}

fn question(text: &str) -> Result<Request<ConverseInput>> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text(text.to_owned()))
        .build()?;
    let config = InferenceConfiguration::builder()
        .temperature(0.0)
        .max_tokens(200);
    let input = ConverseInput::builder()
        .model_id(NOVA)
        .messages(message)
        .inference_config(config.build())
        .build()?;
    Ok(Request::from(input).with_timeout(Duration::from_secs(10)))
}

async fn config(url: String) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None))
        .endpoint_url(url)
        .load()
        .await
}
