//! Quotas that are too small for what is asked.

use std::time::Duration;

use bedrock_sim::{ModelSpec, Scenario, ScenarioError};

use super::{Extent, Storm};
use crate::{
    load::{Arrivals, Size, merge, rng},
    setup::{HOME, MODEL, Place, Setup},
};

/// A short question with a short answer.
pub(super) const SHORT: Size = Size {
    input: (200, 200),
    max_tokens: Some(300),
    output: 150.0,
};

/// A model whose answers take a second and a half or two.
pub(super) fn model() -> ModelSpec {
    ModelSpec::new(MODEL)
        .regions([HOME])
        .latency(Duration::from_millis(400))
        .latency_jitter(0.5)
        .tokens_per_second(120)
        .output_tokens((100, 200))
}

/// So many calls a minute.
pub(super) fn per_minute(calls: u64, end: Duration) -> Arrivals {
    Arrivals::Poisson {
        rate: calls as f64 / 60.0,
        end,
    }
}

pub(super) const RPM_BOUND: Storm = Storm {
    id: "rpm-bound",
    title: "Requests per minute",
    about: "Half more calls than the account's requests per minute, for ten minutes. The quota is \
            known; callers wait for up to two minutes.",
    is_bound_by_known_quota: true,
    setup: rpm_bound,
};

fn rpm_bound(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let end = Duration::from_secs(extent.of(600, 60));
    let (rpm, asked) = extent.of((300, 450), (15, 60));
    let jobs = per_minute(asked, end).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let bedrock = Scenario::builder().seed(seed).model(model().rpm(rpm));
    let patience = Duration::from_secs(extent.of(120, 30));
    Ok(Setup::new(bedrock, jobs, patience)?.with_known_quotas())
}

pub(super) const TPM_MIXED: Storm = Storm {
    id: "tpm-mixed",
    title: "Tokens per minute, mixed sizes",
    about: "Calls of 100 to 8 000 tokens, half more than the account's tokens per minute, for ten \
            minutes. The quota is known; callers wait for up to two minutes.",
    is_bound_by_known_quota: true,
    setup: tpm_mixed,
};

fn tpm_mixed(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let size = |input| Size {
        input,
        max_tokens: Some(400),
        output: 150.0,
    };
    let end = Duration::from_secs(extent.of(600, 60));
    let per_minute = |calls: u64| per_minute(extent.of(calls * 5, calls / 2), end);
    let mut rng = rng(seed, "calls");
    let jobs = merge([
        per_minute(60).jobs(size((100, 500)), 0, &mut rng),
        per_minute(30).jobs(size((1_000, 3_000)), 0, &mut rng),
        per_minute(15).jobs(size((4_000, 8_000)), 0, &mut rng),
    ]);
    // The calls use about 920 000 tokens a minute, 92 000 in the quick version.
    let tpm = extent.of(613_000, 30_000);
    let bedrock = Scenario::builder().seed(seed).model(model().tpm(tpm));
    let patience = Duration::from_secs(extent.of(120, 30));
    Ok(Setup::new(bedrock, jobs, patience)?.with_known_quotas())
}

pub(super) const MAX_TOKENS_UNSET: Storm = Storm {
    id: "max-tokens-unset",
    title: "maxTokens unset",
    about: "A Claude that holds 64 000 tokens for each call without maxTokens, 2 million tokens a \
            minute, and half more calls than these holds let in, for five minutes. The quota is \
            known; callers wait for up to two minutes.",
    is_bound_by_known_quota: true,
    setup: max_tokens_unset,
};

const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

fn max_tokens_unset(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let size = Size {
        input: (1_000, 1_000),
        max_tokens: None,
        // Five quota tokens for each of 300.
        output: 1_500.0,
    };
    let end = Duration::from_secs(extent.of(300, 30));
    let (tpm, asked) = extent.of((2_000_000, 600), (500_000, 120));
    let jobs = per_minute(asked, end).jobs(size, 0, &mut rng(seed, "calls"));
    let model = ModelSpec::new(CLAUDE)
        .regions([HOME])
        .tpm(tpm)
        .latency(Duration::from_millis(800))
        .latency_jitter(0.5)
        .tokens_per_second(80)
        .output_tokens((200, 400));
    let bedrock = Scenario::builder().seed(seed).model(model);
    let mut setup = Setup::new(bedrock, jobs, Duration::from_secs(extent.of(120, 30)))?;
    setup.places = vec![Place::new(CLAUDE, HOME)];
    Ok(setup.with_known_quotas())
}

pub(super) const BURST: Storm = Storm {
    id: "burst",
    title: "A thousand at once",
    about: "A thousand calls at the same instant, to a model with 200 requests a minute. The quota \
            is known; callers wait for up to five minutes.",
    is_bound_by_known_quota: true,
    setup: burst,
};

fn burst(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let calls = extent.of(1000, 40);
    let jobs = Arrivals::Burst { calls }.jobs(SHORT, 0, &mut rng(seed, "calls"));
    let rpm = extent.of(200, 10);
    let bedrock = Scenario::builder().seed(seed).model(model().rpm(rpm));
    Ok(Setup::new(bedrock, jobs, Duration::from_secs(300))?.with_known_quotas())
}

pub(super) const NOISY_NEIGHBOUR: Storm = Storm {
    id: "noisy-neighbour",
    title: "Noisy neighbour",
    about: "Four tenants of one application on 300 requests a minute. Three ask for 50 a minute \
            each, one for 600, for five minutes. The quota is known; callers wait for up to a \
            minute.",
    is_bound_by_known_quota: true,
    setup: noisy_neighbour,
};

fn noisy_neighbour(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let end = Duration::from_secs(extent.of(300, 30));
    let mut rng = rng(seed, "calls");
    let (rpm, asked) = extent.of((300, [600, 50, 50, 50]), (20, [80, 10, 10, 10]));
    let tenants = (0..).zip(asked);
    let jobs =
        merge(tenants.map(|(tenant, calls)| per_minute(calls, end).jobs(SHORT, tenant, &mut rng)));
    let bedrock = Scenario::builder().seed(seed).model(model().rpm(rpm));
    let patience = Duration::from_secs(extent.of(60, 20));
    Ok(Setup::new(bedrock, jobs, patience)?.with_known_quotas())
}

pub(super) const UNKNOWN_QUOTA: Storm = Storm {
    id: "unknown-quota",
    title: "Unknown quota",
    about: "As with requests per minute, but nobody knows the quota, for twenty minutes.",
    is_bound_by_known_quota: false,
    setup: unknown_quota,
};

fn unknown_quota(seed: u64, extent: Extent) -> Result<Setup, ScenarioError> {
    let end = Duration::from_secs(extent.of(1_200, 60));
    let (rpm, asked) = extent.of((300, 450), (15, 60));
    let jobs = per_minute(asked, end).jobs(SHORT, 0, &mut rng(seed, "calls"));
    let bedrock = Scenario::builder().seed(seed).model(model().rpm(rpm));
    Setup::new(bedrock, jobs, Duration::from_secs(120))
}
