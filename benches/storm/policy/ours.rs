//! tower-bedrock's recommended stack, in both faces.

use std::{sync::Arc, time::Duration};

use aws_sdk_bedrockruntime::operation::{
    converse::ConverseInput, converse_stream::ConverseStreamInput,
};
use tower_bedrock::{
    Bedrock, CircuitBreakers, CircuitPolicy, DefaultStack, FallbackLayer, Jitter, Ladder, Pools,
    Quota, QuotaWindow, Request, RetryBudget, RetryLayer, Route, Rung, Stack, StackBuilder,
    StackLayer, StreamLimits,
    sdk::install::{CallOptions, Resilience},
};

use super::{CallFuture, Caller, Result};
use crate::{
    sdk::{Failure, Sdk, SharedJob, converse, converse_stream},
    setup::{HOME, KnownQuota, Place, Setup},
    world::World,
};

/// What a call does that has nowhere to go but to an open circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// It waits in line, as long as its caller does: the default.
    Waits,
    /// It fails at once.
    Refuses,
}

/// What an operator sets: the quotas that are known, where calls may go, how many are let into
/// flight, that timeouts are retried, as the peers do, and what the documentation asks for where a
/// model is imported. The rest is default.
fn stack<S>(
    builder: StackBuilder<S>,
    setup: &Setup,
    seed: u64,
    open: Open,
) -> Result<StackBuilder<S>> {
    let mut ladder = Ladder::new();
    for place in &setup.places[1..] {
        let rung = Rung::model(place.model.parse()?).at(place.region);
        ladder = ladder.then(rung);
    }
    let policy = match open {
        Open::Waits => CircuitPolicy::new(),
        Open::Refuses => CircuitPolicy::new().with_max_waiting(0),
    };
    let breakers = CircuitBreakers::new()
        .with_policy(policy)?
        .with_home_region(HOME)
        .with_jitter(Jitter::seeded(seed));
    let pools = Pools::new()
        .with_home_region(HOME)
        .with_max_in_flight(setup.in_flight)
        .with_max_waiting(setup.jobs.len())
        .with_max_wait(setup.patience);
    let mut retry = RetryLayer::new()
        .with_jitter(Jitter::seeded(seed))
        .retry_timeouts(true);
    if setup.is_imported {
        // What the documentation of the budget asks for where a model loads: 50 tokens a call.
        let tokens = u32::try_from(50 * setup.jobs.len())?;
        retry = retry.with_budget(RetryBudget::with_capacity(tokens));
    }
    let mut builder = builder
        .fallback(FallbackLayer::new(ladder)?.with_jitter(Jitter::seeded(seed)))
        .retry(retry)
        .circuit_breaker(breakers)
        .pool(pools);
    for known in &setup.quotas {
        builder = builder.quota(route(&known.place)?, quota(known));
    }
    Ok(builder.timeout(setup.patience))
}

fn route(place: &Place) -> Result<Route> {
    Ok(Route::to(place.model.parse()?).in_region(place.region))
}

/// The quota, counted as measurements of the service say that it is (BEDROCK.md §3.4).
fn quota(known: &KnownQuota) -> Quota {
    let mut quota = Quota::new().with_window(QuotaWindow::TokenBucket {
        burst: Duration::from_secs(60),
    });
    if let Some(requests) = known.rpm {
        quota = quota.with_requests_per_minute(requests);
    }
    if let Some(tokens) = known.tpm {
        quota = quota.with_tokens_per_minute(tokens);
    }
    quota
}

fn stream_limits(setup: &Setup) -> StreamLimits {
    let limits = StreamLimits::new();
    setup.stream.map_or(limits, |patience| {
        limits
            .with_first_event(patience.first_event)
            .with_between_events(patience.between_events)
    })
}

fn failure(error: &tower_bedrock::Error) -> Failure {
    Failure::new(error.cause().as_str())
}

fn tenant(job: &SharedJob) -> String {
    format!("tenant {}", job.tenant)
}

/// The stack as a Tower service.
pub(super) struct Tower {
    stack: DefaultStack<Bedrock>,
    place: Place,
    is_stream: bool,
}

impl Tower {
    pub(super) fn new(setup: &Setup, world: &World, seed: u64, open: Open) -> Result<Self> {
        let bedrock =
            Bedrock::from_builder(world.config()).with_stream_limits(stream_limits(setup));
        Ok(Self {
            stack: stack(Stack::builder(bedrock), setup, seed, open)?.build()?,
            place: setup.places[0].clone(),
            is_stream: setup.stream.is_some(),
        })
    }
}

impl Caller for Tower {
    fn call(&self, job: &SharedJob) -> CallFuture {
        if self.is_stream {
            let input: ConverseStreamInput = converse_stream(&self.place, job);
            let sent = self
                .stack
                .send(Request::from(input).with_tenant(tenant(job)));
            return Box::pin(async move {
                let mut stream = sent.await.map_err(|error| failure(&error))?;
                while let Some(event) = stream.next().await {
                    event.map_err(|error| failure(&error))?;
                }
                Ok(())
            });
        }
        let input: ConverseInput = converse(&self.place, job);
        let sent = self
            .stack
            .send(Request::from(input).with_tenant(tenant(job)));
        Box::pin(async move { sent.await.map(drop).map_err(|error| failure(&error)) })
    }
}

/// The stack inside the SDK's own client.
pub(super) struct InsideSdk {
    sdk: Sdk,
}

impl InsideSdk {
    pub(super) fn new(setup: &Setup, world: &World, seed: u64) -> Result<Self> {
        let layer = stack(StackLayer::builder(HOME), setup, seed, Open::Waits)?.build_layer()?;
        let config = Resilience::new(layer)
            .with_stream_limits(stream_limits(setup))
            .install(world.config());
        Ok(Self {
            sdk: Sdk::new(config, &setup.places[0], setup.stream.is_some()),
        })
    }
}

impl Caller for InsideSdk {
    fn call(&self, job: &SharedJob) -> CallFuture {
        let (sdk, job) = (self.sdk.clone(), Arc::clone(job));
        let options = CallOptions::new().with_tenant(tenant(&job));
        Box::pin(options.scope(async move { sdk.send(&job).await?.read().await }))
    }
}
