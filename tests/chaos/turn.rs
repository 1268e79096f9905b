//! Hands that turn knobs while calls go on.

use std::time::Duration;

use tower_bedrock::{PoolKey, Quota, StackLayer};

use crate::plan::{Plan, route};

/// Something that somebody does at run time.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// Gives a region this part of its quota.
    Quota(&'static str, f64),
    /// Gives a region so many places.
    Places(&'static str, usize),
    ForceOpen(&'static str),
    ForceClosed(&'static str),
    Reset(&'static str),
    /// The machine was asleep.
    Sleep(Duration),
}

impl Turn {
    pub(crate) async fn make(&self, plan: &Plan, stack: &StackLayer) {
        let quotas = stack.quotas().expect("it has quotas");
        let pools = stack.pools().expect("it has pools");
        let breakers = stack.breakers().expect("it has circuits");
        match *self {
            Self::Quota(region, share) => {
                if let Some(quota) = plan.quota(share) {
                    quotas.set(&route(region), quota).expect("a sound quota");
                }
            }
            Self::Places(region, places) => pools.set_limit(&PoolKey::region(region), places),
            Self::ForceOpen(region) => breakers.force_open(&route(region)),
            Self::ForceClosed(region) => breakers.force_closed(&route(region)),
            Self::Reset(region) => breakers.reset(&route(region)),
            Self::Sleep(time) => tokio::time::advance(time).await,
        }
    }

    /// Turns everything back to what it was.
    pub(crate) fn undo(plan: &Plan, stack: &StackLayer) {
        for turn in &plan.turns {
            match turn.1 {
                Self::Quota(region, _) => {
                    if let Some(quota) = plan.quota(1.0) {
                        let quotas = stack.quotas().expect("it has quotas");
                        quotas.set(&route(region), quota).expect("a sound quota");
                    }
                }
                Self::Places(region, _) => {
                    let pools = stack.pools().expect("it has pools");
                    pools.set_limit(&PoolKey::region(region), plan.places);
                }
                Self::ForceOpen(region) | Self::ForceClosed(region) => {
                    stack
                        .breakers()
                        .expect("it has circuits")
                        .reset(&route(region));
                }
                Self::Reset(_) | Self::Sleep(_) => {}
            }
        }
    }
}

/// A quota of so many requests and tokens a minute, of which this part is ours.
pub(crate) fn part(requests: u64, tokens: u64, share: f64) -> Quota {
    let part = |of: u64| ((of as f64 * share) as u64).max(1);
    Quota::new()
        .with_requests_per_minute(part(requests))
        .with_tokens_per_minute(part(tokens).max(400))
}
