use std::{net::SocketAddr, time::Duration};

use clap::{ArgGroup, Parser};
use tower_bedrock::{ModelId, Region};

/// A chat over HTTP with a live picture of the stack behind it.
///
/// Without options it answers from a local Bedrock in this process, whose quotas are tight and whose
/// storms are switched on the page; no AWS account is needed and nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "chat", group(ArgGroup::new("elsewhere").args(["endpoint", "aws"])))]
pub(crate) struct Cli {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,

    /// Calls a Bedrock that is running already: a simulator, a proxy
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub(crate) endpoint: Option<String>,

    /// Calls the real service, with your own credentials, which costs money
    #[arg(long)]
    pub(crate) aws: bool,

    /// The model to call, with --aws or --endpoint, by any id that Bedrock accepts
    #[arg(
        long,
        value_name = "ID",
        default_value = "us.amazon.nova-lite-v1:0",
        requires = "elsewhere"
    )]
    pub(crate) model: ModelId,

    /// Where calls may go beside the home region, with --aws or --endpoint; may be repeated
    #[arg(long, value_name = "REGION", requires = "elsewhere")]
    pub(crate) fallback_region: Vec<Region>,

    /// The models to fall back to, with --aws or --endpoint; may be repeated
    #[arg(long, value_name = "ID", requires = "elsewhere")]
    pub(crate) fallback_model: Vec<ModelId>,

    /// The account's requests per minute, with --aws or --endpoint
    #[arg(long, value_name = "N", requires = "elsewhere", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rpm: Option<u64>,

    /// The account's tokens per minute, with --aws or --endpoint
    #[arg(long, value_name = "N", requires = "elsewhere", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tpm: Option<u64>,

    /// The account's tokens per day, with --aws or --endpoint
    #[arg(long, value_name = "N", requires = "elsewhere", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tpd: Option<u64>,

    /// How many chats go on at a time, those that wait for quota included
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_chats: u16,

    /// How long to be not ready before a shutdown stops accepting: what a load balancer needs to
    /// notice
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) drain: Duration,

    /// How long a shutdown lets answers run on before it cuts them
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    pub(crate) grace: Duration,
}

fn endpoint(url: &str) -> Result<String, String> {
    let uri: http::Uri = url
        .parse()
        .map_err(|error| format!("it is no URL: {error}"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it must start with http:// or https://".to_owned());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("it must be whole seconds, at most 3600".to_owned()),
    }
}
