//! The commands that README and CI use: `cargo xtask test`, `cargo xtask check`,
//! `cargo xtask foreign`, `cargo xtask browser`, `cargo xtask metrics-table`, `cargo xtask ops`,
//! `cargo xtask loom`, `cargo xtask soak`, `cargo xtask fuzz`,
//! `cargo xtask mutants`, `cargo xtask bench-instructions`.

mod browser;
mod check;
mod foreign;
mod fuzz;
mod instructions;
mod interleavings;
mod mutants;
mod ops;
mod run;
mod soak;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and checks the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test there is, doc tests included.
    Test,
    /// Checks format, lints, docs, features and dependencies, as CI does.
    Check,
    /// Runs the AWS SDKs of Python and JavaScript against `bedrock-sim serve`.
    ///
    /// Needs python3 and npm, and installs the SDKs below `target/foreign`. What cannot be installed
    /// is skipped, and said.
    Foreign,
    /// Runs the page of the chat example in headless Chromium.
    ///
    /// Needs Chromium and chromedriver, and installs them with apt-get where it may. Without them it is
    /// skipped, and said.
    Browser,
    /// Checks what is in `ops`: the dashboard, the alerts, the alarms.
    ///
    /// Needs promtool (2.42), cfn-lint and Grafana's types for Python, and gets them below `target/ops`
    /// if it can. What cannot be installed is skipped, and said.
    Ops {
        /// Makes the dashboard anew of its source, before anything else.
        #[arg(long)]
        write: bool,
        /// Tries every query on a Prometheus that scrapes the chat example under load; takes a minute.
        #[arg(long)]
        live: bool,
    },
    /// Writes the table of metrics in the README from the code.
    MetricsTable,
    /// Counts the instructions of a call through each layer, and compares them with the committed
    /// baseline.
    ///
    /// Needs valgrind; without it, it is skipped, and said. With another compiler than the baseline's,
    /// counts are shown and not compared.
    BenchInstructions {
        /// Makes what is counted the baseline.
        #[arg(long)]
        bless: bool,
    },
    /// Runs the layers' cores in every order of their threads, under loom, and the layers together in many
    /// orders, under shuttle.
    Loom(interleavings::Interleavings),
    /// Runs libFuzzer on each target of `tests/fuzz`, or on one.
    ///
    /// Needs a nightly compiler and cargo-fuzz, and says so. What an input does to a target that it
    /// breaks is replayed by the workspace's own tests once it is in `tests/fuzz/corpus`.
    Fuzz(fuzz::Fuzz),
    /// Puts faults into the cores, one by one, and tells which of them no test notices.
    ///
    /// Needs cargo-mutants, and says so. All of them take hours; `--shard 0/12` takes a sample.
    Mutants(mutants::Mutants),
    /// Runs seeds of chaos in virtual time, many more than the tests do, and tells those that fail; or
    /// with `--real` restarts a service over real sockets for minutes, and watches the memory.
    Soak(soak::Soak),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Test => run::cargo(&["test", "--workspace", "--all-features"]),
        Command::Check => check::all(),
        Command::Foreign => foreign::all(),
        Command::Browser => browser::all(),
        Command::Loom(how) => interleavings::all(&how),
        Command::Fuzz(fuzz) => fuzz::fuzz(&fuzz),
        Command::Mutants(mutants) => mutants::mutants(&mutants),
        Command::Soak(soak) => soak::soak(&soak),
        Command::Ops { write, live } => ops::all(write, live),
        Command::BenchInstructions { bless } => instructions::all(bless),
        Command::MetricsTable => run::cargo_with(
            &[
                "test",
                "-p",
                "tower-bedrock-tests",
                "--test",
                "metrics",
                "readme",
            ],
            &[("TOWER_BEDROCK_WRITE_METRICS_TABLE", "1")],
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
