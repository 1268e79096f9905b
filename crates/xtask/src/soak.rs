//! `cargo xtask soak`: what takes longer than a test run can bear.

use std::process::Command;

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
    /// Real sockets in real time instead, for so many minutes.
    #[arg(long)]
    real: bool,
    /// How many.
    #[arg(long, default_value_t = 10, requires = "real")]
    minutes: u64,
}

pub(crate) fn soak(soak: &Soak) -> Result<(), Failed> {
    if soak.real {
        let mut sockets = test("sockets", "memory_stays_flat");
        sockets
            .arg("--ignored")
            .env("SOAK_MINUTES", soak.minutes.to_string());
        return run(sockets);
    }
    let mut chaos = test("chaos", "everything_holds_and_heals");
    chaos
        .env("CHAOS_SEEDS", soak.seeds.to_string())
        .env("CHAOS_FIRST", soak.first.to_string());
    run(chaos)
}

fn test(target: &str, name: &str) -> Command {
    let mut command = cargo_command(&["test", "--release", "--package=tower-bedrock-tests"]);
    command
        .arg(format!("--test={target}"))
        .args(["--", "--exact", "--nocapture", name]);
    command
}
