//! One policy in one scenario, in virtual time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bedrock_sim::Ledger;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    Result,
    policy::{Caller, Policy},
    sdk::Failure,
    setup::Setup,
    world::World,
};

/// What a policy did.
#[derive(Debug)]
pub(crate) struct Played {
    /// How long the answer to each call took, or why there was none.
    pub(crate) ended: Vec<std::result::Result<Duration, String>>,
    /// Attempts by second.
    pub(crate) attempts: Vec<u32>,
    pub(crate) ledger: Ledger,
}

impl Played {
    pub(crate) fn failures(&self) -> BTreeMap<&str, usize> {
        let mut failures = BTreeMap::new();
        for why in self.ended.iter().filter_map(|ended| ended.as_ref().err()) {
            *failures.entry(why.as_str()).or_default() += 1;
        }
        failures
    }
}

/// Plays a scenario. Same arguments, same outcome.
pub(crate) fn play(setup: &Setup, policy: Policy, seed: u64) -> Result<Played> {
    // What the SDK draws, it draws from the generator of the thread.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let world = World::new(setup);
        let caller: Arc<dyn Caller> = policy.caller(setup, &world, seed)?.into();
        let ended = call_all(setup, &caller).await?;
        Ok(Played {
            ended,
            attempts: world.wire.attempts(),
            ledger: world.bedrock.ledger(),
        })
    })
}

async fn call_all(
    setup: &Setup,
    caller: &Arc<dyn Caller>,
) -> Result<Vec<std::result::Result<Duration, String>>> {
    let start = Instant::now();
    let patience = setup.patience;
    let mut ended = vec![Err(String::new()); setup.jobs.len()];
    let mut calls = JoinSet::new();
    for (number, job) in setup.jobs.iter().enumerate() {
        sleep_until(start + job.at).await;
        let (caller, job) = (Arc::clone(caller), Arc::new(job.clone()));
        calls.spawn(async move {
            let began = Instant::now();
            let answer = timeout(patience, caller.call(&job)).await;
            let answer = answer.unwrap_or_else(|_| Err(Failure::new("CallerGaveUp")));
            (number, answer.map(|()| began.elapsed()))
        });
        while let Some(call) = calls.try_join_next() {
            let (number, answer) = call?;
            ended[number] = answer.map_err(|failure| failure.code);
        }
    }
    while let Some(call) = calls.join_next().await {
        let (number, answer) = call?;
        ended[number] = answer.map_err(|failure| failure.code);
    }
    Ok(ended)
}
