//! `bedrock-sim serve` and `bedrock-sim check`.

use std::{
    fmt::Display,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bedrock_sim::{Scenario, ScenarioError, Server};
use clap::{Args, Parser, Subcommand};

/// The scenario of `serve` without `--scenario`.
const CALM: &str = include_str!("../scenarios/calm.toml");

/// A local Amazon Bedrock: the real wire protocol, quotas, capacity and faults, without an AWS
/// account.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers requests until it is interrupted.
    Serve(Serve),
    /// Reads scenarios and says what is wrong with them.
    Check {
        /// The scenarios.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8480")]
    listen: String,
    /// What to simulate. Without it: the Nova models and a few Claude models, with generous quotas
    /// and no faults.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Where all chance comes from, in place of the scenario's own seed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the command line.
pub(crate) fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(serve) => match serve.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Command::Check { files } => check(&files),
    }
}

fn check(files: &[PathBuf]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match Scenario::load(file) {
            Ok(_) => println!("{}: ok", file.display()),
            Err(error) => code = fail(&error),
        }
    }
    code
}

fn fail(error: &dyn Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

impl Serve {
    fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        let scenario = self.scenario()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(serve(&self.listen, scenario))?;
        Ok(())
    }

    fn scenario(&self) -> Result<Scenario, ScenarioError> {
        let scenario = match &self.scenario {
            Some(file) => Scenario::load(Path::new(file))?,
            None => Scenario::from_toml(CALM)?,
        };
        Ok(match self.seed {
            Some(seed) => scenario.with_seed(seed),
            None => scenario,
        })
    }
}

async fn serve(listen: &str, scenario: Scenario) -> io::Result<()> {
    // Before the line that says it is ready: whoever reads it may interrupt at once.
    let interrupted = interruption()?;
    let server = Server::bind(listen, scenario).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen at {listen}: {error}"))
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "bedrock-sim listening on {}", server.url())?;
    out.flush()?;
    drop(out);
    interrupted.await;
    server.shutdown().await;
    Ok(())
}

/// Resolves at SIGINT or SIGTERM.
#[cfg(unix)]
fn interruption() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C.
#[cfg(not(unix))]
fn interruption() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        drop(tokio::signal::ctrl_c().await);
    })
}
