//! What do the layers cost a call that they have nothing to do for, and what do others cost?
//!
//! All rows are measured in turn, in one run: see `docs/benchmarks.md` for the method, and
//! `rows/` for how each is set up.

use benches::{
    measure::measure,
    report::{Report, counted},
    rows,
};
use clap::Parser;

/// Measures what a call costs through each layer.
#[derive(Parser)]
struct Cli {
    /// Prints the figures and their ratios as JSON.
    #[arg(long)]
    json: bool,
    /// Rounds, of which the best counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measures only rows whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let cli = Cli::parse();
    let mut rows = rows::all();
    if let Some(part) = &cli.only {
        rows.retain(|row| row.name.contains(part.as_str()));
    }
    let times = measure(&rows, cli.rounds.max(1));
    let allocations = counted(env!("CARGO_BIN_EXE_calls"), "--allocations");
    let allocated = |name| allocations.get(name).copied().unwrap_or_default();
    let report = Report::new(&rows, &times, allocated);
    if cli.json {
        println!("{}", report.json());
    } else {
        println!("{}", report.tables());
    }
}
