//! `cargo xtask soak`: what takes longer than a test run can bear.

use clap::Args;

use crate::run::{Failed, cargo_command, run};

/// What to run, and for how long.
#[derive(Args)]
pub(crate) struct Soak {
    /// How many seeds of chaos in virtual time.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

pub(crate) fn soak(soak: &Soak) -> Result<(), Failed> {
    let mut chaos = cargo_command(&[
        "test",
        "--release",
        "--package=tower-bedrock-tests",
        "--test=chaos",
        "--",
        "--exact",
        "--nocapture",
        "everything_holds_and_heals",
    ]);
    chaos
        .env("CHAOS_SEEDS", soak.seeds.to_string())
        .env("CHAOS_FIRST", soak.first.to_string());
    run(chaos)
}
