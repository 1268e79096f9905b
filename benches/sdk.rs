//! What does a stack cost a call of the AWS SDK, inside of it and around it?
//!
//! The SDK alone, the same with a stack installed, and a stack around it, all in turn and in one run:
//! answered at once by the connector, which leaves the SDK's own work and ours alone, and over a loopback
//! socket by a server that answers at once. `rows/sdk.rs` sets them up.
//!
//! The SDK alone guards each body against stalling, which is about a tenth of a call that is answered at
//! once. An installed stack does that itself, where an answer has to be waited for: its figures have that
//! tenth in their favour.
//!
//! A time is the lowest of its rounds, a share the median of what it was in each round: over a socket a
//! call takes one of two times, as the scheduler has server and caller on one core or on two, and what is
//! compared should have had the same.

use benches::{
    measure::{measure_rounds, median},
    report::{self, Allocations, counted},
    rows::sdk,
};
use clap::Parser;
use serde::Serialize;

/// Measures what a stack costs a call of the AWS SDK.
#[derive(Parser)]
struct Cli {
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Rounds.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    microseconds: f64,
    /// Of what the SDK alone takes on the same wire, in the same round.
    ratio: f64,
    /// With those of the server, over loopback: none but of its answers.
    allocations: Allocations,
}

fn main() {
    let cli = Cli::parse();
    let rows = sdk::rows();
    let rounds = measure_rounds(&rows, cli.rounds.max(1));
    let allocations = counted(env!("CARGO_BIN_EXE_calls"), "--sdk-allocations");
    let mut alone = 0;
    let figures = rows.iter().enumerate().map(|(number, row)| {
        if row.name.starts_with("SDK alone") {
            alone = number;
        }
        let times = rounds.iter().map(|round| round[number].one_thread);
        let ratios = rounds
            .iter()
            .map(|round| round[number].one_thread / round[alone].one_thread);
        Figure {
            name: row.name,
            microseconds: times.fold(f64::INFINITY, f64::min) / 1000.0,
            ratio: median(ratios.collect()).unwrap_or(f64::NAN),
            allocations: allocations.get(row.name).copied().unwrap_or_default(),
        }
    });
    let figures: Vec<_> = figures.collect();
    if cli.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&figures).unwrap_or_default()
        );
        return;
    }
    let mut table = report::table(&["a call", "us", "of the SDK alone", "allocations", "bytes"]);
    for figure in &figures {
        table.add_row([
            figure.name.to_owned(),
            format!("{:.1}", figure.microseconds),
            format!("{:.2}", figure.ratio),
            figure.allocations.blocks.to_string(),
            figure.allocations.bytes.to_string(),
        ]);
    }
    report::align(&mut table);
    println!("{table}");
}
