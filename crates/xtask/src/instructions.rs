//! `cargo xtask bench-instructions`: what a call costs in instructions, against a baseline.
//!
//! Clocks on shared machines tell little; instructions are the same wherever compiler, libraries and
//! target are.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::run::{Failed, cargo, command, installed, output, output_of_both, root, target};

/// Calls in the shorter and in the longer run: the difference is what calls cost, without the start
/// of the program.
const CALLS: [u64; 2] = [1000, 3000];
const TOLERANCE: f64 = 0.03;

/// What `benches/instructions.toml` holds.
#[derive(Serialize, Deserialize)]
struct Baseline {
    /// How much a row may grow, as a share.
    tolerance: f64,
    /// What counts depend on.
    built_with: BuiltWith,
    /// Instructions a call, by row.
    instructions: BTreeMap<String, u64>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct BuiltWith {
    rustc: String,
    target: String,
    tokio: String,
}

/// Counts the instructions of a call for each of our rows, and compares them with the baseline, or
/// writes it.
pub(crate) fn all(bless: bool) -> Result<(), Failed> {
    if !installed("valgrind") {
        eprintln!("skipped: valgrind is not installed");
        return Ok(());
    }
    cargo(&[
        "build",
        "--release",
        "--package=benches",
        "--no-default-features",
        "--features=metrics,tracing",
        "--bin=calls",
    ])?;
    let built_with = BuiltWith::now()?;
    let counted = count_all()?;
    let known = fs::read_to_string(path())
        .ok()
        .map(|text| toml::from_str::<Baseline>(&text))
        .transpose()
        .map_err(|error| Failed(format!("{}: {error}", path().display())))?;
    let grown = show(known.as_ref(), &counted);
    if bless {
        let baseline = Baseline {
            tolerance: known.map_or(TOLERANCE, |known| known.tolerance),
            built_with,
            instructions: counted,
        };
        return baseline.write();
    }
    match known {
        None => Err(Failed("there is no baseline: `--bless` writes one".into())),
        Some(known) if known.built_with != built_with => {
            eprintln!(
                "not compared: the baseline is of {}, this is {}",
                known.built_with.shown(),
                built_with.shown()
            );
            Ok(())
        }
        Some(_) if grown.is_empty() => Ok(()),
        Some(_) => Err(Failed(format!(
            "more instructions a call than allowed: {}. If that is worth it, `--bless` it",
            grown.join("; ")
        ))),
    }
}

fn path() -> PathBuf {
    root().join("benches/instructions.toml")
}

fn count_all() -> Result<BTreeMap<String, u64>, Failed> {
    let mut ours = command(program());
    ours.arg("--ours");
    let rows = output(ours)?;
    rows.lines()
        .map(|row| {
            let [short, long] = CALLS.map(|calls| count(row, calls));
            let instructions = long?.saturating_sub(short?) / (CALLS[1] - CALLS[0]);
            Ok((row.to_owned(), instructions))
        })
        .collect()
}

fn program() -> PathBuf {
    target().join("release/calls")
}

/// All instructions of a program that makes `calls` calls.
fn count(row: &str, calls: u64) -> Result<u64, Failed> {
    let mut valgrind = command("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program())
        .args([row, &calls.to_string()]);
    let said = output_of_both(valgrind)?;
    let collected = said
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    collected
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| Failed(format!("callgrind did not tell a count for {row}: {said}")))
}

/// Shows counts beside those of the baseline; returns the rows that have grown too much.
fn show(known: Option<&Baseline>, counted: &BTreeMap<String, u64>) -> Vec<String> {
    let mut grown = Vec::new();
    for (row, &now) in counted {
        let before = known.and_then(|known| known.instructions.get(row).copied());
        let (Some(known), Some(before)) = (known, before) else {
            println!("{row:40} {now:>6}   new");
            continue;
        };
        let change = now as f64 / before as f64 - 1.0;
        println!("{row:40} {now:>6} {before:>6} {:+6.1} %", change * 100.0);
        if change > known.tolerance {
            grown.push(format!("{row} ({before} before, {now} now)"));
        }
    }
    grown
}

impl Baseline {
    fn write(&self) -> Result<(), Failed> {
        let text = toml::to_string(self).map_err(|error| Failed(error.to_string()))?;
        let text = format!("# `cargo xtask bench-instructions --bless` writes this file.\n{text}");
        fs::write(path(), text).map_err(|error| Failed(format!("{}: {error}", path().display())))
    }
}

impl BuiltWith {
    fn now() -> Result<Self, Failed> {
        let mut rustc = command("rustc");
        rustc.arg("-vV");
        let said = output(rustc)?;
        let line = |name| said.lines().find_map(|line: &str| line.strip_prefix(name));
        let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default();
        let tokio = lock.split("name = \"tokio\"\nversion = \"").nth(1);
        Ok(Self {
            rustc: line("release: ").unwrap_or_default().into(),
            target: line("host: ").unwrap_or_default().into(),
            tokio: tokio
                .and_then(|rest| rest.split('"').next())
                .unwrap_or_default()
                .into(),
        })
    }

    fn shown(&self) -> String {
        format!(
            "rustc {} for {} with tokio {}",
            self.rustc, self.target, self.tokio
        )
    }
}
