//! A model and what it can bear.

use std::time::Duration;

use serde::Deserialize;
use tower_bedrock::ModelId;

/// A model in one or more regions: its quotas, its capacity, how it answers.
///
/// Each region has quotas and capacity of its own. What is `None` is unlimited, or follows from the
/// id.
///
/// ```
/// use bedrock_sim::ModelSpec;
///
/// let model = ModelSpec::new("amazon.nova-lite-v1:0").rpm(60).tpm(200_000).concurrency(8);
/// # assert_eq!(model.rpm, Some(60));
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelSpec {
    /// The id: of a foundation model, of an inference profile, or the ARN of something else.
    /// Geographic profiles of one model share a quota, so one entry stands for all their prefixes.
    pub id: String,
    /// The source regions it can be called from; `None` for the scenario's own region.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// Other ids that are answered by it and draw on its quotas: application profiles, provisioned
    /// throughput.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Requests per minute.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Tokens per minute, input and output together.
    #[serde(default)]
    pub tpm: Option<u64>,
    /// Tokens per day.
    #[serde(default)]
    pub tpd: Option<u64>,
    /// Quota tokens that one output token costs in the final charge; `None` for the published rate
    /// of the model ([`ModelId::default_burndown_rate`]).
    #[serde(default)]
    pub burndown: Option<u64>,
    /// The most tokens it can generate, which a call without `maxTokens` holds; `None` for the
    /// published number ([`ModelId::default_max_output_tokens`]). A call that asks for more is
    /// refused if this is set, or if the model is a Claude whose number is published; what is
    /// published of others is too old or too uncertain to refuse by.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// How many input tokens it can read; a larger input is refused. `None` for no limit.
    #[serde(default)]
    pub context_window: Option<u64>,
    /// How many bytes of input make a token (BEDROCK.md §3.7). 4.0 by default.
    #[serde(default = "default_bytes_per_token")]
    pub bytes_per_token: f64,
    /// Calls in flight at a time; `None` for no limit.
    #[serde(default)]
    pub concurrency: Option<u64>,
    /// What a call hears that finds all slots taken.
    #[serde(default)]
    pub when_full: WhenFull,
    /// Time to the first token. Zero by default.
    #[serde(default, with = "humantime_serde")]
    pub latency: Duration,
    /// How far the latency strays to either side, as a share of it, 0 to 1. 0 by default.
    #[serde(default)]
    pub latency_jitter: f64,
    /// Tokens generated per second; `None` for the whole output at once.
    #[serde(default)]
    pub tokens_per_second: Option<u64>,
    /// How long answers are. 64 tokens by default.
    #[serde(default)]
    pub output_tokens: OutputTokens,
}

const fn default_bytes_per_token() -> f64 {
    4.0
}

/// What a call hears that finds all of a model's slots taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WhenFull {
    /// 503 "Too many connections" (BEDROCK.md §2.1 #9).
    #[default]
    ServiceUnavailable,
    /// 429 "Model … is currently overloaded" (BEDROCK.md §2.1 #5).
    Overloaded,
}

/// The length of answers, in tokens, before `maxTokens` cuts them. In a file a number, or
/// `[least, most]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputTokens {
    /// Always the same.
    Fixed(u64),
    /// Drawn evenly from the seed, both ends included.
    Between(u64, u64),
}

impl Default for OutputTokens {
    fn default() -> Self {
        Self::Fixed(64)
    }
}

/// Whose JSON an `InvokeModel` body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vendor {
    /// Anthropic's Messages.
    Anthropic,
    /// Amazon Nova's.
    Nova,
    /// Another.
    Other,
}

