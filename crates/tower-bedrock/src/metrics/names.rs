//! Every metric, once: name, kind, unit, labels and what it says.

use std::fmt;

use super::buckets;

/// A metric of this crate.
///
/// # Example
///
/// ```
/// use tower_bedrock::metrics::Metric;
///
/// let throttles = Metric::all().find(|metric| metric.name.contains("throttles")).unwrap();
/// assert_eq!(throttles.labels, ["model", "region", "operation", "cause"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The name that it is recorded under. Names of OpenTelemetry's conventions keep their dots.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// What it counts in.
    pub unit: MetricUnit,
    /// The labels that every sample has, and those that stand in only some of them.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub description: &'static str,
    /// What it is about.
    pub group: MetricGroup,
}

/// Counter, gauge or histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// What is true now, as of the last report.
    Gauge,
    /// How values are spread, over the buckets of [`Metric::buckets`].
    Histogram,
}

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricUnit {
    /// Things: calls, attempts, transitions.
    Count,
    /// Tokens of a model.
    Tokens,
    /// A share, where 1 is all of it.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MetricGroup {
    /// What was sent to the service: each attempt, whatever the caller saw of it.
    Attempts,
    /// What callers asked for and got.
    Calls,
    /// What the layers did about it.
    Layers,
    /// The state of quotas, circuits, pools, the retry budget and the cache.
    State,
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $group:ident $kind:ident $unit:ident $id:ident = $name:literal { $($label:literal),* }, $description:literal;)*) => {
        $(
            #[doc = $description]
            pub const $id: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                unit: MetricUnit::$unit,
                labels: &[$($label),*],
                description: $description,
                group: MetricGroup::$group,
            };
        )*

        const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    Attempts Counter Count INVOCATIONS = "tower_bedrock_invocations_total" { "model", "region", "operation" },
        "Attempts that were answered: whole replies, and streams that came whole or that their reader dropped.";
    Attempts Counter Count INVOCATION_THROTTLES = "tower_bedrock_invocation_throttles_total" { "model", "region", "operation", "cause" },
        "Attempts that the service throttled with a 429, in a stream too; each retry counts.";
    Attempts Counter Count INVOCATION_CLIENT_ERRORS = "tower_bedrock_invocation_client_errors_total" { "model", "region", "operation", "cause" },
        "Attempts that the service refused for the caller's fault.";
    Attempts Counter Count INVOCATION_SERVER_ERRORS = "tower_bedrock_invocation_server_errors_total" { "model", "region", "operation", "cause" },
        "Attempts that failed in the service or in its model, with a 503 for want of capacity too, in a stream too.";
    Attempts Counter Count INVOCATION_TRANSPORT_ERRORS = "tower_bedrock_invocation_transport_errors_total" { "model", "region", "operation", "cause" },
        "Attempts without a whole answer: no connection, no answer in time, a stream cut or silent.";
    Attempts Counter Count INVOCATIONS_DROPPED = "tower_bedrock_invocations_dropped_total" { "model", "region", "operation" },
        "Attempts that were dropped before anything of the answer came.";
    Attempts Histogram Seconds INVOCATION_LATENCY = "tower_bedrock_invocation_latency_seconds" { "model", "region", "operation" },
        "From the request to the last token, of attempts that came whole.";
    Attempts Histogram Seconds TIME_TO_FIRST_TOKEN = "tower_bedrock_time_to_first_token_seconds" { "model", "region", "operation" },
        "From the request to the first content of a stream.";
    Attempts Counter Tokens INPUT_TOKENS = "tower_bedrock_input_tokens_total" { "model", "region" },
        "Input tokens that the service reported, without those of a prompt cache.";
    Attempts Counter Tokens OUTPUT_TOKENS = "tower_bedrock_output_tokens_total" { "model", "region" },
        "Output tokens that the service reported.";
    Attempts Counter Tokens CACHE_READ_INPUT_TOKENS = "tower_bedrock_cache_read_input_tokens_total" { "model", "region" },
        "Input tokens that the service read from a prompt cache.";
    Attempts Counter Tokens CACHE_WRITE_INPUT_TOKENS = "tower_bedrock_cache_write_input_tokens_total" { "model", "region" },
        "Input tokens that the service wrote to a prompt cache.";
    Attempts Counter Count STREAM_ENDS = "tower_bedrock_stream_ends_total" { "model", "region", "end" },
        "Streams that had begun, by how they ended: complete, dropped, or the cause of their failure.";
    Attempts Histogram Tokens TOKEN_USAGE = "gen_ai.client.token.usage" { "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type" },
        "Tokens of an attempt, by type; the input includes what was read from or written to a prompt cache.";

    Calls Histogram Seconds OPERATION_DURATION = "gen_ai.client.operation.duration" { "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type" },
        "From the call to the end of its reply, over all waits, retries and routes.";
    Calls Histogram Seconds TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk" { "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model" },
        "From the call to the first content of its stream, over all waits, retries and routes.";
    Calls Counter Count CALLS = "tower_bedrock_calls_total" { "model", "operation", "outcome" },
        "Calls that are over, by what came of them: answered, dropped, or the cause of the error.";
    Calls Counter Count DEGRADED_CALLS = "tower_bedrock_degraded_calls_total" { "model", "to" },
        "Calls that another model or a lower tier answered.";

    Layers Counter Count REFUSALS = "tower_bedrock_refusals_total" { "layer", "cause", "limit" },
        "Attempts that one of our own layers refused, so that nothing was sent.";
    Layers Counter Count RETRIES = "tower_bedrock_retries_total" { "model", "region", "cause" },
        "Retries, by the cause of the failure before.";
    Layers Counter Count RETRIES_GIVEN_UP = "tower_bedrock_retries_given_up_total" { "reason" },
        "Failures that were passed on instead of retried, by the reason.";
    Layers Histogram Seconds WAIT = "tower_bedrock_wait_seconds" { "layer", "cause" },
        "Waits: of retries by the failure's cause, of calls in line for their quota and for a place in the pool.";
    Layers Counter Count FALLBACKS = "tower_bedrock_fallbacks_total" { "from", "to", "cause" },
        "Calls that moved on to another route.";
    Layers Counter Count CIRCUIT_TRANSITIONS = "tower_bedrock_circuit_transitions_total" { "model", "region", "to", "reason" },
        "Changes of a circuit's state.";
    Layers Counter Tokens TOKENS_HELD = "tower_bedrock_tokens_held_total" { "key" },
        "Tokens that were held at admission.";
    Layers Counter Tokens TOKENS_SETTLED = "tower_bedrock_tokens_settled_total" { "key" },
        "Tokens that those calls were settled by when they were over: what they really used.";
    Layers Counter Count CACHE_LOOKUPS = "tower_bedrock_cache_lookups_total" { "model", "operation", "outcome" },
        "Calls that the cache is about: a hit was answered out of it, a miss was not.";
    Layers Counter Tokens CACHE_SAVED_TOKENS = "tower_bedrock_cache_saved_tokens_total" { "model" },
        "Tokens that calls would have used that were answered out of the cache: what the answers used when they were given first.";
    Layers Counter Count CACHE_EVICTIONS = "tower_bedrock_cache_evictions_total" {},
        "Answers that the cache gave up for want of room.";
    Layers Counter Count COALESCE_CALLS = "tower_bedrock_coalesce_calls_total" { "model", "operation", "role" },
        "Calls whose attempt may be shared, by whether they led it or joined it.";

    Layers Counter Count QUOTA_DISCOVERY_FAILURES = "tower_bedrock_quota_discovery_failures_total" { "region", "action" },
        "Lists of the account's quotas or profiles that could not be read.";

    State Gauge Count RETRY_BUDGET_AVAILABLE = "tower_bedrock_retry_budget_available" {},
        "Tokens of the retry budget that are left.";
    State Gauge Count QUOTA_LIMIT = "tower_bedrock_quota_limit" { "key", "limit" },
        "What this application may use of a quota.";
    State Gauge Count QUOTA_USED = "tower_bedrock_quota_used" { "key", "limit" },
        "What counts against a quota of calls that are over.";
    State Gauge Count QUOTA_HELD = "tower_bedrock_quota_held" { "key", "limit" },
        "What counts against a quota for calls that are under way.";
    State Gauge Count QUOTA_LEARNED_LIMIT = "tower_bedrock_quota_learned_limit" { "key", "limit" },
        "What refusals have left of the quota: all of it while they taught nothing.";
    State Gauge Ratio QUOTA_USE_RATIO = "tower_bedrock_quota_use_ratio" { "key", "limit" },
        "Used and held, as a share of the limit in force.";
    State Gauge Count QUOTA_WAITING = "tower_bedrock_quota_waiting" { "key" },
        "Calls in line for their quota.";
    State Gauge Seconds QUOTA_READING_AGE = "tower_bedrock_quota_reading_age_seconds" { "region" },
        "How long ago the account's quotas in a region were last read to their end.";
    State Gauge Count CIRCUIT_STATE = "tower_bedrock_circuit_state" { "model", "region" },
        "The circuit of a route: 0 closed, 1 half open, 2 open.";
    State Gauge Count POOL_IN_FLIGHT = "tower_bedrock_pool_in_flight" { "region" },
        "Calls in flight, until their replies are finished.";
    State Gauge Count POOL_LIMIT = "tower_bedrock_pool_limit" { "region" },
        "Calls that may be in flight.";
    State Gauge Count POOL_WAITING = "tower_bedrock_pool_waiting" { "region" },
        "Calls in line for a place.";
    State Gauge Ratio POOL_SATURATION_RATIO = "tower_bedrock_pool_saturation_ratio" { "region" },
        "The share of places that are taken.";
    State Gauge Count CACHE_ENTRIES = "tower_bedrock_cache_entries" {},
        "Answers that are kept.";
    State Gauge Bytes CACHE_BYTES = "tower_bedrock_cache_bytes" {},
        "What they weigh, with their inputs.";
}

impl Metric {
    /// Every metric there is, in the order of the table in the README.
    #[must_use]
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        ALL.iter().copied()
    }

    /// The name as Prometheus shows it, with the exporter's recommended naming.
    ///
    /// Only the names of OpenTelemetry's conventions differ: dots are underscores there, and
    /// durations end in `_seconds`.
    #[must_use]
    pub fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        if self.unit == MetricUnit::Seconds && !name.ends_with("_seconds") {
            name.push_str("_seconds");
        }
        name
    }

    /// The upper bounds of a histogram's buckets, in its unit; `None` for what is no histogram.
    #[must_use]
    pub const fn buckets(&self) -> Option<&'static [f64]> {
        match (self.kind, self.unit) {
            (MetricKind::Histogram, MetricUnit::Seconds) => Some(&buckets::SECONDS),
            (MetricKind::Histogram, _) => Some(&buckets::TOKENS),
            _ => None,
        }
    }
}

impl MetricKind {
    /// The kind in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
