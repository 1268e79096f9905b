//! The command `tower-bedrock`.
//!
//! `explain` says what an error of Bedrock means, what the layers do about it, and what a person
//! should; `plan` says what a quota is good for; `quotas` reads what an account may do out of what the
//! AWS command line lists. Nothing asks AWS anything but `quotas --live`.

mod explain;
mod output;
mod plan;
mod quotas;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What errors of Amazon Bedrock mean, what an account may do, and what its quotas are good for.
#[derive(Parser)]
#[command(name = "tower-bedrock", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says what an error means, what the layers would do about it, and what a person should do.
    Explain(explain::Explain),
    /// Says whether a workload fits a quota, what its holds cost, and what would make it fit.
    Plan(plan::Plan),
    /// Shows what an account may do for each model and path, and how to ask for more.
    Quotas(quotas::Quotas),
}

/// The command.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Explain(explain) => explain.run(),
        Command::Plan(plan) => plan.run(),
        Command::Quotas(quotas) => quotas.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tower-bedrock: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What `tower-bedrock explain` says of `error`, for people or as JSON; `None` if there is no error in
/// it.
///
/// # Errors
///
/// It cannot be written as JSON.
#[doc(hidden)]
pub fn explain(error: &str, json: bool) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let explained = explain::Explanation::of_text(error);
    let shown =
        explained.map(|explained| output::shown(&explained, json, explain::Explanation::text));
    Ok(shown.transpose()?)
}
