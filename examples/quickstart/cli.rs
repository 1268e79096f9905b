use clap::Parser;

/// Makes a few hundred concurrent Converse calls, once with the AWS SDK alone and once through
/// tower-bedrock, and shows both side by side.
///
/// Without options it starts a local Bedrock with tight quotas, some faults, the outage of a region and
/// an overloaded model; no AWS account is needed and nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
pub(crate) struct Cli {
    /// Calls a Bedrock that is running already: a simulator, a proxy
    #[arg(long, value_name = "URL", value_parser = endpoint, conflicts_with = "aws")]
    pub(crate) endpoint: Option<String>,

    /// Calls the real service, with your own credentials: ten calls for each side, which cost a little
    /// money
    #[arg(long)]
    pub(crate) aws: bool,

    /// How many calls to make for each side: all at once, but for the local Bedrock, where the second
    /// half comes over six seconds [default: 240, with --aws 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: Option<u32>,

    /// The model to call, by any id that Bedrock accepts
    #[arg(long, value_name = "ID", default_value = "us.amazon.nova-lite-v1:0", value_parser = model)]
    pub(crate) model: String,

    /// The account's requests per minute, if you know them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rpm: Option<u64>,

    /// The account's tokens per minute, if you know them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tpm: Option<u64>,

    /// Prints the table as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl Cli {
    pub(crate) fn calls(&self) -> u32 {
        self.calls.unwrap_or(if self.aws { 10 } else { 240 })
    }
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

fn model(id: &str) -> Result<String, tower_bedrock::InvalidModelId> {
    tower_bedrock::ModelId::new(id).map(|model| model.to_string())
}
