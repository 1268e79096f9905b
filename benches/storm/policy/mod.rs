//! The ways to call that are compared.

mod layers;
mod loops;
mod ours;
mod sdk_modes;

use std::{future::Future, pin::Pin};

use self::ours::Open;
use crate::{
    sdk::{Failure, SharedJob},
    setup::Setup,
    world::World,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A call under way.
pub(crate) type CallFuture = Pin<Box<dyn Future<Output = std::result::Result<(), Failure>> + Send>>;

/// Somebody who makes calls in one of the ways.
pub(crate) trait Caller: Send + Sync {
    /// Makes a call and reads its answer to the end.
    fn call(&self, job: &SharedJob) -> CallFuture;
}

/// A way to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Plain,
    Exponential,
    TenPercentJitter,
    FullJitter,
    SdkStandard,
    SdkAdaptive,
    TowerResilience,
    Tower,
    InsideSdk,
    Refuses,
}

impl Policy {
    pub(crate) const ALL: [Self; 10] = [
        Self::Plain,
        Self::Exponential,
        Self::TenPercentJitter,
        Self::FullJitter,
        Self::SdkStandard,
        Self::SdkAdaptive,
        Self::TowerResilience,
        Self::Tower,
        Self::InsideSdk,
        Self::Refuses,
    ];

    /// What it is called on the command line and in files.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Exponential => "loop-exponential",
            Self::TenPercentJitter => "loop-jitter-10",
            Self::FullJitter => "loop-full-jitter",
            Self::SdkStandard => "sdk-standard",
            Self::SdkAdaptive => "sdk-adaptive",
            Self::TowerResilience => "tower-resilience",
            Self::Tower => "tower-bedrock",
            Self::InsideSdk => "tower-bedrock-sdk",
            Self::Refuses => "tower-bedrock-refuses",
        }
    }

    /// How it is set up, in one line.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Plain => "the SDK with its retries off: one attempt",
            Self::Exponential => {
                "a loop around the plain SDK: 6 attempts, 4 s doubling to 64 s, no jitter"
            }
            Self::TenPercentJitter => {
                "a loop around the plain SDK: 6 attempts, 1 s doubling to 60 s, and up to 10 % more"
            }
            Self::FullJitter => {
                "a loop around the plain SDK: 6 attempts, evenly from 0 to 1 s doubling to 60 s"
            }
            Self::SdkStandard => "the AWS SDK in standard mode, as it comes: 3 attempts",
            Self::SdkAdaptive => {
                "the AWS SDK in adaptive mode, as it comes: 3 attempts, client-side rate limit"
            }
            Self::TowerResilience => {
                "tower-resilience: fallback, time limiter, retry, circuit breaker, bulkhead, rate limiter"
            }
            Self::Tower => "tower-bedrock's recommended stack, as a Tower service",
            Self::InsideSdk => "the same stack installed inside the SDK's own client",
            Self::Refuses => {
                "the same stack as a service, whose calls fail at once while a circuit is open"
            }
        }
    }

    /// Whether it is one of ours.
    pub(crate) const fn is_ours(self) -> bool {
        matches!(self, Self::Tower | Self::InsideSdk | Self::Refuses)
    }

    /// Whether it is our stack as it comes.
    pub(crate) const fn is_default(self) -> bool {
        matches!(self, Self::Tower | Self::InsideSdk)
    }

    pub(crate) fn caller(self, setup: &Setup, world: &World, seed: u64) -> Result<Box<dyn Caller>> {
        Ok(match self {
            Self::Plain => Box::new(loops::Loop::once(setup, world)),
            Self::Exponential => Box::new(loops::Loop::exponential(setup, world)),
            Self::TenPercentJitter => Box::new(loops::Loop::ten_percent(setup, world, seed)),
            Self::FullJitter => Box::new(loops::Loop::full_jitter(setup, world, seed)),
            Self::SdkStandard => Box::new(sdk_modes::standard(setup, world)),
            Self::SdkAdaptive => Box::new(sdk_modes::adaptive(setup, world)),
            Self::TowerResilience => Box::new(layers::Layers::new(setup, world, seed)?),
            Self::Tower => Box::new(ours::Tower::new(setup, world, seed, Open::Waits)?),
            Self::Refuses => Box::new(ours::Tower::new(setup, world, seed, Open::Refuses)?),
            Self::InsideSdk => Box::new(ours::InsideSdk::new(setup, world, seed)?),
        })
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.id())
    }
}
