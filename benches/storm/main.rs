//! How much of what is asked gets answered when Bedrock is short: the AWS SDK, retry loops,
//! tower-resilience and tower-bedrock, side by side over the same simulated Bedrock in virtual time.
//!
//! ```text
//! cargo run --release -p benches --bin storm
//! cargo run --release -p benches --bin storm -- --help
//! ```

mod calibration;
mod cli;
mod figures;
mod load;
mod oracle;
mod play;
mod policy;
mod report;
mod scenario;
mod sdk;
mod setup;
#[cfg(test)]
mod tests;
mod world;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use crate::{
    cli::Cli,
    figures::Figures,
    policy::Policy,
    report::{Cell, Report, Scene},
    scenario::{Extent, Storm},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storm: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    if cli.list {
        print!("{}", report::list());
        return Ok(());
    }
    let (storms, policies, seeds) = (cli.storms(), cli.policies(), cli.seeds());
    let cells = storms.len() * policies.len() * seeds.len();
    let progress = report::progress(cells)?;
    let scenes = compare(&storms, &policies, &seeds, cli.extent(), |cell| {
        progress.set_message(cell);
        progress.inc(1);
    })?;
    progress.finish_and_clear();
    let calibration = if cli.calibrates() {
        calibration::points()?
    } else {
        Vec::new()
    };
    let report = Report::new(scenes, calibration, cli.extent());
    if let Some(folder) = &cli.out {
        report.write_into(folder)?;
        eprintln!("written: {}", folder.join("report.html").display());
    }
    if cli.json {
        println!("{}", report.json()?);
    } else {
        println!("{}", report.tables());
    }
    Ok(())
}

/// Plays everything. `on_cell` hears what comes next.
fn compare(
    storms: &[Storm],
    policies: &[Policy],
    seeds: &[u64],
    extent: Extent,
    on_cell: impl Fn(String),
) -> Result<Vec<Scene>> {
    let mut scenes = Vec::new();
    for &seed in seeds {
        for storm in storms {
            let setup = (storm.setup)(seed, extent)?;
            let oracle = oracle::answers(&setup);
            let fair = oracle::fair_answers(&setup);
            let mut cells = Vec::new();
            for &policy in policies {
                on_cell(format!("{} · {policy} · seed {seed}", storm.id));
                let played = play::play(&setup, policy, seed)?;
                let figures = Figures::of(&setup, &oracle, &played);
                cells.push(Cell { policy, figures });
            }
            scenes.push(Scene::new(
                *storm,
                seed,
                &setup,
                &oracle,
                fair.as_deref(),
                cells,
            ));
        }
    }
    Ok(scenes)
}

/// The times of answers that an oracle gives.
type Answers = [Option<Duration>];
