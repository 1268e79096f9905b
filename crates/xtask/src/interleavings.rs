//! `cargo xtask loom`: what threads may do at once, in every order under loom, and the layers together
//! in many random ones under shuttle.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::run::{Failed, cargo_command, command, output, run};

/// How far to look.
#[derive(Args)]
pub(crate) struct Interleavings {
    /// How often a thread may be interrupted where it need not be, under loom.
    #[arg(long, default_value_t = 2)]
    preemptions: u32,
    /// How many orders of each model, under shuttle.
    #[arg(long, default_value_t = 1000)]
    iterations: u32,
}

pub(crate) fn all(how: &Interleavings) -> Result<(), Failed> {
    run_models("loom", "LOOM_MAX_PREEMPTIONS", how.preemptions)?;
    run_models("shuttle", "SHUTTLE_ITERATIONS", how.iterations)
}

fn run_models(checker: &str, variable: &str, value: u32) -> Result<(), Failed> {
    let mut models = command(build(checker)?);
    models
        .args(["interleavings", "--nocapture"])
        .env(variable, value.to_string());
    run(models)
}

/// Builds the library's tests with the checker's locks and atomics in the place of the standard
/// library's. The flag is for this crate alone: its dependencies are those of every other test.
fn build(checker: &str) -> Result<PathBuf, Failed> {
    let cfg = format!("{checker}_cores");
    eprintln!("+ cargo rustc … --cfg {cfg}");
    let messages = output(cargo_command(&[
        "rustc",
        "--package=tower-bedrock",
        "--no-default-features",
        "--features=metrics",
        "--lib",
        "--profile=test",
        "--message-format=json-render-diagnostics",
        "--",
        "--cfg",
        &cfg,
    ]))?;
    let mut executables = messages.lines().filter_map(executable);
    let last = executables.next_back();
    last.ok_or_else(|| Failed(format!("cargo told of no executable for {cfg}")))
}

/// What a message of cargo's says of an executable.
fn executable(message: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }

    serde_json::from_str::<Message>(message).ok()?.executable
}