impl ModelSpec {
    /// A model with no limits, in the scenario's own region.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            regions: None,
            aliases: Vec::new(),
            rpm: None,
            tpm: None,
            tpd: None,
            burndown: None,
            max_output: None,
            context_window: None,
            bytes_per_token: default_bytes_per_token(),
            concurrency: None,
            when_full: WhenFull::default(),
            latency: Duration::ZERO,
            latency_jitter: 0.0,
            tokens_per_second: None,
            output_tokens: OutputTokens::default(),
        }
    }

    /// Sets the [regions](Self::regions).
    #[must_use]
    pub fn regions<I>(mut self, regions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.regions = Some(regions.into_iter().map(Into::into).collect());
        self
    }

    /// Adds an [alias](Self::aliases).
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// Sets the [requests per minute](Self::rpm).
    #[must_use]
    pub fn rpm(mut self, rpm: u64) -> Self {
        self.rpm = Some(rpm);
        self
    }

    /// Sets the [tokens per minute](Self::tpm).
    #[must_use]
    pub fn tpm(mut self, tpm: u64) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// Sets the [tokens per day](Self::tpd).
    #[must_use]
    pub fn tpd(mut self, tpd: u64) -> Self {
        self.tpd = Some(tpd);
        self
    }

    /// Sets the [burndown rate](Self::burndown).
    #[must_use]
    pub fn burndown(mut self, burndown: u64) -> Self {
        self.burndown = Some(burndown);
        self
    }

    /// Sets the [largest output](Self::max_output).
    #[must_use]
    pub fn max_output(mut self, tokens: u64) -> Self {
        self.max_output = Some(tokens);
        self
    }

    /// Sets the [context window](Self::context_window).
    #[must_use]
    pub fn context_window(mut self, tokens: u64) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// Sets the [bytes per token](Self::bytes_per_token).
    #[must_use]
    pub fn bytes_per_token(mut self, bytes: f64) -> Self {
        self.bytes_per_token = bytes;
        self
    }

    /// Sets the [slots](Self::concurrency).
    #[must_use]
    pub fn concurrency(mut self, slots: u64) -> Self {
        self.concurrency = Some(slots);
        self
    }

    /// Sets what a call hears [when all slots are taken](Self::when_full).
    #[must_use]
    pub fn when_full(mut self, answer: WhenFull) -> Self {
        self.when_full = answer;
        self
    }

    /// Sets the [time to the first token](Self::latency).
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets the [jitter of the latency](Self::latency_jitter).
    #[must_use]
    pub fn latency_jitter(mut self, share: f64) -> Self {
        self.latency_jitter = share;
        self
    }

    /// Sets the [speed of generation](Self::tokens_per_second).
    #[must_use]
    pub fn tokens_per_second(mut self, tokens: u64) -> Self {
        self.tokens_per_second = Some(tokens);
        self
    }

    /// Sets the [length of answers](Self::output_tokens).
    #[must_use]
    pub fn output_tokens(mut self, tokens: impl Into<OutputTokens>) -> Self {
        self.output_tokens = tokens.into();
        self
    }

    /// The burndown rate in force.
    #[must_use]
    pub fn burndown_rate(&self) -> u64 {
        self.burndown
            .unwrap_or_else(|| self.published(ModelId::default_burndown_rate, 1))
    }

    /// The largest output in force: what a call without `maxTokens` holds.
    #[must_use]
    pub fn max_output_tokens(&self) -> u64 {
        self.max_output
            .unwrap_or_else(|| self.published(ModelId::default_max_output_tokens, 4096))
    }

    /// The `maxTokens` above which a call is refused.
    pub(crate) fn refused_above(&self) -> Option<u64> {
        /// What stands for a maximum that nobody has published.
        const UNKNOWN: u64 = 4096;
        let published = self.max_output_tokens();
        let is_known = self.vendor() == Vendor::Anthropic && published > UNKNOWN;
        self.max_output.or_else(|| is_known.then_some(published))
    }

    /// Whose JSON its `InvokeModel` bodies are written in.
    #[must_use]
    pub fn vendor(&self) -> Vendor {
        let has = |vendor| self.id.contains(vendor);
        if has("anthropic.") {
            Vendor::Anthropic
        } else if has("amazon.nova") {
            Vendor::Nova
        } else {
            Vendor::Other
        }
    }

    fn published(&self, fact: impl Fn(&ModelId) -> u32, otherwise: u32) -> u64 {
        u64::from(ModelId::new(self.id.as_str()).map_or(otherwise, |id| fact(&id)))
    }
}

impl From<u64> for OutputTokens {
    fn from(tokens: u64) -> Self {
        Self::Fixed(tokens)
    }
}

impl From<(u64, u64)> for OutputTokens {
    fn from((least, most): (u64, u64)) -> Self {
        Self::Between(least, most)
    }
}
