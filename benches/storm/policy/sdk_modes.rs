//! The SDK's own retries.

use std::sync::Arc;

use aws_sdk_bedrockruntime::config::retry::{ReconnectMode, RetryConfig};
use aws_smithy_runtime::client::retries::{ClientRateLimiter, RetryPartition, TokenBucket};

use super::{CallFuture, Caller};
use crate::{
    sdk::{Sdk, SharedJob},
    setup::Setup,
    world::{EPOCH, World},
};

/// The SDK in one of its modes.
pub(super) struct Mode(Sdk);

/// Standard mode as it comes.
pub(super) fn standard(setup: &Setup, world: &World) -> Mode {
    mode(setup, world, RetryConfig::standard())
}

/// Adaptive mode as it comes.
pub(super) fn adaptive(setup: &Setup, world: &World) -> Mode {
    mode(setup, world, RetryConfig::adaptive())
}

fn mode(setup: &Setup, world: &World, retries: RetryConfig) -> Mode {
    // The default partition would be shared by all clients of the process, and with it what it has
    // learned in another run.
    let partition = RetryPartition::custom("storm")
        .token_bucket(TokenBucket::default())
        .client_rate_limiter(ClientRateLimiter::new(EPOCH.as_secs_f64()))
        .build();
    let config = world
        .config()
        .retry_config(retries.with_reconnect_mode(ReconnectMode::ReconnectOnTransientError))
        .retry_partition(partition);
    Mode(Sdk::new(config, &setup.places[0], setup.stream.is_some()))
}

impl Caller for Mode {
    fn call(&self, job: &SharedJob) -> CallFuture {
        let (sdk, job) = (self.0.clone(), Arc::clone(job));
        Box::pin(async move { sdk.send(&job).await?.read().await })
    }
}
