//! What a call holds, and what it used.

use super::{estimate::Estimate, quota::Quota};
use crate::{model_id::ModelId, reply::Usage, route::Route};

/// How the calls of one key are counted (BEDROCK.md §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    burndown: u64,
    max_output: u64,
    held_rate: u64,
}

/// What is known of a call's tokens before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) input: Estimate,
    /// The most it may generate; `None` when that is left to the model.
    pub(super) max_output: Option<u32>,
}

/// What a call draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    pub(super) estimate: Estimate,
    /// The input, in tokens.
    pub(super) input: u64,
    /// The input and the most it may generate, as the service counts them.
    pub(super) tokens: u64,
}

impl Draw {
    pub(super) const NOTHING: Self = Self {
        estimate: Estimate::Tokens(0),
        input: 0,
        tokens: 0,
    };
}

impl Terms {
    pub(super) fn new(route: &Route, quota: &Quota) -> Self {
        let model = route.model.as_ref();
        let burndown = quota
            .burndown_rate
            .or_else(|| model.map(ModelId::default_burndown_rate));
        let burndown = u64::from(burndown.unwrap_or(1));
        let max_output = quota.max_output_tokens;
        let max_output = max_output.or_else(|| model.map(default_max_output));
        Self {
            burndown,
            max_output: max_output.unwrap_or(0).into(),
            held_rate: if quota.hold_burndown { burndown } else { 1 },
        }
    }

    /// What the service sets aside for a call: all its input, cached or not, and the most it may
    /// generate.
    #[inline]
    pub(super) fn hold(self, input: u64, max_output: Option<u32>) -> u64 {
        let output = max_output.map_or(self.max_output, u64::from);
        input.saturating_add(output.saturating_mul(self.held_rate))
    }

    /// What a call without `maxTokens` holds for its output.
    pub(super) const fn max_output(self) -> u64 {
        self.max_output
    }

    /// What a token of output holds.
    pub(super) const fn held_rate(self) -> u64 {
        self.held_rate
    }

    /// What the service charges in the end: what is read from a cache is free, output costs its
    /// burndown rate.
    #[inline]
    pub(super) const fn charge(self, usage: &Usage) -> u64 {
        let output = usage.output.saturating_mul(self.burndown);
        usage
            .input
            .saturating_add(usage.cache_write)
            .saturating_add(output)
    }
}

/// Embeddings are not generated, so nothing is set aside for them.
fn default_max_output(model: &ModelId) -> u32 {
    match model.base_model() {
        Some(base) if base.contains("embed") => 0,
        _ => model.default_max_output_tokens(),
    }
}
