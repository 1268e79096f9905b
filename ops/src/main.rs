//! Makes the Grafana dashboard of its source, and holds dashboard and rules against the metrics that
//! the library defines. `cargo xtask ops` runs it.

mod check;
mod dashboard;
mod grafana;
mod live;
mod promql;
mod rules;
mod series;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::dashboard::Dashboard;

#[derive(Parser)]
#[command(name = "tower-bedrock-ops")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks the dashboard, the rules and the queries against the library's metrics.
    Check,
    /// Writes the dashboard anew.
    Write,
    /// Sends every query of the dashboard and the rules to a Prometheus.
    Live {
        /// Where the Prometheus listens.
        url: String,
        /// The tool that asks it.
        #[arg(long, default_value = "promtool")]
        promtool: PathBuf,
    },
}

/// What is wrong, one line each.
type Faults = Vec<String>;

fn main() -> ExitCode {
    let faults = match run(&Cli::parse().command) {
        Ok(faults) => faults,
        Err(error) => vec![error],
    };
    for fault in &faults {
        eprintln!("ops: {fault}");
    }
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(command: &Command) -> Result<Faults, String> {
    let dashboard = Dashboard::parse(&read("grafana/dashboard.toml")?)?;
    match command {
        Command::Check => check::all(&dashboard),
        Command::Write => {
            let path = path(grafana::FILE);
            fs::write(&path, grafana::render(&dashboard))
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(Faults::new())
        }
        Command::Live { url, promtool } => live::ask(&dashboard, url, promtool),
    }
}

/// A file of this folder.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> Result<String, String> {
    fs::read_to_string(path(name)).map_err(|error| format!("{name}: {error}"))
}
